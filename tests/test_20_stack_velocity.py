"""Velocity with calibrated standard errors; DEM error; the reference area."""

from __future__ import annotations

import numpy as np
import pytest
from stack_truth import smooth_field

from satdaemon.errors import DataError, ProcessingError
from satdaemon.insar import dem_error
from satdaemon.insar.reference import Reference, Samples, choose_reference, nearest_reference
from satdaemon.insar.spacing import ground_spacing_m
from satdaemon.insar.velocity import fit_velocity


def test_velocity_and_season_are_recovered():
    years = np.arange(60) * 12 / 365.25
    truth = 14 * years + 3 * np.sin(2 * np.pi * years) - 5 * np.cos(2 * np.pi * years) + 2
    fit = fit_velocity(np.stack([truth, truth]).astype(np.float32), years)
    assert fit.velocity == pytest.approx([14, 14], abs=1e-3)
    assert fit.seasonal_sin[0] == pytest.approx(3, abs=1e-3) and fit.seasonal_cos[0] == pytest.approx(-5, abs=1e-3)
    assert fit.velocity_std[0] < 1e-3


@pytest.mark.parametrize(("dates", "seasonal"), [(14, False), (60, True)])
def test_standard_errors_are_calibrated(dates, seasonal):
    rng = np.random.default_rng(5)
    years = np.arange(dates) * 12 / 365.25
    series = 20 * years + rng.normal(0, 3, (20_000, dates))
    fit = fit_velocity(series.astype(np.float32), years)
    assert np.isfinite(fit.seasonal_sin).all() == seasonal
    assert fit.velocity.std() == pytest.approx(np.sqrt(np.mean(fit.velocity_std.astype(float) ** 2)), rel=0.03)
    # a Student variable: nearly 95 % within two standard errors
    inside = np.mean(np.abs(fit.velocity - 20) < 2 * fit.velocity_std)
    assert 0.91 < inside < 0.96


def test_short_series_get_no_season_and_tiny_ones_no_velocity():
    years = np.arange(10) * 12 / 365.25
    series = np.tile((30 * years).astype(np.float32), (4, 1))
    series[1, 3:] = np.nan
    series[2, 2:] = np.nan
    series[3, ::2] = np.nan
    fit = fit_velocity(series, years)
    assert np.isnan(fit.seasonal_sin).all()
    assert fit.velocity[[0, 1, 3]] == pytest.approx([30, 30, 30], rel=1e-3)
    assert np.isnan(fit.velocity[2]) and np.isnan(fit.velocity_std[2])


def test_season_can_be_switched_off():
    years = np.arange(60) * 12 / 365.25
    series = (10 * years + 4 * np.sin(2 * np.pi * years)).astype(np.float32)[None]
    assert np.isnan(fit_velocity(series, years, seasonal=False).seasonal_cos[0])


def test_unconstrained_season_is_not_fitted():
    """A date a year, always in the same season: sine, cosine and mean cannot be told apart."""
    years = np.arange(12).astype(float)
    fit = fit_velocity((7 * years).astype(np.float32)[None], years)
    assert np.isnan(fit.seasonal_sin[0]) and fit.velocity[0] == pytest.approx(7, abs=1e-3)


SHAPE = (200, 240)
DATES = 20


@pytest.fixture(scope="module")
def points():
    """Points of a frame with smooth atmosphere, motion, noise, and small hills that the DEM lacks."""
    rng = np.random.default_rng(6)
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0 : SHAPE[0] : 2, 0 : SHAPE[1] : 2])
    hills = 15 * np.exp(-(((row - 80) / 8.0) ** 2 + ((col - 120) / 8.0) ** 2))
    years = np.arange(DATES) * 12 / 365.25
    factor = rng.normal(0, 0.12, DATES).astype(np.float32)
    atmosphere = np.stack([1.5 * smooth_field(rng, SHAPE, 6.0)[row, col] for _ in range(DATES)], 1)
    truth = atmosphere + 15 * years
    series = truth + hills[:, None] * factor + rng.normal(0, 0.5, truth.shape)
    return row, col, hills, years, np.broadcast_to(factor, series.shape).copy(), truth, series.astype(np.float32)


def test_dem_error_is_found_and_atmosphere_kept(points):
    row, col, hills, years, factor, truth, series = points
    around = dem_error.Surroundings(SHAPE, (40, 40), DATES)
    around.add(row, col, series)
    around.finish()
    found = dem_error.estimate(series - around.at(row, col), factor, years, min_spread=0.02, significance=3)
    high = hills > 10
    assert found.height_m[high].mean() == pytest.approx(hills[high].mean(), abs=2.0)
    assert found.subtracted[high].mean() > 0.95
    assert found.subtracted[hills < 0.01].mean() < 0.03
    height = np.where(found.subtracted, found.height_m, 0)
    left = series - height[:, None] * factor - truth
    before = series - truth
    assert np.sqrt(np.mean(left[high] ** 2)) < 0.6 * np.sqrt(np.mean(before[high] ** 2))
    assert np.sqrt(np.mean(left[~high] ** 2)) < 0.65


def test_dem_error_needs_baselines_and_dates(points):
    *_, years, factor, _, series = points
    small = dem_error.estimate(series, factor * 0.01, years, min_spread=0.02, significance=3)
    assert np.isnan(small.height_m).all() and not small.subtracted.any()
    few = series.copy()
    few[:, 5:] = np.nan
    assert np.isnan(dem_error.estimate(few, factor, years, min_spread=0.02, significance=3).height_m).all()
    # baselines that grow steadily look like motion
    steady = np.broadcast_to(years * 0.3, series.shape).astype(np.float32)
    assert np.isnan(dem_error.estimate(series, steady, years, min_spread=0.02, significance=3).height_m).all()


def test_surroundings_give_a_plane_back():
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0:200, 0:240])
    series = np.stack([0.1 * row + 0.02 * col, np.full(len(row), 3.0)], 1).astype(np.float32)
    series[row < 100, 1] = np.nan
    around = dem_error.Surroundings((200, 240), (20, 20), 2)
    around.add(row, col, series)
    around.finish()
    inner = (row > 40) & (row < 160) & (col > 40) & (col < 200)
    smooth = around.at(row[inner], col[inner])
    assert np.allclose(smooth[:, 0], series[inner, 0], atol=0.15)
    assert np.isnan(around.at(np.array([10], np.int32), np.array([10], np.int32))[0, 1])
    assert around.at(np.array([150], np.int32), np.array([10], np.int32))[0, 1] == pytest.approx(3)


def samples(rng, noise):
    row, col = (grid.ravel().astype(np.int32) for grid in np.mgrid[0:200:8, 0:240:24])
    phase = (0.01 * row[:, None] + rng.standard_normal((len(row), 6)) * noise[:, None]).astype(np.float32)
    coherence = np.clip(1 - noise[:, None] + np.zeros((1, 6)), 0.3, 0.95).astype(np.float32)
    return Samples(row, col, phase, coherence, np.ones((len(row), 6), np.uint16))


def test_the_reference_is_quiet_full_and_well_surrounded():
    rng = np.random.default_rng(7)
    noise = np.full(250, 0.6)
    one = samples(rng, noise)
    quiet = (np.abs(one.row - 120) < 40) & (np.abs(one.col - 96) < 60)
    one = samples(rng, np.where(quiet, 0.05, 0.6))
    area = choose_reference(one, (14, 3.5), 200)
    assert abs(area.row - 120) < 40 and abs(area.col - 96) < 60
    # a quiet place that lacks an interferogram, or is not in the largest component, is passed over
    one.phase_rad[quiet, 3] = np.nan
    other = choose_reference(one, (14, 3.5), 200)
    assert not (abs(other.row - 120) < 40 and abs(other.col - 96) < 60)


def test_a_reference_may_be_set():
    one = samples(np.random.default_rng(8), np.full(250, 0.2))
    lat, lon = 52 - one.row * 14 / 111195.0, 4 + one.col * 3.5 / 111195.0 / np.cos(np.radians(52))
    area = nearest_reference(one, lon, lat, (float(lon[40]), float(lat[40])), 100)
    assert (area.row, area.col) == (one.row[40], one.col[40])
    with pytest.raises(ProcessingError, match="nearest is"):
        nearest_reference(one, lon, lat, (5.0, 52.0), 100)


def test_no_points_no_reference():
    empty = np.empty((0, 3), np.float32)
    none = Samples(np.empty(0, np.int32), np.empty(0, np.int32), empty, empty, empty.astype(np.uint16))
    with pytest.raises(ProcessingError, match="no point"):
        choose_reference(none, (14, 3.5), 200)


def test_a_reference_is_a_circle_on_the_ground():
    area = Reference(50, 60, 70.0)
    row, col = np.mgrid[0:100, 0:120].astype(np.int32)
    inside = area.contains(row, col, (14, 3.5))
    assert inside[50].sum() == 41 and inside[:, 60].sum() == 11
    assert area.rows((14, 3.5), 100) == (44, 57)


def test_ground_spacing():
    lat = 60 - np.mgrid[0:10, 0:10][0] * 1e-4
    lon = 10 + np.mgrid[0:10, 0:10][1] * 1e-4
    rows, cols = ground_spacing_m(lon, lat)
    assert rows == pytest.approx(11.12, abs=0.01) and cols == pytest.approx(5.56, abs=0.01)
    with pytest.raises(DataError, match="none known"):
        ground_spacing_m(np.full((4, 4), np.nan), np.full((4, 4), np.nan))
