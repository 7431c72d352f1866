"""The machines' rows: capacity from the configuration, state from operators, life from the workers."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from satdaemon.config import Machine as MachineSettings
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.messages import occasions
from satdaemon.db.models import Machine, MachineFailure
from satdaemon.db.store import Store
from satdaemon.errors import RequestError

ENABLED, DRAINING, QUARANTINED = "enabled", "draining", "quarantined"
ENDED_S = 1e6
"""A machine whose worker ended in good order was last seen so long ago."""
_SILENT_LEASES = 2.0


def register(db: Store, machines: Iterable[MachineSettings]) -> None:
    """Insert machines or renew their capacity; state and life stay as they are."""
    with db.session_scope() as session:
        for machine in machines:
            row = session.get(Machine, machine.name)
            if row is None:
                row = Machine(name=machine.name, state=ENABLED)
                session.add(row)
            row.host, row.port = machine.host, machine.port
            row.cpu, row.memory_gb, row.disk = machine.cpu, machine.memory_gb, machine.disk


def began(db: Store, name: str) -> None:
    """A machine's worker begins: jobs that were granted to it before are none of its own."""
    with db.session_scope() as session:
        session.execute(update(Machine).where(Machine.name == name).values(up_since_utc=now_utc()))


def is_heard_of(db: Store) -> ColumnElement[bool]:
    """SQL: a machine's worker is alive, as far as is known: one that was never heard of counts as alive."""
    return or_(Machine.last_seen_utc.is_(None), Machine.last_seen_utc >= now_utc(-db.settings.parameters.lease_s))


def seen(db: Store, name: str) -> None:
    """A machine's worker is alive. Once a machine has been seen, it gets jobs only while it goes on being seen."""
    with db.session_scope() as session:
        session.execute(update(Machine).where(Machine.name == name).values(last_seen_utc=now_utc()))


def gone(db: Store, name: str) -> None:
    """A machine's worker ended in good order: no jobs for it until it is seen again."""
    with db.session_scope() as session:
        session.execute(update(Machine).where(Machine.name == name).values(last_seen_utc=now_utc(-ENDED_S)))


def silent(db: Store) -> dict[str, str]:
    """Machines that ended without a word, as their beats stopped: name, and when each was last seen."""
    lost, ended = now_utc(-_SILENT_LEASES * db.settings.parameters.lease_s), now_utc(-0.9 * ENDED_S)
    with db.read_scope() as session:
        seen = Machine.last_seen_utc
        found = session.scalars(select(Machine).where(seen < lost, seen > ended).order_by(Machine.name))
        return {machine.name: f"{machine.last_seen_utc:%Y-%m-%d %H:%M:%S} UTC" for machine in found}


def set_state(db: Store, name: str, state: str, *, who: str, reason: str | None = None) -> None:
    """Enable, drain (running jobs end, none is added) or quarantine a machine."""
    if state not in (ENABLED, DRAINING, QUARANTINED):
        raise RequestError(f"machine {name}: expected a state of {ENABLED}, {DRAINING}, {QUARANTINED}; got {state!r}")
    with db.session_scope() as session:
        row = session.get(Machine, name)
        if row is None:
            known = ", ".join(session.scalars(select(Machine.name).order_by(Machine.name)))
            raise RequestError(f"machine {name!r}: expected one of {known or 'none'}")
        put(session, row, state, who=who, reason=reason)
        if state == QUARANTINED:
            occasions.machine_quarantined(session, name, who, reason)


def put(session: Session, machine: Machine, state: str, *, who: str, reason: str | None) -> None:
    """Give a machine a state, with who and why. One that is enabled starts without failures."""
    machine.state, machine.reason = state, reason
    if state == ENABLED:
        session.execute(delete(MachineFailure).where(MachineFailure.machine == machine.name))
    changed(session, who=who, what=f"machine {machine.name}: {state}" + (f" ({reason})" if reason else ""))


def machines(db: Store) -> list[Machine]:
    """All machines, by name."""
    with db.read_scope() as session:
        return list(session.scalars(select(Machine).order_by(Machine.name)))
