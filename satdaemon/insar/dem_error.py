"""Residual DEM error of points from perpendicular baselines.

A point that lies dh above the DEM appears nearer to date t by `B_t dh / (R sin(incidence))` (B_t the baseline to the master).
The atmosphere is far larger than that and must stay in the displacement, so the error is estimated on the part of the series
that differs from the surroundings: the mean series of about `scale` around the point is taken off, and with it the
atmosphere, before `d(t) = a + v t + dh B_t / (R sin)` is fitted. DEM error that is the same over the
surroundings is not found. What is subtracted from the displacement is the baseline term alone, and only where the
baselines constrain it and it is significant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
MIN_DATES = 6


class Surroundings:
    """Mean series of coarse cells, filled block by block, smoothed and read between cell centres."""

    def __init__(self, shape: tuple[int, int], cell: tuple[int, int], dates: int) -> None:
        self.cell = cell
        grid = (-(-shape[0] // cell[0]), -(-shape[1] // cell[1]))
        self._total = np.zeros((*grid, dates), np.float32)
        self._count = np.zeros((*grid, dates), np.float32)
        self._mean: Floats = np.empty((0, 0, dates), np.float32)

    def add(self, row: NDArray[np.int32], col: NDArray[np.int32], series: Floats) -> None:
        """Add points; series (points, dates), NaN where unknown."""
        grid = self._total.shape
        place = (row // self.cell[0]).astype(np.int64) * grid[1] + col // self.cell[1]
        known = np.isfinite(series)
        for date in range(grid[2]):
            here = known[:, date]
            number = np.bincount(place[here], minlength=grid[0] * grid[1])
            total = np.bincount(place[here], series[here, date], grid[0] * grid[1])
            self._count[:, :, date] += number.reshape(grid[:2])
            self._total[:, :, date] += total.reshape(grid[:2])

    def finish(self) -> None:
        """Smooth with the nearest cells, once all points have been added."""
        total, count = _smooth(self._total), _smooth(self._count)
        self._mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

    def at(self, row: NDArray[np.int32], col: NDArray[np.int32]) -> Floats:
        """Mean series around points, shape (points, dates), NaN where no point near has the date."""
        mean = self._mean
        result = np.zeros((len(row), mean.shape[2]), np.float32)
        share = np.zeros_like(result)
        y = np.clip((row + 0.5) / self.cell[0] - 0.5, 0, mean.shape[0] - 1)
        x = np.clip((col + 0.5) / self.cell[1] - 0.5, 0, mean.shape[1] - 1)
        for u, wu in ((np.floor(y).astype(int), 1 - y % 1), (np.ceil(y).astype(int), y % 1)):
            for v, wv in ((np.floor(x).astype(int), 1 - x % 1), (np.ceil(x).astype(int), x % 1)):
                value = mean[u, v]
                part = np.where(np.isfinite(value), (wu * wv)[:, None], 0).astype(np.float32)
                result += part * np.nan_to_num(value)
                share += part
        return np.divide(result, share, out=np.full_like(result, np.nan), where=share > 0)


def _smooth(values: Floats) -> Floats:
    for axis in (0, 1):
        size = values.shape[axis]
        padded = np.pad(values, [(1, 1) if k == axis else (0, 0) for k in range(3)])
        parts = [weight * np.take(padded, range(k, k + size), axis) for k, weight in enumerate((0.25, 0.5, 0.25))]
        values = np.sum(parts, axis=0, dtype=np.float32)
    return values


@dataclass(frozen=True, slots=True)
class DemError:
    """Result of points, shape (points,)."""

    height_m: Floats
    """Height above the DEM; NaN where the baselines do not constrain it."""
    std_m: Floats
    subtracted: NDArray[np.bool_]


def estimate(
    local_mm: Floats, mm_per_m: Floats, years: NDArray[np.float64], *, min_spread: float, significance: float
) -> DemError:
    """DEM error of each point from its series less that of its surroundings.

    Parameters
    ----------
    local_mm
        Shape (points, dates), mm, NaN where unknown.
    mm_per_m
        Apparent displacement of one metre of DEM error: `1000 B_t / (R sin(incidence))`, shape (points, dates).
    min_spread
        Least standard deviation of `mm_per_m` left after a mean and a trend: below it nothing is estimated.
    significance
        The error is subtracted where it exceeds this many of its standard deviations.
    """
    height, residual, spread = (np.empty(local_mm.shape[0], np.float32) for _ in range(3))
    _estimate(local_mm, mm_per_m, years, min_spread, height, residual, spread)
    known = np.isfinite(residual)
    if known.any():
        # few dates give some points a small residual by chance; nothing is quieter than the usual point
        residual = np.maximum(residual, np.median(residual[known]))
    std = (residual / spread).astype(np.float32)
    with np.errstate(invalid="ignore"):
        subtracted = np.isfinite(height) & (np.abs(height) > significance * std)
    return DemError(height, std, subtracted)


@kernel(parallel=True)
def _estimate(
    local: Floats, factor: Floats, years: NDArray[np.float64], min_spread: float, height: Floats, residual: Floats,
    spread: Floats,
) -> None:
    """`residual`: std about the fit, mm; `spread`: root of the summed squares of the factor, mm/m."""
    for point in prange(local.shape[0]):
        height[point] = np.nan
        residual[point] = np.nan
        spread[point] = np.nan
        n = 0
        mean_t = 0.0
        mean_b = 0.0
        mean_d = 0.0
        for d in range(len(years)):
            if np.isfinite(local[point, d]):
                n += 1
                mean_t += years[d]
                mean_b += factor[point, d]
                mean_d += local[point, d]
        if n < MIN_DATES:
            continue
        mean_t /= n
        mean_b /= n
        mean_d /= n
        tt = 0.0
        tb = 0.0
        td = 0.0
        for d in range(len(years)):
            if np.isfinite(local[point, d]):
                t = years[d] - mean_t
                tt += t * t
                tb += t * (factor[point, d] - mean_b)
                td += t * (local[point, d] - mean_d)
        if tt <= 0:
            continue
        bb = 0.0
        bd = 0.0
        dd = 0.0
        for d in range(len(years)):
            if np.isfinite(local[point, d]):
                t = years[d] - mean_t
                b = factor[point, d] - mean_b - tb / tt * t
                v = local[point, d] - mean_d - td / tt * t
                bb += b * b
                bd += b * v
                dd += v * v
        if bb <= 0 or np.sqrt(bb / n) < min_spread:
            continue
        height[point] = bd / bb
        residual[point] = np.sqrt(max(dd - bd * bd / bb, 0.0) / (n - 3))
        spread[point] = np.sqrt(bb)
