"""Compares a measured time series with the truth of its simulation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from satdaemon.errors import RequestError
from satdaemon.simulator.ground import YEAR_DAYS
from satdaemon.simulator.orbit import EARTH_A_M, FloatArray
from satdaemon.simulator.truth import BoolArray, Truth

COHERENCE_LIMIT = 0.7
GEOLOCATED = 50_000
"""Points that are located by the truth's own geometry, evenly taken: it costs 20 microseconds a point."""


def evaluate(
    truth: Truth,
    *,
    row: npt.NDArray[np.integer[Any]],
    col: npt.NDArray[np.integer[Any]],
    lon: FloatArray,
    lat: FloatArray,
    height: npt.NDArray[np.floating[Any]],
    velocity: npt.NDArray[np.floating[Any]],
    temporal_coherence: npt.NDArray[np.floating[Any]],
    displacement: npt.NDArray[np.floating[Any]],
    dates: Sequence[date],
    master_date: date,
    azimuth_time: npt.NDArray[Any],
    slant_range_m: FloatArray,
    grid_lon: FloatArray,
    grid_lat: FloatArray,
    grid_valid: BoolArray,
    reference_mask: BoolArray | None = None,
    velocity_model: str = "linear",
) -> dict[str, Any]:
    """Accuracy of a time series over points of the frame grid.

    Parameters
    ----------
    row, col : (points,)
        Place on the frame grid (`timeseries.zarr`).
    lon, lat, height : (points,)
        Degrees, degrees, ellipsoidal metres.
    velocity, temporal_coherence : (points,)
        mm/yr in the line of sight, towards the satellite; 0..1.
    displacement : (points, dates)
        mm in the line of sight, towards the satellite, 0 at the first date that the point has; NaN where unknown.
    dates
        Dates of the columns of `displacement`, in order.
    master_date
        Date whose timing and orbit the frame grid has.
    azimuth_time, slant_range_m : (points,)
        Zero-Doppler UTC (datetime64, or seconds since 1970) and one-way slant range of each point on the master's
        grid: from `grid.json` by row, from `range.tif` by (row, col).
    grid_lon, grid_lat, grid_valid : (rows, cols)
        Rasters of the whole frame grid, for the share of coherent ground that became points.
    reference_mask : (points,)
        Points of the reference area: the mean error over them is taken off each date. Default: the median error of
        all points with temporal coherence above the limit.
    velocity_model
        "linear" or "seasonal" (line and yearly sine and cosine): what `velocity` was fitted with, so that the truth is
        fitted alike.

    Returns
    -------
    dict
        `points`, `points_coherent` (temporal coherence >= 0.7); over the latter: `displacement_rms_mm`,
        `displacement_rms_mm_by_date` (ISO date -> mm, each point's first date left out), `unwrap_jump_fraction` (share that is
        off by more than a quarter wavelength on any date), `velocity_rms_mm_per_year` (against the same fit of motion
        + atmosphere) and `velocity_rms_mm_per_year_motion` (against motion alone); over all points:
        `unwrap_jump_fraction_all`, `incoherent_share`; over at most 50,000 of them, evenly taken: `geolocation_rms_m`,
        `geolocation_max_m`; and
        `coherent_recall`.

    Raises
    ------
    RequestError
        Shapes do not fit, dates that were not simulated, or no point to compare.
    """
    points = len(row)
    _expect_shapes(points, len(dates), {
        "col": col, "lon": lon, "lat": lat, "height": height, "velocity": velocity,
        "temporal_coherence": temporal_coherence, "azimuth_time": azimuth_time, "slant_range_m": slant_range_m,
    }, displacement)  # fmt: skip
    good = np.asarray(temporal_coherence >= COHERENCE_LIMIT) & np.isfinite(displacement).any(axis=1)
    reference = good if reference_mask is None else np.asarray(reference_mask, bool)
    if not good.any() or not reference.any():
        raise RequestError(
            f"evaluate: expected points with temporal coherence >= {COHERENCE_LIMIT} and a reference among them, got "
            f"{int(good.sum())} such points and {int(reference.sum())} reference points out of {points}"
        )
    known = np.isfinite(displacement)
    motion, expected = _series(truth, lon, lat, height, dates)
    # Points off by a cycle must not move the reference where none was given.
    level = np.nanmedian if reference_mask is None else np.nanmean
    error = _error(displacement, expected, known, level((displacement - expected)[reference], axis=0))
    by_date = np.sqrt(np.nanmean(error[good][:, 1:] ** 2, axis=0))
    jump = np.max(np.abs(np.where(np.isfinite(error), error, 0.0)), axis=1) > truth.wavelength_m * 1e3 / 4
    some = slice(None, None, 1 + points // GEOLOCATED)
    distance = _geolocation_m(
        truth, master_date, azimuth_time[some], slant_range_m[some], lon[some], lat[some], height[some]
    )
    return {
        "points": points, "points_coherent": int(good.sum()),
        "displacement_rms_mm": float(np.sqrt(np.nanmean(error[good] ** 2))),
        "displacement_rms_mm_by_date": {
            d.isoformat(): float(v) for d, v in zip(dates[1:], by_date, strict=True)
        },
        "unwrap_jump_fraction": float(jump[good].mean()), "unwrap_jump_fraction_all": float(jump.mean()),
        "coherent_recall": _recall(truth, row, col, grid_lon, grid_lat, grid_valid),
        "incoherent_share": float(truth.incoherent(lon, lat).mean()),
        "geolocation_rms_m": float(np.sqrt(np.mean(distance**2))), "geolocation_max_m": float(distance.max()),
        "velocity_rms_mm_per_year": _velocity_rms(velocity, expected, known, dates, velocity_model, good, reference),
        "velocity_rms_mm_per_year_motion": _velocity_rms(velocity, motion, known, dates, velocity_model, good, reference),
    }  # fmt: skip


def _series(
    truth: Truth, lon: FloatArray, lat: FloatArray, height: npt.NDArray[np.floating[Any]], dates: Sequence[date]
) -> tuple[FloatArray, FloatArray]:
    """Motion, and motion + atmosphere, (points, dates), relative to the first of `dates`."""
    tall = np.asarray(height, np.float64)
    motion = np.stack([truth.los_mm(lon, lat, tall, d) for d in dates], axis=1)
    expected = motion + np.stack([truth.ground.air_mm(lon, lat, d) for d in dates], axis=1)
    return motion - motion[:, :1], expected - expected[:, :1]


def _error(
    displacement: npt.NDArray[np.floating[Any]], expected: FloatArray, known: BoolArray, level: FloatArray
) -> FloatArray:
    """Measured less true, mm, against the reference area's `level` of each date and the point's first known date.

    That first date, 0 by definition, is left out (NaN).
    """
    error = np.asarray(displacement - expected - level, np.float64)
    rows = np.flatnonzero(known.any(axis=1))
    first = known[rows].argmax(axis=1)
    error[rows] -= error[rows, first][:, None]
    error[rows, first] = np.nan
    return error


def fitted_velocity(series: FloatArray, dates: Sequence[date], model: str) -> FloatArray:
    """Slope, mm/yr, of a least-squares fit of (points, dates) by an offset, a line and, if asked, a yearly signal."""
    years = np.array([(d - dates[0]).days for d in dates]) / YEAR_DAYS
    columns = [np.ones_like(years), years]
    if model == "seasonal":
        columns += [np.sin(2 * np.pi * years), np.cos(2 * np.pi * years)]
    elif model != "linear":
        raise RequestError(f"evaluate: velocity_model: expected linear or seasonal, got {model!r}")
    return np.asarray(series @ np.linalg.pinv(np.stack(columns, axis=1))[1], np.float64)


def _velocity_rms(
    velocity: npt.NDArray[np.floating[Any]],
    series: FloatArray,
    known: BoolArray,
    dates: Sequence[date],
    model: str,
    good: BoolArray,
    reference: BoolArray,
) -> float:
    # A point that lacks dates was fitted without them: so is its truth.
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    fitted = np.full(len(velocity), np.nan)
    for number, pattern in enumerate(patterns):
        if pattern.any():
            mine = which == number
            days = [day for day, there in zip(dates, pattern, strict=True) if there]
            fitted[mine] = fitted_velocity(series[np.ix_(mine, pattern)], days, model)
    error = velocity - fitted
    error = error - np.nanmean(error[reference])
    return float(np.sqrt(np.nanmean(error[good] ** 2)))


def _geolocation_m(
    truth: Truth,
    master: date,
    azimuth_time: npt.NDArray[Any],
    slant_range_m: FloatArray,
    lon: FloatArray,
    lat: FloatArray,
    height: npt.NDArray[np.floating[Any]],
) -> FloatArray:
    """Distance in space between points and where the truth puts them, m."""
    true_lon, true_lat, true_height = truth.locate(master, azimuth_time, slant_range_m)
    scale = np.radians(EARTH_A_M)
    east = (lon - true_lon) * scale * np.cos(np.radians(true_lat))
    return np.asarray(np.sqrt(east**2 + ((lat - true_lat) * scale) ** 2 + (height - true_height) ** 2), np.float64)


def _recall(
    truth: Truth, row: npt.NDArray[Any], col: npt.NDArray[Any], lon: FloatArray, lat: FloatArray, valid: BoolArray
) -> float:
    if lon.shape != lat.shape or lon.shape != valid.shape:
        raise RequestError(f"evaluate: expected grids of one shape, got {lon.shape}, {lat.shape}, {valid.shape}")
    inside = np.asarray(valid, bool) & np.isfinite(lon) & np.isfinite(lat)
    is_point = np.zeros(lon.shape, bool)
    is_point[row, col] = True
    coherent = truth.coherent(lon[inside], lat[inside])
    if not coherent.any():
        raise RequestError("evaluate: expected coherent ground inside the frame grid, got none: do the grids fit the truth?")
    return float(is_point[inside][coherent].mean())


def _expect_shapes(points: int, dates: int, arrays: dict[str, npt.NDArray[Any]], displacement: npt.NDArray[Any]) -> None:
    for name, array in arrays.items():
        if array.shape != (points,):
            raise RequestError(f"evaluate: {name}: expected shape ({points},) like row, got {array.shape}")
    if displacement.shape != (points, dates):
        raise RequestError(f"evaluate: displacement: expected shape ({points}, {dates}), got {displacement.shape}")
