"""ingest: the frame's points as files that a points database takes in one go: points.parquet and series.npy.

`points.parquet` is GeoParquet 1.1 (WKB points, WGS84 lon/lat). `series.npy` is int16, points x dates in the same order, in
0.1 mm, -32768 where unknown. The dates and the reference stand in product.json and in the parquet's metadata.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from satdaemon.config.stages import IngestSettings
from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import DataError, ProcessingError
from satdaemon.processors.base import METADATA_NAME, Report, settings_of, write_metadata
from satdaemon.processors.builtin.series_store import CHUNK, NAME, open_series
from satdaemon.processors.registry import VERSION
from satdaemon.status import Stage

POINTS, SERIES = "points.parquet", "series.npy"
NODATA = -32768
STEP_MM = 0.1
COLUMNS: dict[str, tuple[Any, str, str]] = {
    "id": (pa.int64(), "1", "row * 2**20 + col on the frame grid"),
    "lon": (pa.float64(), "deg", "longitude, WGS84"),
    "lat": (pa.float64(), "deg", "latitude, WGS84"),
    "height": (pa.float32(), "m", "height above the ellipsoid, DEM"),
    "dem_error": (pa.float32(), "m", "height above the DEM relative to the surroundings, NaN not estimated"),
    "incidence": (pa.float32(), "deg", "incidence angle"),
    "velocity": (pa.float32(), "mm/yr", "LOS velocity, positive towards the satellite"),
    "velocity_std": (pa.float32(), "mm/yr", "standard error of the velocity"),
    "seasonal_sin": (pa.float32(), "mm", "sine term of the yearly cycle, NaN not fitted"),
    "seasonal_cos": (pa.float32(), "mm", "cosine term of the yearly cycle, NaN not fitted"),
    "coherence": (pa.float32(), "1", "temporal coherence, 0..1"),
    "pairs_used": (pa.int32(), "1", "interferograms of the point"),
}


class IngestProcessor:
    """Points and series of a frame, checked."""

    name = "builtin"
    version = VERSION[Stage.INGEST]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make `points.parquet` and `series.npy`."""
        settings = settings_of(job, IngestSettings)
        if "timeseries" not in job.inputs:
            raise DataError(f"ingest {job.key}: expected the product timeseries, got {', '.join(sorted(job.inputs))}")
        source = open_series(job.inputs["timeseries"] / NAME)
        chosen, dropped = _choose(source, settings.min_temporal_coherence)
        metrics = _write(job, source, chosen, report)
        check(job.out_dir)
        warnings = []
        if dropped:
            warnings.append(f"{dropped} points without a place on the ground were left out")
        if metrics["clipped"]:
            warnings.append(f"{metrics['clipped']} displacements beyond {32767 * STEP_MM:g} mm were clipped to it")
        for text in warnings:
            report.warning(text)
        metrics["dropped"] = dropped
        extra = {"dates": list(source.attrs["dates"]), "reference": _place_only(source.attrs["reference"]),
                 "nodata": NODATA, "step_mm": STEP_MM}
        write_metadata(job, processor=self.name, version=self.version, files=_files(metrics), metrics=metrics,
                       extra=extra)
        return StageResult((POINTS, SERIES, METADATA_NAME), metrics, tuple(warnings), (), self.name, self.version)


def to_steps(displacement_mm: NDArray[np.float32]) -> tuple[NDArray[np.int16], int]:
    """Series in 0.1 mm, NaN as -32768, and how many values were clipped to +-3276.7 mm."""
    steps = np.round(displacement_mm.astype(np.float64) / STEP_MM)
    known = np.isfinite(steps)
    clipped = int((np.abs(steps[known]) > 32767).sum())
    result = np.where(known, np.clip(np.nan_to_num(steps), -32767, 32767), NODATA)
    return result.astype(np.int16), clipped


def _choose(source: Any, least: float) -> tuple[NDArray[np.int64], int]:
    """Places of the points to take, and how many lack a position."""
    agreed = np.asarray(source["temporal_coherence"][:])
    placed = np.isfinite(np.asarray(source["lon"][:])) & np.isfinite(np.asarray(source["lat"][:]))
    wanted = agreed >= least
    chosen = np.flatnonzero(wanted & placed)
    if len(chosen) == 0:
        raise ProcessingError(f"no point of {len(agreed)} has a position and temporal coherence >= {least:g}")
    return chosen, int((wanted & ~placed).sum())


def _write(
    job: StageInput, source: Any, chosen: NDArray[np.int64], report: Report
) -> dict[str, float | int | str]:
    dates = len(source.attrs["dates"])
    lon, lat = np.asarray(source["lon"][:])[chosen], np.asarray(source["lat"][:])[chosen]
    bounds = [float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())]
    series = np.lib.format.open_memmap(job.out_dir / SERIES, mode="w+", dtype=np.int16, shape=(len(chosen), dates))
    clipped = done = 0
    with pq.ParquetWriter(job.out_dir / POINTS, _schema(source, bounds), compression="zstd") as writer:
        for first in range(0, source["row"].shape[0], CHUNK):
            here = chosen[(chosen >= first) & (chosen < first + CHUNK)] - first
            if len(here) == 0:
                continue
            part = {name: np.asarray(source[name][first : first + CHUNK])[here] for name in _READ}
            steps, over = to_steps(part.pop("displacement"))
            series[done : done + len(here)] = steps
            writer.write_table(_table(part, writer.schema))
            clipped, done = clipped + over, done + len(here)
            report.progress(done / len(chosen), "points")
    series.flush()
    return {"points": len(chosen), "dates": dates, "clipped": clipped}


_READ = ("row", "col", "lon", "lat", "height", "dem_error", "incidence", "velocity", "velocity_std", "seasonal_sin",
         "seasonal_cos", "temporal_coherence", "pairs_used", "displacement")


def _table(part: dict[str, NDArray[Any]], schema: Any) -> Any:
    values = {**part, "id": part["row"].astype(np.int64) * 2**20 + part["col"], "coherence": part["temporal_coherence"]}
    columns = [pa.array(values[name], kind) for name, (kind, _, _) in COLUMNS.items()]
    columns.append(pa.array(shapely.to_wkb(shapely.points(part["lon"], part["lat"])), pa.binary()))
    return pa.table(columns, schema=schema)


def _schema(source: Any, bounds: list[float]) -> Any:
    fields = [pa.field(name, kind, metadata={"unit": unit, "description": text})
              for name, (kind, unit, text) in COLUMNS.items()]
    geo = {"version": "1.1.0", "primary_column": "geometry",
           "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point"], "bbox": bounds}}}
    about = {"frame": source.attrs["frame"], "dates": list(source.attrs["dates"]),
             "wavelength_m": source.attrs["wavelength_m"], "reference": _place_only(source.attrs["reference"])}
    metadata = {"geo": json.dumps(geo), "satdaemon": json.dumps(about)}
    return pa.schema([*fields, pa.field("geometry", pa.binary())], metadata=metadata)


def _place_only(area: Any) -> dict[str, Any]:
    return {name: value for name, value in dict(area).items() if name not in ("rows", "cols")}


def check(directory: Path) -> int:
    """Points in the two files; DataError where they do not fit each other or hold impossible values."""
    table = pq.read_table(directory / POINTS, columns=["id", "lon", "lat", "velocity", "coherence"])
    series = np.load(directory / SERIES, mmap_mode="r")
    if series.ndim != 2 or series.dtype != np.int16 or series.shape[0] != table.num_rows:
        raise DataError(f"{directory / SERIES}: expected int16 ({table.num_rows}, dates), got {series.dtype}"
                        f" {series.shape}")
    ids, lon, lat, agreed = (table[name].to_numpy() for name in ("id", "lon", "lat", "coherence"))
    if len(np.unique(ids)) != len(ids):
        raise DataError(f"{directory / POINTS}: expected every id once, {len(ids) - len(np.unique(ids))} are repeated")
    for name, values, low, high in (("lon", lon, -180, 180), ("lat", lat, -90, 90), ("coherence", agreed, 0, 1.0001)):
        if not ((values >= low) & (values <= high)).all():
            raise DataError(f"{directory / POINTS}: expected {name} within {low}..{high}, found others or NaN")
    return int(table.num_rows)


def _files(metrics: dict[str, float | int | str]) -> dict[str, Any]:
    return {
        POINTS: {"description": "points, GeoParquet 1.1, WGS84 lon/lat", "unit": "1", "nodata": "NaN",
                 "fields": {name: {"unit": unit, "description": text} for name, (_, unit, text) in COLUMNS.items()}},
        SERIES: {"description": "LOS displacement, positive towards the satellite, points in the parquet's order",
                 "unit": f"{STEP_MM} mm", "nodata": NODATA, "dtype": "int16",
                 "shape": [metrics["points"], metrics["dates"]]},
    }
