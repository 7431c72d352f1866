"""Dump, restore, copy, compare: what the commands `satdaemon db ...` call."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from satdaemon.db.database import Database
from satdaemon.db.failures import shown
from satdaemon.db.initialise import init_database, migrate
from satdaemon.db.transfer import postgresql
from satdaemon.db.transfer.compare import Comparison, compare_sources
from satdaemon.db.transfer.load import Restored, analyse, fill, fill_older
from satdaemon.db.transfer.portable import PortableSource, Progress, open_portable, write_portable
from satdaemon.db.transfer.publish import check_free
from satdaemon.db.transfer.revision import known_revisions
from satdaemon.db.transfer.source import Source, database_source
from satdaemon.db.transfer.tables import has_schema
from satdaemon.db.transfer.target import database_target
from satdaemon.errors import CorruptProduct, RequestError

AUTO, PG, PORTABLE = "auto", "pg", "portable"
FORMATS = (AUTO, PG, PORTABLE)


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a dump wrote."""

    source: str
    format: str
    files: list[str]
    bytes: int
    rows: dict[str, int] | None
    """Table -> rows; None for pg_dump's format, which does not tell."""
    points: bool


def dump(
    db: Database, path: Path, *, form: str = AUTO, points: bool = True, force: bool = False, progress: Progress | None = None
) -> Dumped:
    """Write the whole database into a file, as it stood at one moment; others go on writing.

    `auto` takes pg_dump on PostgreSQL where it is installed, and the portable format elsewhere. Where the points have a
    database of their own, pg_dump writes a second file beside the first, with `.points` after its name.
    """
    if form not in FORMATS:
        raise RequestError(f"format: expected one of {', '.join(FORMATS)}, got {form!r}")
    check_free(path, force=force)
    with database_source(db, points=points) as source:
        if _by_pg_dump(db, form):
            written = {path: postgresql.write_dump(db.engine, path, points=points, force=force)}
            if points and db.points_engine is not db.engine:
                apart = _beside(path)
                written[apart] = postgresql.write_dump(db.points_engine, apart, force=force)
            return Dumped(source.name, PG, [str(p) for p in written], sum(written.values()), None, points)
        rows = write_portable(source, path, force=force, progress=progress)
    return Dumped(source.name, PORTABLE, [str(path)], path.stat().st_size, rows, points)


def _by_pg_dump(db: Database, form: str) -> bool:
    engines = {db.engine, db.points_engine}
    suits = all(engine.dialect.name == "postgresql" for engine in engines)
    if form == PG and not suits:
        raise RequestError(f"format pg: expected PostgreSQL, got {db.engine.dialect.name}; use --format portable")
    if form == PORTABLE or not suits:
        return False
    try:
        for engine in engines:
            postgresql.program("pg_dump", postgresql.server_major(engine))
    except RequestError:
        if form == PG:
            raise
        return False
    return True


def restore(db: Database, path: Path, *, dry_run: bool = False, progress: Progress | None = None) -> Restored:
    """Put a dump into an initialised database, all of it or nothing.

    Raises RequestError where rows stand there that are not those of the dump, and CorruptProduct for a damaged dump.
    """
    if not path.is_file():
        raise RequestError(f"{path}: expected a dump, found no such file")
    if not has_schema(db.engine):
        if dry_run:
            raise RequestError(f"database {shown(db.engine.url)}: expected tables; first run `satdaemon init-database`")
        init_database(db.settings).close()
    with path.open("rb") as stream:
        start = stream.read(len(postgresql.MAGIC))
    if start == postgresql.MAGIC:
        return _restore_pg(db, path, dry_run)
    if not zipfile.is_zipfile(path):
        raise CorruptProduct(f"{path}: expected a dump written by `satdaemon db dump`, got another kind of file, or part of one")
    with open_portable(path) as source:
        source.check(progress)
        return _put(db, source, dry_run, progress)


def _put(db: Database, source: Source, dry_run: bool, progress: Progress | None) -> Restored:
    _check_known(source.name, source.revision)
    into = fill if source.revision == known_revisions()[-1] else fill_older
    return into(db, source, dry_run=dry_run, progress=progress)


def _check_known(name: str, revision: str | None) -> None:
    if revision not in known_revisions():
        raise RequestError(
            f"{name}: its schema is at revision {revision}, expected one of {', '.join(known_revisions())}; "
            "update SatDaemon, then restore"
        )


def _restore_pg(db: Database, path: Path, dry_run: bool) -> Restored:
    name = shown(db.engine.url)
    if not db.on_postgresql:
        raise RequestError(f"{path}: written by pg_dump, which only PostgreSQL reads; dump with --format portable for {name}")
    with database_target(db, keep=False) as target:
        if occupied := target.rows_of_users():
            stands = ", ".join(f"{table} {count}" for table, count in sorted(occupied.items()))
            raise RequestError(
                f"database {name}: expected an initialised database without rows, there are: {stands}. Nothing was changed; "
                "restore into a new database"
            )
    engines = {path: db.engine} if db.points_engine is db.engine else {_beside(path): db.points_engine, path: db.engine}
    found = {part: engine for part, engine in engines.items() if part.exists()}
    tables: set[str] = set()
    for part, engine in found.items():
        _check_known(str(part), postgresql.revision_in(engine, part))
        tables |= set(postgresql.tables_in(engine, part))
    notes = [f"in the dump: {', '.join(sorted(tables))}"]
    if not dry_run:
        for part, engine in found.items():
            postgresql.read_dump(engine, part)
            engine.dispose()  # what its connections had prepared is gone
            migrate(engine)
        analyse(db)
    return Restored(str(path), name, {}, notes=notes)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".points")


def copy(
    db: Database, url: str, *, points_url: str | None = None, points: bool = True, dry_run: bool = False,
    progress: Progress | None = None,
) -> Restored:  # fmt: skip
    """Copy the whole database into another one, which is initialised where it is not yet. All of it or nothing."""
    if _is_same(_url(url), db.engine.url):
        raise RequestError(f"copy: expected another database than {shown(db.engine.url)} itself")
    with closing(_other(db, url, points_url)) as other:
        if not has_schema(other.engine):
            if dry_run:
                with database_source(db, points=points) as source:
                    rows = {table.name: source.count(table) for table in source.tables}
                return Restored(shown(db.engine.url), shown(other.engine.url), rows, notes=["would be initialised first"])
            init_database(other.settings).close()
        with database_source(db, points=points) as source:
            return fill(other, source, dry_run=dry_run, progress=progress)


def compare(
    db: Database, other: str, *, points_url: str | None = None, points: bool = True, progress: Progress | None = None
) -> Comparison:
    """Compare the database with another one (a URL) or with a portable dump (a file), row by row."""
    with ExitStack() as stack:
        second: Source = stack.enter_context(_opened(db, other, points_url, points))
        with_points = points and any(table.points for table in second.tables)
        first = stack.enter_context(database_source(db, points=with_points))
        return compare_sources(first, second, progress)


@contextmanager
def _opened(db: Database, other: str, points_url: str | None, points: bool) -> Iterator[Source]:
    if "://" not in other:
        with _dump_without(Path(other), points) as dumped:
            yield dumped
        return
    with closing(_other(db, other, points_url)) as there, database_source(there, points=points) as source:
        yield source


@contextmanager
def _dump_without(path: Path, points: bool) -> Iterator[PortableSource]:
    if not path.is_file():
        raise RequestError(f"{path}: expected a database's URL or a dump, found no such file")
    with open_portable(path) as source:
        source.tables = [table for table in source.tables if points or not table.points]
        yield source


def _is_same(one: URL, two: URL) -> bool:
    if one.get_backend_name() == two.get_backend_name() == "sqlite":
        return Path(one.database or "").resolve() == Path(two.database or "").resolve()
    return (one.host, one.port, one.database, one.query) == (two.host, two.port, two.database, two.query)


def _url(url: str) -> URL:
    """The URL of the other side; RequestError where it is none."""
    try:
        return make_url(url)
    except ArgumentError as error:
        forms = "sqlite:///FILE or postgresql+psycopg2://USER@HOST/NAME"
        raise RequestError(f"expected a database's URL ({forms}), got {url!r}") from error


def _other(db: Database, url: str, points_url: str | None) -> Database:
    _url(url)
    places = {"database": url, "points_database": points_url}
    parameters = db.settings.parameters.model_copy(update=places)
    return Database(db.settings.model_copy(update={"parameters": parameters}))
