"""Claims of the parts of a running system: one process a part, so that two daemons never share a database by mistake.

A claim is renewed by beats and passes when they stop for `lease_s`; on the holder's own host at once when it is dead.
Times are the database's, so that clocks of hosts do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon import __version__
from satdaemon.db.clock import now_utc
from satdaemon.db.holder import Holder, is_gone
from satdaemon.db.models import DaemonPart
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.errors import RequestError

STARTING, UP, DOWN, ENDING, IDLE = "starting", "up", "down", "ending", "idle"


@dataclass(frozen=True, slots=True)
class PartState:
    """What a holder says of one of its parts."""

    state: str
    message: str | None = None
    restarts: int = 0
    log: str | None = None


def claim(db: Store, names: Sequence[str], holder: Holder) -> None:
    """Hold the parts `names`, all or none; RequestError names who has one of them, since when, and how to take it over."""

    def work(session: Session) -> None:
        new = {"who": holder.who, "host": holder.host, "pid": holder.pid, "process": holder.process, "state": STARTING,
               "message": None, "restarts": 0, "log": None, "version": __version__,
               "claimed_utc": now_utc(), "heartbeat_utc": now_utc()}  # fmt: skip
        for name in sorted(names):
            if insert_ignore(session, DaemonPart, {"name": name, **new}):
                continue
            row = session.get_one(DaemonPart, name, with_for_update=True)
            if row.process != holder.process and _is_live(db, session, row):
                raise RequestError(_refusal(db, session, row))
            session.execute(update(DaemonPart).where(DaemonPart.name == name).values(**new))

    db.write(work)


def beat(db: Store, states: Mapping[str, PartState], holder: Holder) -> list[str]:
    """Renew claims and say how the parts are; those that were lost to another holder."""

    def work(session: Session) -> list[str]:
        lost = []
        for name in sorted(states):
            said = states[name]
            values = {"state": said.state, "message": said.message, "restarts": said.restarts, "log": said.log}
            mine = (DaemonPart.name == name, DaemonPart.process == holder.process)
            statement = update(DaemonPart).where(*mine).values(heartbeat_utc=now_utc(), **values).returning(DaemonPart.name)
            if session.execute(statement).first() is None:
                lost.append(name)
        return lost

    return db.write(work)


def release(db: Store, holder: Holder) -> None:
    """Give all claims of a holder back."""
    db.write(lambda session: session.execute(delete(DaemonPart).where(DaemonPart.process == holder.process)))


def live(db: Store, names: Iterable[str] | None = None) -> list[DaemonPart]:
    """The parts that somebody holds now, by name."""
    with db.read_scope() as session:
        wanted = select(DaemonPart).where(DaemonPart.heartbeat_utc >= now_utc(-_lease_s(db))).order_by(DaemonPart.name)
        if names is not None:
            wanted = wanted.where(DaemonPart.name.in_(list(names)))
        return [row for row in session.scalars(wanted) if not is_gone(row.process)]


def _is_live(db: Store, session: Session, row: DaemonPart) -> bool:
    heard = (DaemonPart.name == row.name, DaemonPart.heartbeat_utc >= now_utc(-_lease_s(db)))
    return session.scalar(select(DaemonPart.name).where(*heard)) is not None and not is_gone(row.process)


def _lease_s(db: Store) -> float:
    return db.settings.parameters.lease_s


def _refusal(db: Store, session: Session, row: DaemonPart) -> str:
    now = session.execute(select(now_utc())).scalar_one()
    age_s = (now - row.heartbeat_utc).total_seconds()
    return (
        f"{row.name}: expected nobody who has it up on this database, found {row.who} (pid {row.pid} on {row.host}), up since "
        f"{row.claimed_utc:%Y-%m-%d %H:%M:%S} UTC, heard of {age_s:.0f} s ago. Two would do the same work: end that one first "
        f"(Ctrl-C or `kill {row.pid}` on {row.host}, or systemctl stop). Where it is dead, its claim passes by itself in "
        f"{max(_lease_s(db) - age_s, 0.0):.0f} s: start again then."
    )
