"""Fills a database from a source."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from satdaemon.db.database import Database
from satdaemon.db.initialise import migrate
from satdaemon.db.store import Store
from satdaemon.db.transfer.compare import compare_sources
from satdaemon.db.transfer.portable import Progress
from satdaemon.db.transfer.revision import known_revisions, upgrade_to
from satdaemon.db.transfer.source import Source, database_source
from satdaemon.db.transfer.tables import VERSIONS, Table, model_tables
from satdaemon.db.transfer.target import DatabaseTarget, database_target
from satdaemon.errors import CorruptProduct, RequestError


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore or a copy did, or would do."""

    source: str
    target: str
    rows: dict[str, int]
    """Table -> rows."""
    equal_already: bool = False
    """The target held exactly this; nothing was written."""
    notes: list[str] = field(default_factory=list)


def fill(db: Store, source: Source, *, dry_run: bool = False, progress: Progress | None = None) -> Restored:
    """Put all rows of a source of this program's schema into an initialised database, or none.

    RequestError where the database has rows of its own, unless they are exactly those of the source.
    """
    tables = _matched(source)
    total, done, rows = sum(source.count(table) for table in tables), 0, {}
    with database_target(db, keep=not dry_run) as target:
        if found := target.rows_of_users():
            occupied = found
        else:
            occupied = {}
            for table in model_tables():
                target.empty(table)
            for table in tables:
                rows[table.name] = 0
                for batch in source.batches(table):
                    target.put(table, batch)
                    rows[table.name] += batch.num_rows
                    done += batch.num_rows
                    if progress is not None:
                        progress(table.name, done, total)
                _check_count(source, table, rows[table.name])
                if table.name == VERSIONS:
                    target.make_partitions()
                if table.numbered is not None:
                    target.set_last_number(table, source.last_number(table) or 0)
    if occupied:
        return _equal_or_refused(db, source, occupied, progress)
    if not dry_run:
        analyse(db)
    return Restored(source.name, target.name, rows, notes=_notes(source, target))


def fill_older(db: Store, source: Source, *, dry_run: bool = False, progress: Progress | None = None) -> Restored:
    """The same for a source of an older schema: made at its revision in a file of its own, migrated there, then put in."""
    with tempfile.TemporaryDirectory(prefix="satdaemon-restore-") as place:
        url = f"sqlite:///{Path(place) / 'older.sqlite'}"
        parameters = db.settings.parameters.model_copy(update={"database": url, "points_database": None})
        with closing(Database(db.settings.model_copy(update={"parameters": parameters}))) as older:
            _make_at(older, source, progress)
            with database_source(older, points=any(table.points for table in source.tables)) as migrated:
                done = fill(db, migrated, dry_run=dry_run, progress=progress)
    note = f"the schema of revision {source.revision} was migrated to {known_revisions()[-1]}"
    return Restored(source.name, done.target, done.rows, done.equal_already, [note, *done.notes])


def _make_at(older: Database, source: Source, progress: Progress | None) -> None:
    upgrade_to(older.engine, source.revision)
    total, done = sum(source.count(table) for table in source.tables), 0
    with older.engine.begin() as connection:
        target = DatabaseTarget(older, connection, connection)
        for table in source.tables:
            connection.execute(text(f'DELETE FROM "{table.name}"'))
            for batch in source.batches(table):
                target.put(table, batch)
                done += batch.num_rows
                if progress is not None:
                    progress(f"{table.name}, as it was", done, total)
            if table.numbered is not None:
                target.set_last_number(table, source.last_number(table) or 0)
    migrate(older.engine)


def analyse(db: Store) -> None:
    """Renew the statistics by which the database chooses its plans."""
    for engine in dict.fromkeys((db.engine, db.points_engine)):
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))


def _matched(source: Source) -> Sequence[Table]:
    """The source's tables; RequestError where they are not those of the models."""
    mine = {table.name: table for table in model_tables()}
    for table in source.tables:
        if table.name not in mine:
            raise RequestError(
                f"{source.name}: table {table.name}: expected tables of this schema, got one that it does not have"
            )
        expected, got = {c.name: c.kind for c in mine[table.name].columns}, {c.name: c.kind for c in table.columns}
        if expected != got:
            names = sorted({n for n in expected.keys() | got.keys() if expected.get(n) != got.get(n)})
            raise RequestError(f"{source.name}: table {table.name}: expected its columns, these differ: {', '.join(names)}")
    given = {table.name for table in source.tables}
    if lacking := sorted(t.name for t in mine.values() if t.name not in given and not t.points):
        raise CorruptProduct(f"{source.name}: expected all tables of its schema, these are not in it: {', '.join(lacking)}")
    return source.tables


def _check_count(source: Source, table: Table, got: int) -> None:
    if got != source.count(table):
        raise CorruptProduct(f"{source.name}: table {table.name}: expected {source.count(table)} rows, got {got}")


def _equal_or_refused(db: Store, source: Source, occupied: dict[str, int], progress: Progress | None) -> Restored:
    points = any(table.points for table in source.tables)
    with database_source(db, points=points) as mine:
        found = compare_sources(source, mine, progress)
    if found.equal:
        return Restored(source.name, found.second, found.rows, equal_already=True)
    stands = ", ".join(f"{name} {count}" for name, count in sorted(occupied.items()))
    differs = ", ".join(d.table for d in found.differences)
    raise RequestError(
        f"database {found.second}: expected an initialised database without rows, or one equal to {source.name}; there are rows: "
        f"{stands}; they differ in: {differs}. Nothing was changed. Dump it if it is wanted, then restore into a new database"
    )


def _notes(source: Source, target: DatabaseTarget) -> list[str]:
    notes = []
    if not any(table.points for table in source.tables):
        notes.append("without points: frames keep their ingest as done; `satdaemon check-consistency` finds what to load again")
    if target.not_finite:
        notes.append(f"{target.not_finite} JSON values held NaN or infinity, which PostgreSQL does not know: null now")
    for table in source.tables:
        if table.name == "running_jobs" and (live := source.count(table)):
            notes.append(f"{live} jobs ran when this was read: they report where they came from; the next plan here resets them")
    return notes
