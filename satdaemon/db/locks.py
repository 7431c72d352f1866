"""Locks that one process of all holds, and that a dead process gives up by itself."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import text

from satdaemon.db.session import sqlite_path
from satdaemon.db.store import Store


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock: the number by which PostgreSQL knows it, and the ending of its file beside a SQLite database."""

    number: int
    name: str


PLANNER = Lock(7_310_002, "planner")
MESSAGES = Lock(7_310_004, "messages")


@contextmanager
def alone(db: Store, lock: Lock) -> Iterator[bool]:
    """Yields True to one holder at a time, False to all others, at once."""
    if db.on_postgresql:
        with db.engine.connect() as connection:
            got = bool(connection.scalar(text(f"SELECT pg_try_advisory_lock({lock.number})")))
            connection.commit()
            try:
                yield got
            finally:
                if got:
                    connection.scalar(text(f"SELECT pg_advisory_unlock({lock.number})"))
                    connection.commit()
        return
    path = sqlite_path(db.engine)
    with path.with_name(f"{path.name}.{lock.name}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
