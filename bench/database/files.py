"""Product zips: a walk over known ones against the promised five seconds, and reading new ones against reading alone."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from simulated import zip_of

from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database, File, FileOrbit
from satdaemon.db.files import ingest_files
from satdaemon.db.upsert import insert_many
from satdaemon.insar.safe import SafeProduct, read_product

MOST_S = 5.0
ZIPS = 10_000
"""What was promised in MOST_S."""


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """Known zips, then new ones."""
    db = Database(settings)
    root = settings.parameters.data_path
    count = ZIPS // (100 if small else 1)
    _known_zips(db, root, count)
    ours = seconds(lambda: _expect(ingest_files(db, workers=2).unchanged, count), 3)
    lines = [
        Ratio(f"{count} known zips / promised", ours, MOST_S * count / ZIPS, most=None if small else 1.0),
        Ratio(f"{count} known zips / os.walk and stat", ours, seconds(lambda: _bare_walk(root), 3)),
    ]
    fresh = 24 if small else 240
    template = zip_of(0)
    folder = root / "T132"
    folder.mkdir()
    for k in range(fresh):
        shutil.copy(template, folder / f"{k:06d}_{template.name}")
    reading = seconds(lambda: [read_renamed(path) for path in folder.iterdir()])
    ours = seconds(lambda: _expect(ingest_files(db, workers=2, checksum=False, read=read_renamed).added, fresh))
    lines.append(Ratio(f"{fresh} new zips, 2 readers / read alone, 1 process", ours, reading, note="bursts and frames linked"))
    db.close()
    return lines


def read_renamed(path: Path) -> SafeProduct:
    """The same acquisition under a name of its own."""
    product = read_product(path)
    return replace(product, id=f"{product.id[:-4]}{int(path.name[:6]):04X}")


def _known_zips(db: Database, root: Path, count: int) -> None:
    """Small files over ten tracks, and the rows that know them."""
    rows = []
    for k in range(count):
        folder = root / f"T{k % 10 + 1:03d}"
        if k < 10:
            folder.mkdir(parents=True)
        path = folder / f"S1A_IW_SLC__1SDV_20200101T000000_20200101T000027_{k:06d}_000000_0000.zip"
        path.write_bytes(b"known")
        stat = path.stat()
        rows.append(
            {
                "id": path.stem, "abspath": str(path), "track": k % 10 + 1, "orbit_direction": "A", "date": date(2020, 1, 1),
                "start_utc": datetime(2020, 1, 1, tzinfo=UTC), "state": "on_disk", "size": stat.st_size,
                "mtime_ns": stat.st_mtime_ns,
            }
        )  # fmt: skip
    with db.session_scope() as session:
        insert_many(session, File, rows)
        insert_many(session, FileOrbit, [{"file_id": row["id"], "problem": "no zip of a product"} for row in rows])


def _bare_walk(root: Path) -> int:
    return sum(os.stat(f"{folder}/{name}").st_size for folder, _, names in os.walk(root) for name in names)  # noqa: PTH116


def _expect(found: int, expected: int) -> None:
    if found != expected:
        raise AssertionError(f"expected {expected} files, found {found}")
