"""Whether two databases (or dumps) hold the same, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import shapely

from satdaemon.db.transfer.kinds import Kind
from satdaemon.db.transfer.portable import Progress
from satdaemon.db.transfer.source import Source
from satdaemon.db.transfer.tables import Table
from satdaemon.db.transfer.target import finite
from satdaemon.errors import RequestError

SHOWN = 5
"""Examples that are told of each table."""


@dataclass(slots=True)
class Difference:
    """What differs in one table."""

    table: str
    rows: tuple[int, int]
    only_in_first: int = 0
    only_in_second: int = 0
    changed: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Rows that differ, and notes."""
        return self.only_in_first + self.only_in_second + self.changed or len(self.examples)

    def note(self, words: str) -> None:
        """Keep an example."""
        if len(self.examples) < SHOWN:
            self.examples.append(words)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tables that were compared, and what differs."""

    first: str
    second: str
    rows: dict[str, int]
    """Rows of each table of the first."""
    differences: list[Difference]

    @property
    def equal(self) -> bool:
        """True where nothing differs."""
        return not self.differences


def compare_sources(first: Source, second: Source, progress: Progress | None = None) -> Comparison:
    """Compare every row and every value. NaN counts as NULL, since SQLite has none."""
    if first.revision != second.revision:
        raise RequestError(
            f"{first.name} has the schema of revision {first.revision}, {second.name} that of {second.revision}: "
            "expected the same; migrate the older with `satdaemon init-database`"
        )
    others = {table.name: table for table in second.tables}
    names = {table.name for table in first.tables}
    total, done = sum(first.count(table) for table in first.tables), 0
    rows, differences = {}, []
    for table in first.tables:
        other = others.get(table.name)
        counts = first.count(table), second.count(other) if other is not None else 0
        rows[table.name] = counts[0]
        found = Difference(table.name, counts)
        if other is None:
            found.only_in_first = counts[0]
            found.note("the second has no such table")
        else:
            _compare(first, second, table, other, found)
        if found.total:
            differences.append(found)
        done += counts[0]
        if progress is not None:
            progress(table.name, done, total)
    for table in second.tables:
        if table.name not in names:
            count = second.count(table)
            differences.append(Difference(table.name, (0, count), 0, count, 0, ["the first has no such table"]))
    return Comparison(first.name, second.name, rows, differences)


def _compare(first: Source, second: Source, table: Table, other: Table, found: Difference) -> None:
    if table.columns != other.columns and set(table.columns) != set(other.columns):
        found.note("the columns differ")
        return
    if (one := first.last_number(table)) != (two := second.last_number(other)):
        found.note(f"last number given: {one} and {two}")
    mine, theirs = _Rows(first.batches(table), table), _Rows(second.batches(other), table)
    while mine.more() and theirs.more():
        if mine.same_batch(theirs):
            mine.skip_batch()
            theirs.skip_batch()
            continue
        _merge_batch(mine, theirs, table, found)
    for rows, count in ((mine, "only_in_first"), (theirs, "only_in_second")):
        while rows.more():
            _alone(rows, table, found, count)


def _merge_batch(mine: _Rows, theirs: _Rows, table: Table, found: Difference) -> None:
    """Walk on until either side comes to a new batch."""
    while mine.inside and theirs.inside:
        one, two = mine.row(), theirs.row()
        keys = _order(one, table), _order(two, table)
        if keys[0] < keys[1]:
            _alone(mine, table, found, "only_in_first")
        elif keys[1] < keys[0]:
            _alone(theirs, table, found, "only_in_second")
        else:
            changed = [c.name for c in table.columns if not _same(c.kind, one[c.name], two[c.name])]
            if changed:
                found.changed += 1
                name = changed[0]
                found.note(f"{_key(one, table)}: {name}: {_short(one[name])} and {_short(two[name])}")
            mine.step()
            theirs.step()


def _alone(rows: _Rows, table: Table, found: Difference, count: str) -> None:
    setattr(found, count, getattr(found, count) + 1)
    found.note(f"{_key(rows.row(), table)}: {count.replace('_', ' ')}")
    rows.step()


class _Rows:
    """Batches, walked row by row where they differ."""

    def __init__(self, batches: Iterator[pa.RecordBatch], table: Table) -> None:
        self._batches = batches
        self._names = [column.name for column in table.columns]
        self._batch: pa.RecordBatch | None = None
        self._rows: list[dict[str, Any]] | None = None
        self._at = 0

    @property
    def inside(self) -> bool:
        """True while the batch at hand has rows left."""
        return self._batch is not None and self._at < self._batch.num_rows

    def more(self) -> bool:
        """True while there are rows; reads the next batch where the last is used up."""
        while not self.inside:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._batch, self._rows, self._at = _without_nan(batch.select(self._names)), None, 0
        return True

    def same_batch(self, other: _Rows) -> bool:
        """True where both are at the start of batches that are equal."""
        if self._at or other._at or self._batch is None or other._batch is None:
            return False
        return bool(self._batch.equals(other._batch))

    def skip_batch(self) -> None:
        """Leave the rest of the batch."""
        self._batch = None

    def row(self) -> dict[str, Any]:
        """The row at hand."""
        assert self._batch is not None
        if self._rows is None:
            self._rows = self._batch.to_pylist()
        return self._rows[self._at]

    def step(self) -> None:
        """Go to the next row."""
        self._at += 1


def _without_nan(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pc.if_else(pc.is_nan(c), None, c) if pa.types.is_floating(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _order(row: dict[str, Any], table: Table) -> tuple[Any, ...]:
    return tuple(v.encode() if isinstance(v := row[name], str) else v for name in table.key)


def _key(row: dict[str, Any], table: Table) -> str:
    return " ".join(str(row[name]) for name in table.key)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _same(kind: Kind, one: Any, two: Any) -> bool:
    if one == two or one is None or two is None:
        return bool(one == two)
    if kind is Kind.JSON:
        return _same_json(one, two)
    return kind is Kind.GEOMETRY and _same_geometry(one, two)


def _same_json(one: str, two: str) -> bool:
    values = finite(json.loads(one)), finite(json.loads(two))
    return bool(values[0] == values[1])


def _same_geometry(one: bytes, two: bytes) -> bool:
    shapes = shapely.from_wkb([one, two])
    same_srid = shapely.get_srid(shapes[0]) == shapely.get_srid(shapes[1])
    return bool(same_srid and shapely.equals_exact(shapes[0], shapes[1], 0.0, normalize=False))
