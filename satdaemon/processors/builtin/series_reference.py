"""The reference step of the timeseries stage: which area, and its phase in every interferogram."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from satdaemon.config.stages import TimeseriesSettings
from satdaemon.domain import StageInput
from satdaemon.insar.reference import Reference, Samples, choose_reference, nearest_reference
from satdaemon.insar.rowblocks import Tile
from satdaemon.processors.builtin.series_input import PointData, Stack, unpack
from satdaemon.processors.builtin.series_store import NAME, open_series

FULL_REFERENCE = 5
"""With so many reference points present in all interferograms, only those count."""
MAX_POINTS = 2000
"""Most points of the area, the most coherent first; all of them are listed with the series."""


def reference_area(
    job: StageInput, settings: TimeseriesSettings, stack: Stack, samples: Samples, tiles: Sequence[Tile]
) -> tuple[Reference, bool]:
    """The area set, else that of the previous series, else the best; True where the previous one had to be left."""
    radius = settings.reference_radius_m
    if settings.reference_lon is not None and settings.reference_lat is not None:
        lon, lat = _place(stack, samples, tiles)
        place = (settings.reference_lon, settings.reference_lat)
        return nearest_reference(samples, lon, lat, place, radius), False
    if "previous" in job.inputs:
        kept = open_series(job.inputs["previous"] / NAME).attrs["reference"]
        area = Reference(int(kept["row"]), int(kept["col"]), radius)
        if area.contains(samples.row, samples.col, stack.spacing_m).any():
            return area, False
        return choose_reference(samples, stack.spacing_m, radius), True
    return choose_reference(samples, stack.spacing_m, radius), False


def reference_phase(
    area: Reference, stack: Stack, tiles: Sequence[Tile], masks: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.float32], PointData]:
    """Mean phase of the area in each pair, shape (pairs,), rad, NaN where it has no point; and the points used."""
    first, stop = area.rows(stack.spacing_m, stack.shape[0])
    reach = int(area.radius_m / stack.spacing_m[1]) + 1
    left, right = max(0, area.col - reach), min(stack.shape[1], area.col + reach + 1)
    window = Tile(first, left, stop - first, right - left)
    row, col = np.mgrid[first:stop, left:right].astype(np.int32)
    chosen = area.contains(row, col, stack.spacing_m) & _mask_of(window, tiles, masks)
    data = stack.points(window, chosen)
    phase = _near_median(data.phase_rad)
    present = np.isfinite(phase)
    full = np.asarray(present[:, present.any(0)].all(1))
    if full.sum() >= FULL_REFERENCE:
        best = np.flatnonzero(full)
        coherence = data.coherence[best].mean(1)
        best = np.sort(best[np.argsort(-coherence, kind="stable")[:MAX_POINTS]])
        phase, data = phase[best], _take(data, best)
    known = np.isfinite(phase)
    count = known.sum(0)
    total = np.where(known, phase, 0).sum(0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32), data


def _near_median(phase: NDArray[np.float32]) -> NDArray[np.float32]:
    """NaN where a point is half a cycle off the others in its pair: one cycle must not move the reference."""
    known = [column[np.isfinite(column)] for column in phase.T]
    median = np.array([np.median(column) if column.size else np.nan for column in known])
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(phase - median) < math.pi, phase, np.float32(np.nan)).astype(np.float32)


def _take(data: PointData, chosen: NDArray[np.intp]) -> PointData:
    return PointData(data.row[chosen], data.col[chosen], data.phase_rad[chosen], data.coherence[chosen],
                     data.component[chosen])


def _mask_of(window: Tile, tiles: Sequence[Tile], masks: Sequence[NDArray[np.uint8]]) -> NDArray[np.bool_]:
    """Candidate points of any window, from the packed masks of the tiles."""
    result = np.zeros((window.rows, window.cols), bool)
    for tile, packed in zip(tiles, masks, strict=True):
        r0, r1 = max(tile.row, window.row), min(tile.row + tile.rows, window.row + window.rows)
        c0, c1 = max(tile.col, window.col), min(tile.col + tile.cols, window.col + window.cols)
        if r0 < r1 and c0 < c1:
            part = unpack(packed, tile)[r0 - tile.row : r1 - tile.row, c0 - tile.col : c1 - tile.col]
            result[r0 - window.row : r1 - window.row, c0 - window.col : c1 - window.col] = part
    return result


def _place(
    stack: Stack, samples: Samples, tiles: Sequence[Tile]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of the samples, degrees."""
    lon = np.full(len(samples.row), np.nan)
    lat = lon.copy()
    for tile in tiles:
        row, col = samples.row - tile.row, samples.col - tile.col
        here = (row >= 0) & (row < tile.rows) & (col >= 0) & (col < tile.cols)
        lon[here] = stack.window("lon", tile)[row[here], col[here]]
        lat[here] = stack.window("lat", tile)[row[here], col[here]]
    return lon, lat
