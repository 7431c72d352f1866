"""What was done through the web, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import AuditEntry
from satdaemon.db.store import Store

DONE, REFUSED, FAILED = "done", "refused", "failed"


@dataclass(frozen=True, slots=True)
class Done:
    """One entry."""

    at_utc: datetime
    who: str | None
    role: str | None
    address: str | None
    action: str
    target: str | None
    outcome: str
    detail: str | None


def record(
    db: Store,
    action: str,
    outcome: str,
    *,
    who: str | None = None,
    role: str | None = None,
    address: str | None = None,
    target: str | None = None,
    detail: str | None = None,
) -> None:
    """Add an entry."""
    place = {"address": address[:60] if address else None, "target": target[:200] if target else None}
    entry = AuditEntry(action=action[:60], outcome=outcome, who=who[:100] if who else None, role=role, detail=detail, **place)

    def work(session: Session) -> None:
        session.add(entry)

    db.write(work, tries=1)


def listing(db: Store, *, who: str | None = None, before: datetime | None = None, most: int = 200) -> list[Done]:
    """The newest entries."""
    wanted = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(most)
    if who is not None:
        wanted = wanted.where(AuditEntry.who == who)
    if before is not None:
        wanted = wanted.where(AuditEntry.at_utc < before)
    with db.read_scope() as session:
        return [
            Done(r.at_utc, r.who, r.role, r.address, r.action, r.target, r.outcome, r.detail) for r in session.scalars(wanted)
        ]


def prune(db: Store) -> int:
    """Remove entries older than `history_days`; how many."""
    old = AuditEntry.at_utc < now_utc(-86400.0 * db.settings.parameters.history_days)
    return db.write(lambda session: len(session.execute(delete(AuditEntry).where(old).returning(AuditEntry.id)).all()))
