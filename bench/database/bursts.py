"""A global burst map into the database: against the promised two minutes, and a bare COPY of the same rows."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.burst_map import load_burst_map
from satdaemon.insar.bursts import BURSTS_PER_REPEAT, place_of_esa_id, track_of_esa_id

MOST_S = 120.0
MOST_MIB = 1024.0
ROWS = 1_100_336
"""What was promised in MOST_S."""


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """Load all bursts there can be (three swaths), load them again, and copy them bare."""
    db = Database(settings)
    with tempfile.TemporaryDirectory() as place:
        path = make_map(Path(place) / "bursts.parquet", BURSTS_PER_REPEAT // (100 if small else 1))
        rows = pq.read_metadata(path).num_rows
        Path("/proc/self/clear_refs").write_text("5")  # making the map took memory too: forget that peak (proc(5))
        before = _memory_mib("VmRSS")
        first = seconds(lambda: load_burst_map(db, path))
        grown = _memory_mib("VmHWM") - before
        again = seconds(lambda: load_burst_map(db, path))
    lines = [
        Ratio(f"burst map, {rows} rows / promised", first, MOST_S * rows / ROWS, most=1.0),
        Ratio("burst map: memory / promised", grown, MOST_MIB, most=1.0, unit="MiB", note="growth of the peak"),
        Ratio("burst map again / first time", again, first),
    ]
    if db.on_postgresql:
        lines.append(Ratio("burst map / bare COPY, same table and indexes", first, _bare_copy(db)))
    db.close()
    return lines


def make_map(path: Path, cycles: int) -> Path:
    """A map in the layout of columns burst_id, swath, track, passdir, lonlat_e6; polygons of six corners."""
    esa_id, swath = np.repeat(np.arange(1, cycles + 1), 3), np.tile([1, 2, 3], cycles)
    _, anx = place_of_esa_id(esa_id, swath)
    turn = 2 * np.pi * anx / 59246
    lat, lon = 75 * np.sin(turn), (esa_id * 0.061 + swath) % 300 - 150
    corners = np.array([(0, 0), (0.6, 0.03), (1.2, 0.06), (1.15, 0.26), (0.55, 0.23), (-0.05, 0.2)])
    # A degree of longitude is shorter towards the poles; a burst is not.
    wide = corners[None, :, 0] / np.cos(np.radians(lat))[:, None]
    both = np.stack([lon[:, None] + wide, lat[:, None] + corners[None, :, 1]], axis=-1)
    lists = pa.ListArray.from_arrays(np.arange(len(esa_id) + 1) * 12, np.rint(both * 1e6).astype(np.int32).ravel())
    table = pa.table(
        {
            "burst_id": esa_id.astype(np.int32),
            "swath": pa.array([f"IW{s}" for s in swath]).dictionary_encode(),
            "track": track_of_esa_id(esa_id).astype(np.int16),
            "passdir": pa.array(np.where(np.cos(turn) > 0, "A", "D")).dictionary_encode(),
            "lonlat_e6": lists,
        }
    )
    pq.write_table(table, path, row_group_size=500_000)
    return path


def _memory_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def _bare_copy(db: Database) -> float:
    connection = db.engine.raw_connection()
    cursor: Any = connection.cursor()
    content = io.BytesIO()
    cursor.copy_expert("COPY bursts TO STDOUT (FORMAT binary)", content)
    cursor.execute("CREATE TABLE bare_bursts (LIKE bursts INCLUDING ALL)")
    content.seek(0)

    def work() -> None:
        cursor.copy_expert("COPY bare_bursts FROM STDIN (FORMAT binary)", content)
        connection.commit()

    wall = seconds(work)
    cursor.execute("DROP TABLE bare_bursts")
    connection.commit()
    connection.close()
    return wall
