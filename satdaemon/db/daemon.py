"""The daemon's one row: commands, the change counter, the last plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from satdaemon.config import Settings
from satdaemon.db.events import record
from satdaemon.db.messages import occasions
from satdaemon.db.models import DaemonTools
from satdaemon.db.models.jobs import PAUSED as PAUSED
from satdaemon.db.models.jobs import POWER_DOWN as POWER_DOWN
from satdaemon.db.models.jobs import SCHEDULED as SCHEDULED
from satdaemon.db.store import Store
from satdaemon.errors import RequestError

COMMANDS = (SCHEDULED, PAUSED, POWER_DOWN)


_READ = select(
    DaemonTools.command, DaemonTools.replan, DaemonTools.change_counter, DaemonTools.planned_counter, DaemonTools.changed_by,
    DaemonTools.changed_what, DaemonTools.last_plan_utc, DaemonTools.last_plan_s, DaemonTools.version,
)  # fmt: skip
"""The fields of `Daemon`, in their order. Columns, not the row: each part looks every second."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """What users ask of the daemon and what it last did."""

    command: str
    replan: bool
    change_counter: int
    planned_counter: int
    changed_by: str | None
    changed_what: str | None
    last_plan_utc: datetime | None
    last_plan_s: float | None
    version: str

    @property
    def grants(self) -> bool:
        """True where jobs may be launched."""
        return self.command == SCHEDULED


def changed(session: Session, *, who: str, what: str, frame_id: str | None = None, replan: bool = True) -> None:
    """Count a change that the planner has to look at, and record who made it."""
    session.execute(
        update(DaemonTools)
        .where(DaemonTools.id == 1)
        .values(change_counter=DaemonTools.change_counter + 1, replan=replan, changed_by=who, changed_what=what)
    )
    record(session, "changed", who=who, message=what, frame_id=frame_id)


def command(session: Session, word: str, *, who: str) -> None:
    """Set the daemon's command: run, pause or power_down."""
    if word not in COMMANDS:
        raise RequestError(f"daemon command: expected one of {', '.join(COMMANDS)}, got {word!r}")
    session.get_one(DaemonTools, 1).command = word
    session.flush()
    changed(session, who=who, what=f"daemon: {word}")
    occasions.daemon_commanded(session, word, who)


def keep_defaults(session: Session, settings: Settings) -> None:
    """Keep in the database what satdaemon.cfg sets for frames without their own: the view `ledger` reads it there."""
    session.execute(update(DaemonTools).where(DaemonTools.id == 1).values(**defaults(settings)))


def renew_defaults(db: Store) -> bool:
    """`keep_defaults` where the file says something else than the database; True where it does."""
    values = defaults(db.settings)
    with db.read_scope() as session:
        kept = session.execute(select(*(getattr(DaemonTools, name) for name in values))).one()
    if tuple(kept) == tuple(values.values()):
        return False
    db.write(lambda session: keep_defaults(session, db.settings))
    return True


def defaults(settings: Settings) -> dict[str, float]:
    """What satdaemon.cfg sets for frames without their own, by the columns of `daemon_tools`."""
    return {
        "initial_stack": settings.network.initial_stack,
        "accept_failed_share": settings.timeseries.accept_failed_share,
    }


def read(db: Store) -> Daemon:
    """The daemon row as it is now."""
    with db.read_scope() as session:
        return Daemon(*session.execute(_READ).one())
