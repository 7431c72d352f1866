"""The frame's row of the coherence stage: amplitude statistics of the initial stack, siblings of every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.config.stages import CoherenceSettings
from satdaemon.domain import StageInput
from satdaemon.errors import DataError, NotReady
from satdaemon.insar import siblings, speckle
from satdaemon.insar.rowblocks import block_rows, row_blocks
from satdaemon.insar.rowrasters import create_rows, open_all, read_rows, shape_of, write_rows
from satdaemon.insar.sibling_store import NAME, SiblingRows, SiblingWriter
from satdaemon.insar.spacing import ground_spacing_m
from satdaemon.processors.base import Report

STRIP_ROWS = 16
STRIPS = 24
SAMPLES = 100_000
"""Pixels that the radiometric level of a date is taken from."""
STATISTICS_PX = 60
"""Bytes that a pixel takes in the sums over dates."""

Products = tuple[dict[str, Any], dict[str, float | int | str], dict[str, Any], list[str]]


def make_siblings(job: StageInput, settings: CoherenceSettings, report: Report) -> Products:
    """`amplitude.tif`, `amplitude_dispersion.tif` and `siblings.zarr` of the frame."""
    stack = {role.partition("/")[2]: path for role, path in sorted(job.inputs.items()) if role.startswith("satsar/")}
    if len(stack) < settings.min_dates:
        raise NotReady(f"waits for dates: siblings need an initial stack of at least {settings.min_dates} (min_dates),"
                       f" got {len(stack)}")
    rule = siblings.SiblingRule(
        settings.window_az, settings.window_rg, settings.amplitude_ratio, settings.dispersion_tolerance,
        settings.min_siblings, settings.max_siblings,
    )
    with open_all({day: path / "slc.tif" for day, path in stack.items()}) as sources:
        shape = shape_of(sources)
        scales, tiles = _sample(sources, shape)
        correlation = speckle.correlation(tiles)
        _write_statistics(job, sources, scales, shape, report)
    spacing_m = _spacing(job, shape)
    totals = _write_siblings(job, rule, shape, spacing_m, correlation, report)
    extra = {"dates": list(stack), "radiometric_scales": [round(float(s), 5) for s in scales],
             "speckle_correlation": correlation.round(4).tolist(), "spacing_m": list(spacing_m)}
    warnings = [] if totals["pixels"] else ["no pixel has siblings: is the stack all water or the grid empty?"]
    return _files(shape), totals, extra, warnings


def _sample(sources: Mapping[str, Any], shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.complex64]]:
    """Radiometric scale of each date and complete tiles for the speckle correlation, from strips over the frame."""
    rows, cols = shape
    firsts = np.unique(np.linspace(0, max(0, rows - STRIP_ROWS), STRIPS).astype(int))
    step = max(1, int(np.ceil(len(firsts) * STRIP_ROWS * cols / SAMPLES)))
    logs, tiles = [], []
    for source in sources.values():
        one = []
        for first in firsts:
            strip = read_rows(source, int(first), min(int(first) + STRIP_ROWS, rows))
            one.append(speckle.log_amplitude(strip.ravel()[::step]))
            tiles.extend(_tiles(strip))
        logs.append(np.concatenate(one))
    height, width = speckle.TILE
    found = np.stack(tiles) if tiles else np.empty((0, height, width), np.complex64)
    return speckle.radiometric_scales(np.stack(logs)), found


def _tiles(strip: NDArray[np.complex64]) -> list[NDArray[np.complex64]]:
    height, width = speckle.TILE
    if strip.shape[0] < height:
        return []
    # a few a strip are enough and keep memory small on wide frames
    places = range(0, strip.shape[1] - width + 1, max(width, strip.shape[1] // 8))
    pieces = (strip[:height, j : j + width] for j in places)
    return [piece.copy() for piece in pieces if np.isfinite(piece).all() and (piece != 0).mean() > 0.99]


def _write_statistics(
    job: StageInput, sources: Mapping[str, Any], scales: NDArray[np.float64], shape: tuple[int, int], report: Report
) -> None:
    height = block_rows(shape[1], STATISTICS_PX, job.memory_gb)
    fewest = max(3, (len(sources) + 1) // 2)
    with (create_rows(job.out_dir / "amplitude.tif", shape, np.float32, nodata=np.nan) as amplitude,
          create_rows(job.out_dir / "amplitude_dispersion.tif", shape, np.float32, nodata=np.nan) as dispersion):
        for block in row_blocks(shape[0], height):
            sums = speckle.AmplitudeSums.empty((block.rows, shape[1]))
            for source, scale in zip(sources.values(), scales, strict=True):
                sums.add(read_rows(source, block.first, block.stop), float(scale))
            mean, spread = sums.statistics(fewest)
            write_rows(amplitude, block.first, mean)
            write_rows(dispersion, block.first, spread)
            report.progress(0.4 * block.stop / shape[0], "amplitudes")


def _spacing(job: StageInput, shape: tuple[int, int]) -> tuple[float, float]:
    if "geometry" not in job.inputs:
        raise DataError(f"coherence of the frame: expected the product geometry, got {', '.join(sorted(job.inputs))}")
    place: Path = job.inputs["geometry"]
    with open_all({"lon": place / "lon.tif", "lat": place / "lat.tif"}) as sources:
        if shape_of(sources) != shape:
            raise DataError(f"geometry is on a grid of {shape_of(sources)}, the SLCs on one of {shape}:"
                            " run satsar of the dates again")
        middle = max(0, shape[0] // 2 - STRIP_ROWS // 2)
        stop = min(shape[0], middle + STRIP_ROWS)
        return ground_spacing_m(read_rows(sources["lon"], middle, stop), read_rows(sources["lat"], middle, stop))


def _write_siblings(
    job: StageInput, rule: siblings.SiblingRule, shape: tuple[int, int], spacing_m: tuple[float, float],
    correlation: NDArray[np.float64], report: Report,
) -> dict[str, float | int | str]:
    window = (rule.window_az, rule.window_rg)
    order = siblings.search_order(rule, spacing_m)
    halo = rule.halo_px[0]
    height = block_rows(shape[1], 4 * rule.max_siblings + 40, job.memory_gb, halo=halo, halo_bytes_per_px=8)
    writer = SiblingWriter(job.out_dir / NAME, shape, window, rule.min_siblings, {"max_siblings": rule.max_siblings})
    pixels, looks = 0, 0.0
    paths = {"mean": job.out_dir / "amplitude.tif", "dispersion": job.out_dir / "amplitude_dispersion.tif"}
    with open_all(paths) as sources:
        for block in row_blocks(shape[0], height, halo=halo):
            mean = read_rows(sources["mean"], block.halo_first, block.halo_stop)
            spread = read_rows(sources["dispersion"], block.halo_first, block.halo_stop)
            found = siblings_of_rows(mean, spread, block.inset, block.rows, order, rule, correlation)
            writer.append(found)
            pixels += int((found.count > 0).sum())
            looks += float(found.looks.sum(dtype=np.float64))
            report.progress(0.4 + 0.6 * block.stop / shape[0], "siblings")
    total = writer.finish()
    return {"pixels": pixels, "siblings_mean": round(total / max(pixels, 1), 2),
            "looks_mean": round(looks / max(pixels, 1), 2)}


def siblings_of_rows(
    mean: NDArray[np.float32], dispersion: NDArray[np.float32], inset: int, rows: int, order: NDArray[np.int16],
    rule: siblings.SiblingRule, correlation: NDArray[np.float64],
) -> SiblingRows:
    """Siblings and effective looks of `rows` rows from row `inset` of a block of amplitude statistics with halo."""
    cols = mean.shape[1]
    dense = np.empty((rows, cols, rule.max_siblings), np.uint16)
    count = np.empty((rows, cols), np.uint16)
    siblings.find_siblings(mean, dispersion, inset, rows, order, rule.window_rg, rule.amplitude_ratio,
                           rule.dispersion_tolerance, rule.min_siblings, dense, count)
    start = np.concatenate([[0], np.cumsum(count.sum(1, dtype=np.int64))])
    packed = np.empty(int(start[-1]), np.uint16)
    siblings.pack_offsets(dense, count, start, packed)
    looks = np.empty((rows, cols), np.float32)
    siblings.effective_looks(mean, inset, packed, start, count, (rule.window_az, rule.window_rg), correlation, looks)
    return SiblingRows(packed, start, count, looks)


def _files(shape: tuple[int, int]) -> dict[str, Any]:
    grid = list(shape)
    return {
        NAME: {"description": "siblings of each pixel (offsets in its window) and their effective looks",
               "unit": "px", "nodata": 0, "dtype": "uint16", "shape": grid},
        "amplitude.tif": {"description": "mean amplitude of the initial stack, dates brought to one level",
                          "unit": "1", "nodata": "NaN", "dtype": "float32", "shape": grid},
        "amplitude_dispersion.tif": {"description": "standard deviation over mean of the amplitude", "unit": "1",
                                     "nodata": "NaN", "dtype": "float32", "shape": grid},
    }
