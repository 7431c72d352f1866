"""Linear and seasonal velocity of displacement series, with standard errors.

Model: d(t) = a + v t + s sin(2 pi t) + c cos(2 pi t), t in years. Standard error of the velocity: sqrt(s^2 (X^T X)^-1_vv) with
s^2 = sum of squared residuals / (n - parameters) (ordinary least squares). It holds for errors that are independent from
date to date, as turbulent atmosphere is; noise that lasts longer (stratified atmosphere, loading) makes the true error
larger. The seasonal terms are fitted only where they are constrained: a year of data and a variance of the velocity that
they do not raise more than fourfold, from dates in different seasons; elsewhere they are NaN and the fit is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
MIN_YEARS = 0.95
MIN_DATES = 8
MAX_INFLATION = 4.0
"""Largest ratio of the velocity's variance with seasonal terms to that without, and of the variance of the seasonal
terms to that of dates spread evenly over the year."""


@dataclass(frozen=True, slots=True)
class Velocity:
    """Fit of each point, shape (points,); NaN where there are too few dates."""

    velocity: Floats
    """Per year, in the unit of the series."""
    velocity_std: Floats
    seasonal_sin: Floats
    seasonal_cos: Floats


def fit_velocity(series: Floats, years: NDArray[np.float64], *, seasonal: bool = True) -> Velocity:
    """Fit every point over the dates that it has.

    Parameters
    ----------
    series
        Shape (points, dates), NaN where unknown.
    years
        Time of each date in years from any origin; the seasonal phase counts from it.
    """
    out = np.empty((series.shape[0], 4), np.float32)
    _fit(series, years, seasonal, MIN_YEARS, MIN_DATES, MAX_INFLATION, out)
    return Velocity(out[:, 0].copy(), out[:, 1].copy(), out[:, 2].copy(), out[:, 3].copy())


@kernel()
def _design(year: float, origin: float, row: NDArray[np.float64]) -> None:
    row[0] = 1.0
    row[1] = year - origin
    row[2] = np.sin(2 * np.pi * year)
    row[3] = np.cos(2 * np.pi * year)


@kernel(parallel=True)
def _fit(
    series: Floats, years: NDArray[np.float64], seasonal: bool, min_years: float, min_dates: int, inflation: float,
    out: Floats,
) -> None:
    for point in prange(series.shape[0]):
        normal = np.zeros((4, 4))
        right = np.zeros(4)
        row = np.zeros(4)
        n = 0
        origin = 0.0
        earliest = np.inf
        latest = -np.inf
        for d in range(len(years)):
            if np.isfinite(series[point, d]):
                n += 1
                origin += years[d]
                earliest = min(earliest, years[d])
                latest = max(latest, years[d])
        for k in range(4):
            out[point, k] = np.nan
        if n < 3 or latest <= earliest:
            continue
        origin /= n
        for d in range(len(years)):
            if np.isfinite(series[point, d]):
                _design(years[d], origin, row)
                for a in range(4):
                    right[a] += row[a] * series[point, d]
                    for b in range(4):
                        normal[a, b] += row[a] * row[b]
        terms = 2
        inverse = np.linalg.inv(normal[:2, :2].copy())
        if seasonal and n >= min_dates and latest - earliest >= min_years:
            # a ridge far below rounding of real designs keeps the inverse of a singular one finite and huge
            full = np.linalg.inv(normal + 1e-12 * np.eye(4))
            # 2 / n is the variance of the seasonal terms of evenly spread dates
            if 0 < full[1, 1] <= inflation * inverse[1, 1] and max(full[2, 2], full[3, 3]) <= inflation * 2 / n:
                terms = 4
                inverse = full
        solution = inverse @ right[:terms].copy()
        squares = 0.0
        for d in range(len(years)):
            if np.isfinite(series[point, d]):
                _design(years[d], origin, row)
                residual = np.float64(series[point, d])
                for k in range(terms):
                    residual -= row[k] * solution[k]
                squares += residual * residual
        out[point, 0] = solution[1]
        if n > terms:
            out[point, 1] = np.sqrt(squares / (n - terms) * inverse[1, 1])
        if terms == 4:
            out[point, 2] = solution[2]
            out[point, 3] = solution[3]
