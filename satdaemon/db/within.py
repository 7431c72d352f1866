"""Many steps in one transaction, or tried and undone: a store all of whose sessions share one connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.orm import Session

from satdaemon.db.store import Store

_T = TypeVar("_T")


class Within(Store):
    """A store within an open transaction of another: every session is a savepoint of it, nothing is committed alone."""

    def __init__(self, db: Store, session: Session) -> None:
        self.settings, self.engine = db.settings, db.engine
        self._points_engine = None
        self._connection = session.connection()

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """A session that becomes part of the outer transaction at its end, or of nothing on an error."""
        bound = Session(self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        with bound as session, session.begin():
            yield session

    @contextmanager
    def read_scope(self) -> Iterator[Session]:
        """A session that sees what the outer transaction has written so far."""
        with self.session_scope() as session:
            yield session

    def write(self, work: Callable[[Session], _T], *, tries: int = 1) -> _T:
        """Run `work` once: what may pass is tried again with the whole of the outer transaction, which it has undone."""
        with self.session_scope() as session:
            return work(session)

    def close(self) -> None:
        """Nothing to close: the connection is the outer transaction's."""


def at_once(db: Store, work: Callable[[Store], _T]) -> _T:
    """Run `work` on a store whose sessions are one transaction: all of it is done, or nothing."""
    return db.write(lambda session: work(Within(db, session)))


def undone(db: Store, work: Callable[[Store], _T]) -> _T:
    """Run `work` on a store whose sessions are one transaction, and undo it: what it returns is what would have been."""

    def tried(session: Session) -> _T:
        with session.begin_nested() as savepoint:
            result = work(Within(db, session))
            savepoint.rollback()
        return result

    return db.write(tried)
