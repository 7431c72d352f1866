"""Ingest products of random points."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NAMES = ("height", "dem_error", "incidence", "velocity", "velocity_std", "seasonal_sin", "seasonal_cos", "coherence")


def write_points(directory: Path, count: int, dates: int, seed: int = 0) -> dict[str, np.ndarray]:
    """points.parquet, series.npy and product.json; the columns and `series` as written."""
    random = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    side = int(np.ceil(np.sqrt(count)))
    index = np.arange(count)
    row, col = index // side, index % side
    columns = {
        "id": row * 2**20 + col,
        "lon": -2 + 0.5 * col / side + random.uniform(0, 0.2 / side, count),
        "lat": 52 + 0.5 * row / side,
        **{name: random.normal(size=count).astype(np.float32) for name in NAMES},
    }
    columns["dem_error"][::7] = np.nan
    series = random.integers(-3000, 3000, (count, dates)).astype(np.int16)
    series[::11, -1] = -32768
    pq.write_table(pa.table(columns), directory / "points.parquet")
    np.save(directory / "series.npy", series)
    days = [f"{np.datetime64('2020-01-01') + 12 * k}" for k in range(dates)]
    (directory / "product.json").write_text(json.dumps({"dates": days, "master_date": days[0]}))
    return {**columns, "series": series}
