"""unwrap: the phase of a pair's points unwrapped, with components and reliability.

Memory: the solver has half of `job.memory_gb` (it decides the size of the cells, `insar.unwrap.cells_for_memory`); reading and
writing go by blocks of rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import whirlwind
from numpy.typing import NDArray

from satdaemon.config.stages import UnwrapSettings
from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import CorruptProduct, DataError, ProcessingError
from satdaemon.insar.kernel import use_threads
from satdaemon.insar.rasters import gdal_session
from satdaemon.insar.rowblocks import block_rows, row_blocks
from satdaemon.insar.rowrasters import create_rows, open_all, read_rows, shape_of, write_rows
from satdaemon.insar.spacing import ground_spacing_m
from satdaemon.insar.unwrap import CellBuilder, Cells, Unwrapped, cells_for_memory, lift, unwrap_cells
from satdaemon.processors.base import METADATA_NAME, Report, settings_of, write_metadata
from satdaemon.processors.registry import VERSION
from satdaemon.status import Stage

MEMORY_PX = 90
"""Bytes that a pixel of a block takes while it is read or written."""
OUTPUTS = ("unwrapped.tif", "components.tif", "coherence.tif", "reliability.tif")


class UnwrapProcessor:
    """Sparse or grid unwrapping of a pair by minimum cost flow."""

    name = "builtin"
    version = VERSION[Stage.UNWRAP]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make `unwrapped.tif`, `components.tif`, `coherence.tif` and `reliability.tif`."""
        settings = settings_of(job, UnwrapSettings)
        use_threads(job.cores)
        _solver_threads(job.cores)
        source, geometry = _product(job, "coherence"), _product(job, "geometry")
        with gdal_session():
            shape, spacing_m = _grid(source, geometry)
            looks = _looks(source)
            thin = cells_for_memory(shape, job.memory_gb, (settings.thin_az, settings.thin_rg))
            cells, points = _gather(job, source, shape, thin, report)
            if points < settings.min_points:
                raise ProcessingError(f"unwrapping needs at least {settings.min_points} points (min_points), got {points}:"
                                      f" the pair {job.key} is not coherent enough")
            report.progress(0.3, f"solving {len(cells.row)} cells")
            solved = unwrap_cells(
                cells, (spacing_m[0] * thin[0], spacing_m[1] * thin[1]), looks, method=settings.method,
                max_gap_m=settings.max_gap_m, min_cells=10, min_component=settings.min_component,
            )
            report.progress(0.8, "writing")
            _write(job, source, shape, thin, cells, solved)
        metrics, warnings = _judge(cells, solved, points)
        for text in warnings:
            report.warning(text)
        extra = {"cell": list(thin), "looks": looks, "method": solved.method}
        write_metadata(job, processor=self.name, version=self.version, files=_files(shape), metrics=metrics, extra=extra)
        return StageResult((*OUTPUTS, METADATA_NAME), metrics, warnings, (), self.name, self.version)


def _gather(
    job: StageInput, source: Path, shape: tuple[int, int], thin: tuple[int, int], report: Report
) -> tuple[Cells, int]:
    builder = CellBuilder(shape, thin)
    points = 0
    with open_all({"ifg": source / "ifg.tif", "points": source / "points.tif"}) as rasters:
        for block in row_blocks(shape[0], _height(job, shape, thin)):
            chosen = read_rows(rasters["points"], block.first, block.stop) == 1
            points += int(chosen.sum())
            builder.add(block.first, read_rows(rasters["ifg"], block.first, block.stop), chosen)
            report.progress(0.3 * block.stop / shape[0], "reading")
    return builder.build(), points


def _write(
    job: StageInput, source: Path, shape: tuple[int, int], thin: tuple[int, int], cells: Cells, solved: Unwrapped
) -> None:
    grid = (-(-shape[0] // thin[0]), -(-shape[1] // thin[1]))
    phase = _on_grid(cells, grid, solved.phase_rad, np.nan)
    component = _on_grid(cells, grid, solved.component, 0)
    margin = _on_grid(cells, grid, solved.reliability, np.nan)
    out = job.out_dir
    nothing = float("nan")
    with (open_all({"ifg": source / "ifg.tif", "points": source / "points.tif"}) as rasters,
          create_rows(out / "unwrapped.tif", shape, np.float32, nodata=nothing) as unwrapped,
          create_rows(out / "components.tif", shape, np.uint16, nodata=0) as components,
          create_rows(out / "coherence.tif", shape, np.float32, nodata=nothing) as coherence,
          create_rows(out / "reliability.tif", shape, np.float32, nodata=nothing) as reliability):
        for block in row_blocks(shape[0], _height(job, shape, thin)):
            ifg = read_rows(rasters["ifg"], block.first, block.stop)
            chosen = read_rows(rasters["points"], block.first, block.stop) == 1
            spread = [_spread(values, block.first, ifg.shape, thin) for values in (phase, component, margin)]
            lifted = lift(ifg, chosen, spread[0].astype(np.float64))
            write_rows(unwrapped, block.first, lifted)
            known = np.isfinite(lifted)
            write_rows(components, block.first, np.where(known, spread[1], 0).astype(np.uint16))
            write_rows(coherence, block.first, np.where(known, np.abs(ifg), nothing).astype(np.float32))
            write_rows(reliability, block.first, np.where(known, spread[2], nothing).astype(np.float32))


def _on_grid(cells: Cells, grid: tuple[int, int], values: NDArray[Any], empty: float) -> NDArray[Any]:
    result = np.full(grid, empty, values.dtype)
    result[cells.row, cells.col] = values
    return result


def _spread(values: NDArray[Any], first: int, shape: tuple[int, ...], thin: tuple[int, int]) -> NDArray[Any]:
    """Values of cells on the pixels of a block that begins at row `first`."""
    rows = (first + np.arange(shape[0])) // thin[0]
    cols = np.arange(shape[1]) // thin[1]
    return values[rows[:, None], cols[None, :]]


def _height(job: StageInput, shape: tuple[int, int], thin: tuple[int, int]) -> int:
    height = block_rows(shape[1], MEMORY_PX, job.memory_gb)
    return max(1, height // thin[0]) * thin[0]


def _grid(source: Path, geometry: Path) -> tuple[tuple[int, int], tuple[float, float]]:
    paths = {"ifg": source / "ifg.tif", "lon": geometry / "lon.tif", "lat": geometry / "lat.tif"}
    with open_all(paths) as rasters:
        shape = shape_of(rasters)
        middle = shape[0] // 2
        first, stop = max(0, middle - 8), min(shape[0], middle + 8)
        spacing_m = ground_spacing_m(read_rows(rasters["lon"], first, stop), read_rows(rasters["lat"], first, stop))
    return shape, spacing_m


def _looks(source: Path) -> float:
    try:
        metrics = json.loads((source / METADATA_NAME).read_text())["metrics"]
        return max(1.0, float(metrics["point_looks_mean"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptProduct(f"{source / METADATA_NAME}: expected metrics.point_looks_mean, got {error!r}:"
                             " run the pair's coherence stage again") from error


def _solver_threads(cores: int) -> None:
    """The solver's threads can be set once a process; a second job of one process (tests) keeps the first's."""
    if whirlwind.num_threads() != cores:
        try:
            whirlwind.set_num_threads(cores)
        except RuntimeError:
            return


def _judge(cells: Cells, solved: Unwrapped, points: int) -> tuple[dict[str, float | int | str], tuple[str, ...]]:
    largest = float(cells.size[solved.component == 1].sum() / max(points, 1))
    count = int(solved.component.max(initial=0))
    unsafe = float(cells.size[solved.reliability < 0].sum() / max(points, 1))
    metrics: dict[str, float | int | str] = {
        "points": points, "cells": len(cells.row), "components": count, "bridged": solved.bridged,
        "largest_component_share": round(largest, 4), "unsafe_share": round(unsafe, 5), "method": solved.method,
    }
    warnings = []
    if largest < 0.5:
        warnings.append(f"the largest component has only {largest:.0%} of the points ({count} components)")
    return metrics, tuple(warnings)


def _files(shape: tuple[int, int]) -> dict[str, Any]:
    grid = list(shape)
    return {
        "unwrapped.tif": {"description": "unwrapped phase of the points", "unit": "rad", "nodata": "NaN",
                          "dtype": "float32", "shape": grid, "phase": "date1 * conj(date2)"},
        "components.tif": {"description": "connected component, 1 the largest; 2 pi between components is not certain",
                           "unit": "1", "nodata": 0, "dtype": "uint16", "shape": grid},
        "coherence.tif": {"description": "coherence of the points, corrected for bias", "unit": "1", "nodata": "NaN",
                          "dtype": "float32", "shape": grid},
        "reliability.tif": {"description": "least margin to a wrong cycle at the point's cell; negative = a cycle step"
                            " beside it", "unit": "standard deviations", "nodata": "NaN", "dtype": "float32",
                            "shape": grid},
    }


def _product(job: StageInput, role: str) -> Path:
    if role not in job.inputs:
        raise DataError(f"{job.stage} {job.key}: expected the product {role}, got {', '.join(sorted(job.inputs))}")
    return job.inputs[role]
