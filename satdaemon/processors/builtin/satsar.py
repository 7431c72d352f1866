"""satsar: the frame's geometry (master) and every other date coregistered to it, in interferometric phase.

Master: reads `slc` and the DEM; writes the frame grid, its own merged image and, per pixel, where the ground is.
Date: reads `slc`, `master` and `neighbour/<date>`; writes the merged image on the frame grid without the phase of
the flat earth and the topography, the baseline, and the burst overlaps that time later dates.

Known offsets: the motion between transmission and reception that ESA's processor leaves in the line times is
taken from the annotation's geolocation grid, for both dates. The shifts by intra-pulse motion and by the
processor's terrain approximation are the same on both dates and cancel. Atmospheric delay is left in the phase.
"""

from __future__ import annotations

import json
import resource
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import DataError, NotUsable
from satdaemon.insar.acquisition import Acquisition, burst_file
from satdaemon.insar.coregister import BLOCK_ROWS, Coregistration, coregistration, split_rows
from satdaemon.insar.geometry import fit_track
from satdaemon.insar.grid import FILE_NAME as GRID_FILE
from satdaemon.insar.grid import FrameGrid, GridBurst, Window, make_grid
from satdaemon.insar.overlaps import FILE_NAME as OVERLAP_FILE
from satdaemon.insar.overlaps import OverlapReader, OverlapWriter
from satdaemon.insar.rasters import TILE, create_radar, gdal_session, open_radar, read_window, write_window
from satdaemon.insar.terrain import find_ground, prepare_terrain
from satdaemon.insar.timing import MASTER, EsdSettings, Overlaps, Timing, find_timing
from satdaemon.processors.base import METADATA_NAME, Report, write_metadata
from satdaemon.processors.builtin.frame_dem import Heights, frame_dem
from satdaemon.processors.registry import VERSION
from satdaemon.status import RowKind, Stage

ESD_FILE = "esd.json"
NEIGHBOUR = "neighbour/"

Files = dict[str, dict[str, Any]]
Metrics = dict[str, float | int | str]

_GROUND: Files = {
    "lon.tif": {"description": "geodetic longitude", "unit": "degree", "dtype": "float64"},
    "lat.tif": {"description": "geodetic latitude", "unit": "degree", "dtype": "float64"},
    "height.tif": {"description": "height above the WGS84 ellipsoid", "unit": "m", "dtype": "float32"},
    "incidence.tif": {"description": "angle between line of sight and ellipsoid normal", "unit": "degree", "dtype": "float32"},
}
_SLC = {"description": "merged image on the frame grid", "unit": "digital number", "dtype": "complex64", "nodata": "nan"}


class SatsarProcessor:
    """Built-in processor of the satsar stage."""

    name = "satsar"
    version = VERSION[Stage.SATSAR]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make the frame geometry (master row) or one coregistered date (ifg row).

        Raises
        ------
        ProcessingError
            The burst overlaps are too incoherent to time the date.
        DataError
            An input product or the DEM does not fit.
        NotUsable
            The master lacks bursts of the frame.
        """
        with gdal_session():
            heights = frame_dem(job) if job.kind is RowKind.MASTER else None
            files, metrics, warnings = _date(job, report) if heights is None else _master(job, report, heights)
        metrics["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)
        for message in warnings:
            report.warning(message)
        told = None if heights is None else {"dem": heights.told}
        write_metadata(job, processor=self.name, version=self.version, files=files, metrics=metrics, extra=told)
        return StageResult((*files, METADATA_NAME), metrics, tuple(warnings), processor=self.name, processor_version=self.version)


def _master(job: StageInput, report: Report, heights: Heights) -> tuple[Files, Metrics, list[str]]:
    slc_dir = job.inputs["slc"]
    date = Acquisition.load(slc_dir)
    lacking = {b.id for b in job.frame.bursts} - {b.id for b in date.bursts}
    if lacking:
        raise NotUsable(f"a master needs every burst of the frame, missing are {', '.join(sorted(lacking))}")
    grid = make_grid(date.bursts, date.arc, date.platform, date.polarisation)
    (job.out_dir / GRID_FILE).write_text(json.dumps(grid.to_json(), indent=1) + "\n")
    _write_range(grid, job.out_dir / "range.tif")
    known = _write_ground(job, grid, heights.path, report)
    _merge_master(grid, slc_dir, job.out_dir / "slc.tif")
    overlaps = OverlapWriter(job.out_dir)
    for overlap in grid.overlaps():
        for burst_id in (overlap.earlier, overlap.later):
            overlaps.write(overlap, burst_id, _own_pixels(slc_dir, grid.burst(burst_id), overlap.window))
    report.progress(1.0, "done")
    shape = [grid.rows, grid.cols]
    files: Files = {
        GRID_FILE: {"description": "frame grid, bursts, orbit, wavelength"},
        "slc.tif": {**_SLC, "shape": shape, "phase": "-4 pi R / wavelength, R = range.tif"},
        **{name: {**about, "nodata": "nan", "shape": shape} for name, about in _GROUND.items()},
        "range.tif": {"description": "slant range", "unit": "m", "dtype": "float64", "nodata": None, "shape": shape},
        "valid.tif": {
            "description": "1 where a burst sees the pixel and the DEM knows its height",
            "unit": "1",
            "dtype": "uint8",
            "nodata": None,
            "shape": shape,
        },
        OVERLAP_FILE: {"description": "burst overlaps (earlier, later)", "unit": "digital number", "dtype": "complex64"},
    }
    unknown = 1 - known
    warnings = [*heights.warnings]
    if unknown > 0.001:
        warnings.append(f"DEM has no heights for {unknown:.1%} of the frame: not valid there")
    return files, {"rows": grid.rows, "cols": grid.cols, "bursts": len(grid.bursts), "dem_known": round(known, 4)}, warnings


def _write_range(grid: FrameGrid, path: Path) -> None:
    line = grid.range_m()
    with create_radar(path, (grid.rows, grid.cols), "float64", compress=True) as target:
        for row in range(0, grid.rows, TILE):
            write_window(target, row, 0, np.tile(line, (min(TILE, grid.rows - row), 1)))


def _write_ground(job: StageInput, grid: FrameGrid, dem: Path, report: Report) -> float:
    """Write the per-pixel geometry; returns the share of pixels whose height the DEM knows."""
    track, shape = fit_track(grid.arc), (grid.rows, grid.cols)
    known, pixels = 0, 0
    with ExitStack() as stack:
        targets = {
            name: stack.enter_context(create_radar(job.out_dir / name, shape, about["dtype"], nodata=np.nan))
            for name, about in _GROUND.items()
        }
        valid = stack.enter_context(create_radar(job.out_dir / "valid.tif", shape, "uint8", nodata=0))
        for done, burst in enumerate(grid.bursts):
            terrain = prepare_terrain(burst, track, burst.inner, dem)
            for window in split_rows(burst.inner):
                ground = find_ground(terrain, window, job.cores)
                arrays: tuple[NDArray[Any], ...] = (ground.lon_deg, ground.lat_deg, ground.height_m, ground.incidence_deg)
                for name, array in zip(_GROUND, arrays, strict=True):
                    write_window(targets[name], window.row, window.col, array)
                write_window(valid, window.row, window.col, ground.known)
                known, pixels = known + int(ground.known.sum()), pixels + ground.known.size
            report.progress(0.9 * (done + 1) / len(grid.bursts), f"geometry of burst {burst.meta.id}")
    return known / pixels


def _own_pixels(slc_dir: Path, burst: GridBurst, window: Window) -> NDArray[np.complex64]:
    """The master's own pixels of a window inside one of its bursts."""
    with open_radar(slc_dir / burst_file(burst.meta.id)) as source:
        return np.asarray(
            read_window(source, window.row - burst.outer.row, window.col - burst.outer.col, window.rows, window.cols),
            np.complex64,
        )


def _merge_master(grid: FrameGrid, slc_dir: Path, path: Path) -> None:
    with create_radar(path, (grid.rows, grid.cols), "complex64", nodata=np.nan) as target:
        for burst in grid.bursts:
            for window in split_rows(burst.inner):
                write_window(target, window.row, window.col, _own_pixels(slc_dir, burst, window))


def _date(job: StageInput, report: Report) -> tuple[Files, Metrics, list[str]]:
    master_dir, slc_dir = job.inputs["master"], job.inputs["slc"]
    grid, date = FrameGrid.load(master_dir), Acquisition.load(slc_dir)
    if date.polarisation != grid.polarisation:
        raise DataError(f"{slc_dir}: polarisation {date.polarisation}, expected the master's, {grid.polarisation}")
    work = coregistration(grid, date, slc_dir, master_dir, job.cores)
    timing, warnings = _timing(job, work)
    report.progress(0.3, f"azimuth shift {timing.shift_px:+.4f} +- {timing.sd_px:.4f} lines")
    (job.out_dir / ESD_FILE).write_text(json.dumps(timing.to_json(), indent=1) + "\n")
    baseline_m = _write_date(job, work, timing.shift_px, report)
    metrics: Metrics = {
        "esd_shift_px": round(timing.shift_px, 6),
        "esd_sd_px": round(timing.sd_px, 6),
        "esd_cells": timing.cells,
        "esd_coherent_share": round(timing.coherent_share, 4),
        "esd_pairs": len(timing.pairs),
        "bperp_m": round(baseline_m, 3),
        "bursts": len(date.bursts),
        "missing_bursts": len(date.missing),
        "orbit": date.arc.type,
    }
    return _date_files(grid), metrics, warnings


def _date_files(grid: FrameGrid) -> Files:
    """What a date's product holds."""
    shape = [grid.rows, grid.cols]
    return {
        "slc.tif": {
            **_SLC,
            "shape": shape,
            "phase": "flat-earth and topographic phase removed: "
            "master * conj(this) shows motion, atmosphere and errors of the heights only",
        },
        "bperp.tif": {
            "description": "perpendicular baseline from the master, positive upwards",
            "unit": "m",
            "dtype": "float32",
            "nodata": "nan",
            "shape": shape,
        },
        OVERLAP_FILE: {
            "description": "burst overlaps (earlier, later) on the frame grid, as slc.tif",
            "unit": "digital number",
            "dtype": "complex64",
        },
        ESD_FILE: {"description": "azimuth timing: shift and sd in lines, against each date"},
    }


def _timing(job: StageInput, work: Coregistration) -> tuple[Timing, list[str]]:
    if not work.overlaps():
        return Timing(0.0, 0.0, 0, 0.0), ["no burst overlaps on this date: azimuth timing rests on the orbit alone"]
    others: dict[str, tuple[Overlaps, float]] = {MASTER: (OverlapReader(job.inputs["master"]), 0.0)}
    for role, place in sorted(job.inputs.items()):
        if role.startswith(NEIGHBOUR):
            others[role.removeprefix(NEIGHBOUR)] = (OverlapReader(place), _remaining_sd(place))
    timing = find_timing(work.grid, work.track, work, others, EsdSettings.from_settings(job.settings))
    return timing, [f"ESD against {name} left out: {why}" for name, why in timing.refused.items()]


def _remaining_sd(directory: Path) -> float:
    """sd of a neighbour's own timing, lines."""
    path = directory / ESD_FILE
    try:
        return float(json.loads(path.read_text())["sd_px"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: expected the timing of a satsar product: {error!r}; run its satsar again") from error


def _write_date(job: StageInput, work: Coregistration, shift_px: float, report: Report) -> float:
    """Write slc.tif, bperp.tif and overlap.zarr; returns the mean perpendicular baseline."""
    shape = (work.grid.rows, work.grid.cols)
    overlaps = OverlapWriter(job.out_dir)
    total, pixels = 0.0, 0
    with (
        create_radar(job.out_dir / "slc.tif", shape, "complex64", nodata=np.nan) as image,
        create_radar(job.out_dir / "bperp.tif", shape, "float32", nodata=np.nan) as baseline,
    ):
        pairs = work.bursts()
        for done, (burst, own) in enumerate(pairs):
            lattice, data = work.lattice(burst, own), work.load(own)
            for window in split_rows(burst.inner, BLOCK_ROWS):
                write_window(image, window.row, window.col, work.sample(burst, data, lattice, window, shift_px))
                values = work.baseline(lattice, window)
                write_window(baseline, window.row, window.col, values)
                total, pixels = total + float(np.nansum(values)), pixels + int(np.isfinite(values).sum())
            for overlap in work.overlaps():
                if own.id in (overlap.earlier, overlap.later):
                    overlaps.write(overlap, own.id, work.sample(burst, data, lattice, overlap.window, shift_px))
            report.progress(0.3 + 0.7 * (done + 1) / len(pairs), f"burst {own.id}")
    return total / max(pixels, 1)
