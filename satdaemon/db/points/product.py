"""The ingest product as arrays: points.parquet, series.npy, product.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.db.points.cells import cell_of
from satdaemon.errors import CorruptProduct

COLUMNS = {
    "height_m": "height",
    "velocity": "velocity",
    "velocity_std": "velocity_std",
    "temporal_coherence": "coherence",
    "incidence_deg": "incidence",
    "dem_error_m": "dem_error",
    "seasonal_sin": "seasonal_sin",
    "seasonal_cos": "seasonal_cos",
}
"""Column of the points table -> column of points.parquet."""


@dataclass(frozen=True, slots=True)
class PointsProduct:
    """A set of points in memory; the series stay on disk."""

    point_id: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    cell: NDArray[np.int64]
    """Place along the Z curve."""
    values: dict[str, NDArray[np.float32]]
    """By column of the points table."""
    series: NDArray[np.int16]
    """(points, dates), 0.1 mm, memory-mapped."""
    dates: list[str]
    attributes: dict[str, Any]


def read_points_product(directory: Path) -> PointsProduct:
    """Read an ingest product; CorruptProduct where its files do not fit each other."""
    import pyarrow.parquet as pq  # slow to import, and needed by one stage only

    try:
        table = pq.ParquetFile(directory / "points.parquet").read()
        series = np.load(directory / "series.npy", mmap_mode="r")
        about = json.loads((directory / "product.json").read_text())
        dates, names = list(about["dates"]), set(table.column_names)
    except (OSError, ValueError, KeyError) as error:
        raise CorruptProduct(f"{directory}: expected points.parquet, series.npy and product.json, got: {error}") from error
    lacking = sorted({"id", "lon", "lat", "velocity"} - names)
    if lacking or series.ndim != 2 or series.dtype != np.int16 or series.shape != (table.num_rows, len(dates)):
        raise CorruptProduct(
            f"{directory}: expected {table.num_rows} points with series of {len(dates)} dates in int16, "
            f"got {series.dtype} {series.shape}" + (f" and no column {', '.join(lacking)}" if lacking else "")
        )
    if not dates or dates != sorted(set(dates)) or not all(_is_day(day) for day in dates):
        raise CorruptProduct(f"{directory}: expected dates in order, each once, as 2024-01-31, got {dates[:5]} ...")
    unknown = np.full(table.num_rows, np.nan, np.float32)
    values = {own: _array(table[name]).astype(np.float32) if name in names else unknown for own, name in COLUMNS.items()}
    ids, lon, lat = (_array(table[name]) for name in ("id", "lon", "lat"))
    _check(directory, ids, lon, lat)
    attributes = {k: about[k] for k in ("reference", "metrics", "master_date") if k in about}
    attributes["bounds"] = [float(v) for v in (lon.min(), lat.min(), lon.max(), lat.max())]
    return PointsProduct(ids, lon, lat, cell_of(lon, lat), values, series, dates, attributes)


def _array(column: Any) -> NDArray[Any]:
    """A column's numbers, NaN where there are none. Its own `to_numpy` would import pandas, which takes seconds."""
    import pyarrow.compute as pc

    whole = column.combine_chunks()
    return np.from_dlpack(pc.fill_null(whole, np.nan) if whole.null_count else whole)


def _check(directory: Path, ids: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
    if not len(ids):
        raise CorruptProduct(f"{directory}: expected points, got none")
    repeated = int((np.diff(np.sort(ids)) == 0).sum())
    placed = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    if repeated or not placed.all():
        raise CorruptProduct(
            f"{directory}: expected each id once and every point at a longitude and latitude in degrees, "
            f"got {repeated} ids again and {int((~placed).sum())} points without a place"
        )


def _is_day(text: Any) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
