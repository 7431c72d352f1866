"""The file that a fix leaves: every row as it was before and after, so that it can be put back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Date, Table, inspect, select
from sqlalchemy.orm import Session

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.geometry import Geom
from satdaemon.db.models import Base
from satdaemon.errors import RequestError

FORMAT = 1
_TITLE = "satdaemon check-consistency"


class Dump:
    """Collects rows before and after; `write` puts them on disk, whole or not at all."""

    def __init__(self, who: str, database: str) -> None:
        self.head = {"title": _TITLE, "format": FORMAT, "who": who, "database": database,
                     "created_utc": datetime.now(UTC).isoformat(timespec="seconds")}  # fmt: skip
        self.before: dict[str, list[dict[str, Any]]] = {}
        self.after: dict[str, list[dict[str, Any]]] = {}

    def keep(self, session: Session, model: type[Base], ids: list[Any], *, after: bool = False) -> None:
        """Take in rows as they are now."""
        target = (self.after if after else self.before).setdefault(model.__tablename__, [])
        (key,) = inspect(model).primary_key
        columns = [c for c in model.__table__.columns if not isinstance(c.type, Geom)]  # no fix touches a shape
        for start in range(0, len(ids), 1000):
            found = session.execute(select(*columns).where(key.in_(ids[start : start + 1000])).order_by(key))
            target += [dict(row._mapping) for row in found]

    def write(self, path: Path) -> None:
        """Write the file under a temporary name, to the disk, and rename it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with part.open("w") as file:
            json.dump({**self.head, "before": self.before, "after": self.after}, file, indent=1, default=_plain)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def read_dump(path: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[dict[str, Any]]]]:
    """Rows before and after, by table, with dates and times as such; RequestError for a file that is no dump."""
    try:
        found = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: expected a file that check-consistency --fix wrote, got: {error}") from error
    if not isinstance(found, dict) or found.get("title") != _TITLE or found.get("format") != FORMAT:
        raise RequestError(f"{path}: expected a file that check-consistency --fix wrote (format {FORMAT}), got another one")
    tables = Base.metadata.tables
    before = {name: [_typed(tables[name], row) for row in rows] for name, rows in found["before"].items()}
    after = {name: [_typed(tables[name], row) for row in rows] for name, rows in found["after"].items()}
    return before, after


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"cannot be kept: {value!r}")


def _typed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Values of columns that the table still has, as Python has them."""
    return {name: _value(table.columns[name].type, value) for name, value in row.items() if name in table.columns}


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if isinstance(kind, Date) else value
