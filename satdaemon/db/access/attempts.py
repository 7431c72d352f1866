"""Logins that were refused: counted over all processes, by name and by address."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import LoginFailure
from satdaemon.db.store import Store

WINDOW_S = 900.0


def failed(db: Store, keys: Sequence[str]) -> None:
    """A login was refused; those that are too old to count go."""

    def work(session: Session) -> None:
        session.execute(delete(LoginFailure).where(LoginFailure.at_utc < now_utc(-WINDOW_S)))
        session.add_all(LoginFailure(key=key[:100]) for key in keys)

    db.write(work)


def most(db: Store, keys: Sequence[str]) -> int:
    """The most refused logins of any of these within the last quarter of an hour."""
    recent = (LoginFailure.key.in_([key[:100] for key in keys]), LoginFailure.at_utc >= now_utc(-WINDOW_S))
    with db.read_scope() as session:
        counts = session.execute(select(func.count()).where(*recent).group_by(LoginFailure.key)).scalars()
        return max(counts, default=0)


def forget(db: Store, key: str) -> None:
    """A login went well: the name counts anew."""
    db.write(lambda session: session.execute(delete(LoginFailure).where(LoginFailure.key == key[:100])))
