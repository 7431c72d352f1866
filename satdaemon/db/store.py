"""The connection: settings, engine, sessions. The facade and every module of db stand on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from satdaemon.config import Settings, load
from satdaemon.db.models import Point, PointSeries, PointsVersion
from satdaemon.db.session import READ_ONLY, open_engine
from satdaemon.errors import DatabaseUnavailable

_T = TypeVar("_T")
_AGAIN = ("40001", "40P01")
"""PostgreSQL: serialisation, deadlock. A lost connection is DatabaseUnavailable (satdaemon/db/failures.py)."""


class Store:
    """One processing database, opened by a configuration."""

    def __init__(self, config: Settings | Path | str | None = None) -> None:
        self.settings: Settings = config if isinstance(config, Settings) else load(config)
        self.engine: Engine = open_engine(self.settings.parameters.database)
        self._points_engine: Engine | None = None

    @property
    def on_postgresql(self) -> bool:
        """True on PostgreSQL, False on SQLite."""
        return self.engine.dialect.name == "postgresql"

    @property
    def points_engine(self) -> Engine:
        """Where the points tables are: a database of their own, or this one."""
        url = self.settings.parameters.points_database
        if url is None or url == self.settings.parameters.database:
            return self.engine
        if self._points_engine is None:
            self._points_engine = open_engine(url)
        return self._points_engine

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on an error. Its objects stay usable afterwards."""
        with Session(self.engine, binds=self._binds(self.points_engine), expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read_scope(self) -> Iterator[Session]:
        """A session that only reads and never waits for a writer."""
        engine, points = (e.execution_options(**{READ_ONLY: True}) for e in (self.engine, self.points_engine))
        with Session(engine, binds=self._binds(points), expire_on_commit=False) as session:
            yield session

    def _binds(self, points: Engine) -> dict[Any, Any]:
        """The points tables are read and written where they are."""
        if self.points_engine is self.engine:
            return {}
        return dict.fromkeys((PointsVersion, Point, PointSeries), points)

    def write(self, work: Callable[[Session], _T], *, tries: int = 6) -> _T:
        """Run `work` in one transaction; again where the database restarted, or broke a deadlock.

        `work` must be safe to repeat: its first run may have been committed though the answer was lost.
        """
        for left in range(tries - 1, -1, -1):
            try:
                with self.session_scope() as session:
                    return work(session)
            except (DBAPIError, DatabaseUnavailable) as error:
                if left == 0 or not _may_pass(error):
                    raise
                time.sleep(0.2 * 2 ** (tries - 1 - left))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self._points_engine is not None:
            self._points_engine.dispose()


def _may_pass(error: DBAPIError | DatabaseUnavailable) -> bool:
    if isinstance(error, DatabaseUnavailable):
        return True
    return error.connection_invalidated or getattr(error.orig, "pgcode", None) in _AGAIN
