"""Dump, copy to SQLite and compare of some hundred thousand rows, against reading the same tables bare."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from bench.database import archive
from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database, transfer
from satdaemon.db.models import Base

FRAMES = {True: 20, False: 2000}
KIB_A_MIB = 1024


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """The portable format, a copy into SQLite, and both proved equal."""
    db, place = Database(settings), Path(tempfile.mkdtemp(prefix="satdaemon-bench-"))
    try:
        rows = archive.write_rows(db, archive.frame_ids(FRAMES[small]))
        dump, url = place / "all.dump", f"sqlite:///{place}/copy.sqlite"
        bare_s = seconds(lambda: _bare_read(db), 3)
        before_mib = _peak_mib()
        lines = [
            Ratio(f"portable dump of {rows} rows / read them bare", _dumped(db, dump), bare_s),
            Ratio("copy to SQLite / the same", seconds(lambda: transfer.copy(db, url)), bare_s),
            Ratio("compare with the copy / the same", seconds(lambda: _equal(db, url)), bare_s),
            Ratio("compare with the dump / the same", seconds(lambda: _equal(db, str(dump))), bare_s),
        ]
        return [*lines, Ratio("peak memory of all / before", _peak_mib(), before_mib, unit="MiB")]
    finally:
        db.close()
        shutil.rmtree(place)


def _dumped(db: Database, path: Path) -> float:
    return seconds(lambda: transfer.dump(db, path, form="portable"))


def _equal(db: Database, other: str) -> None:
    if not (found := transfer.compare(db, other)).equal:
        raise AssertionError(f"expected no difference, got {found.differences[:1]}")


def _bare_read(db: Database) -> None:
    """Every table by COPY on PostgreSQL, by the driver's rows on SQLite."""
    raw: Any = db.engine.raw_connection()
    cursor = raw.cursor()
    for table in Base.metadata.sorted_tables:
        if db.on_postgresql:
            with Path(os.devnull).open("wb") as nowhere:
                cursor.copy_expert(f"COPY (SELECT * FROM {table.name}) TO STDOUT (FORMAT binary)", nowhere)
        else:
            cursor.execute(f"SELECT * FROM {table.name}")
            while cursor.fetchmany(10_000):
                pass
    raw.close()


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_A_MIB
