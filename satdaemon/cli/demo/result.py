"""The frame's time series as arrays, and its comparison with the simulated truth."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import zarr
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from satdaemon.config import Settings
from satdaemon.db import Database, FailedJob, Master
from satdaemon.db.costs import stage_costs
from satdaemon.db.points import version_of
from satdaemon.domain import product_path
from satdaemon.insar.grid import FrameGrid
from satdaemon.simulator import Truth, evaluate
from satdaemon.status import Stage


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the chain made of the frame."""

    frame_id: str
    master_date: date
    dates: tuple[date, ...]
    points: dict[str, NDArray[Any]]
    """Arrays of timeseries.zarr, by name (docs/products.md)."""
    reference: NDArray[np.int64]
    """Indices of the reference points."""
    velocity_model: str
    frame_path: Path
    """The frame's products."""

    @property
    def geometry(self) -> Path:
        """The master's satsar product."""
        return self.frame_path / Stage.SATSAR / f"{self.master_date:%Y%m%d}"


def read_result(settings: Settings, frame_id: str) -> DemoResult:
    """Read the published time series of a frame."""
    master = Database(settings).query(Master, frame_id=frame_id)[0]
    root = settings.parameters.processing_path
    group: Any = zarr.open_group(product_path(root, frame_id, Stage.TIMESERIES, "frame") / "timeseries.zarr", mode="r")
    points = {name: np.asarray(array[...]) for name, array in group.arrays()}
    place = points["row"].astype(np.int64) << 20 | points["col"]
    area = group.attrs["reference"]
    wanted = np.asarray(area["rows"], np.int64) << 20 | np.asarray(area["cols"], np.int64)
    return DemoResult(
        frame_id=frame_id,
        master_date=master.date,
        dates=tuple(date.fromisoformat(day) for day in group.attrs["dates"]),
        points=points,
        reference=np.flatnonzero(np.isin(place, wanted)),
        velocity_model="seasonal" if "sin" in group.attrs["velocity_model"] else "linear",
        frame_path=root / frame_id,
    )


def accuracy(result: DemoResult, truth: Truth) -> dict[str, Any]:
    """Everything that `evaluate` compares, plus the ESD shifts against those put in."""
    points, geometry = result.points, result.geometry
    grid = FrameGrid.load(geometry)
    row, col = points["row"], points["col"]
    seconds = grid.first_line_utc.timestamp() + row * grid.line_s
    mask = np.zeros(len(row), bool)
    mask[result.reference] = True
    found = evaluate(
        truth,
        row=row, col=col, lon=points["lon"], lat=points["lat"], height=points["height"],
        velocity=points["velocity"], temporal_coherence=points["temporal_coherence"],
        displacement=points["displacement"], dates=result.dates, master_date=result.master_date,
        azimuth_time=seconds, slant_range_m=grid.range_m()[col],
        grid_lon=_raster(geometry / "lon.tif"), grid_lat=_raster(geometry / "lat.tif"),
        grid_valid=_raster(geometry / "valid.tif") > 0, reference_mask=mask, velocity_model=result.velocity_model,
    )  # fmt: skip
    return {**found, "esd_error_px": _esd_error_px(result, truth)}


def totals(result: DemoResult, settings: Settings) -> dict[str, Any]:
    """Dates used, jobs finished and failed, points that readers of the database see, memory."""
    database = Database(settings)
    costs = stage_costs(database, result.frame_id)
    version = version_of(database, result.frame_id)
    return {
        "dates": len(result.dates),
        "jobs": sum(cost.jobs for cost in costs),
        "failed": len(database.query(FailedJob, frame_id=result.frame_id)),
        "points_in_database": 0 if version is None else version.points,
        "cpu_s": round(sum(cost.cpu_s for cost in costs), 1),
        "peak_job_memory_gb": max(cost.peak_memory_gb for cost in costs),
    }


def _esd_error_px(result: DemoResult, truth: Truth) -> float:
    """Largest difference between an azimuth shift found by ESD and the one put in, lines."""
    errors = [0.0]
    for day in result.dates:
        if day != result.master_date:
            product = result.frame_path / Stage.SATSAR / f"{day:%Y%m%d}" / "product.json"
            shift = json.loads(product.read_text())["metrics"]["esd_shift_px"]
            errors.append(abs(shift - truth.azimuth_shift_px(day, result.master_date)))
    return max(errors)


def _raster(path: Path) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # radar geometry
        source = rasterio.open(path)
    with source:
        return np.asarray(source.read(1))
