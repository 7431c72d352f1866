"""Ingest products of random points, loaded and shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from satdaemon.db import Database, points

NAMES = ("height", "dem_error", "incidence", "velocity", "velocity_std", "seasonal_sin", "seasonal_cos", "coherence")


def show_points(db: Database, frame_id: str, directory: Path, job_id: int = 1) -> int:
    """Load a product and show it; the version."""
    version = points.load_version(db, frame_id, directory, job_id, 1)
    with db.session_scope() as session:
        points.activate(session, version)
    return version


def write_points(
    directory: Path,
    count: int,
    dates: int,
    seed: int = 0,
    *,
    west: float = -2.0,
    one_place: bool = False,
    unknown: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """points.parquet, series.npy and product.json; the columns and `series` as written.

    The frame is 0.5 degrees wide and may cross the 180th meridian. Every third value of the columns `unknown` is NaN.
    """
    random = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    side = int(np.ceil(np.sqrt(count)))
    index = np.arange(count)
    row, col = index // side, index % side
    columns = {
        "id": row * 2**20 + col,
        "lon": west + 0.5 * col / side + random.uniform(0, 0.2 / side, count),
        "lat": 52 + 0.5 * row / side,
        **{name: random.normal(size=count).astype(np.float32) for name in NAMES},
    }
    columns["lon"] = np.where(columns["lon"] > 180, columns["lon"] - 360, columns["lon"])
    if one_place:
        columns["lon"][:], columns["lat"][:] = west, 52.0
    columns["dem_error"][::7] = np.nan
    for name in unknown:
        columns[name][::3] = np.nan
    series = random.integers(-3000, 3000, (count, dates)).astype(np.int16)
    series[::11, -1] = -32768
    pq.write_table(pa.table(columns), directory / "points.parquet")
    np.save(directory / "series.npy", series)
    days = [f"{np.datetime64('2020-01-01') + 12 * k}" for k in range(dates)]
    (directory / "product.json").write_text(json.dumps({"dates": days, "master_date": days[0]}))
    return {**columns, "series": series}
