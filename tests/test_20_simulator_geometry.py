"""Orbit, zero-Doppler solution and mapping of the simulator, against physics and against exact solutions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import realdata
import shapely

from satdaemon.domain import ORBIT_S
from satdaemon.simulator import SimulationOptions
from satdaemon.simulator.geometry import fm_rate_hz_s, locate, project, to_earth_fixed, to_geodetic
from satdaemon.simulator.instrument import SPEED_OF_LIGHT_M_S, SWATHS, WAVELENGTH_M
from satdaemon.simulator.kernel import OVERSAMPLING, STEPS, TAPS, sinc_table
from satdaemon.simulator.mapping import HEIGHT_SPAN_M, RadarGrid, date_to_reference
from satdaemon.simulator.orbit import EARTH_E2
from satdaemon.simulator.scatterers import band_limited
from satdaemon.simulator.scenario import acquisitions, near_range_time_s, nominal_start_s, reference_orbit
from satdaemon.simulator.surroundings import burst_footprint
from satdaemon.simulator.tops import doppler_rate, fm_rate

OPTIONS = SimulationOptions()
SLANT_M = 5.6635e-3 * SPEED_OF_LIGHT_M_S / 2


def test_geodetic_conversion_closes_and_meets_known_axes() -> None:
    lon, lat = np.radians([-3.0, 0.0, 170.0]), np.radians([52.0, 0.0, -89.9])
    height = np.array([120.0, 0.0, 2500.0])
    back = to_geodetic(to_earth_fixed(lon, lat, height))
    np.testing.assert_allclose(back[0], lon, atol=1e-14)
    np.testing.assert_allclose(back[1], lat, atol=1e-14)
    np.testing.assert_allclose(back[2], height, atol=2e-9)
    pole = to_earth_fixed(np.array(0.0), np.array(np.pi / 2), np.array(0.0))
    assert pole[2] == pytest.approx(6378137.0 * np.sqrt(1 - EARTH_E2), abs=1e-6)


def test_orbit_moves_as_a_satellite_does() -> None:
    orbit, time = reference_orbit(), np.linspace(0, ORBIT_S, 50)
    velocity = orbit.velocity(time)
    step = 1e-2
    np.testing.assert_allclose((orbit.position(time + step) - orbit.position(time - step)) / (2 * step), velocity, atol=1e-5)
    acceleration = orbit.acceleration(time)
    spin = np.array([0.0, 0.0, 7.2921159e-5])
    inertial = acceleration + 2 * np.cross(spin, velocity) + np.cross(spin, np.cross(spin, orbit.position(time)))
    position = orbit.position(time)
    gravity = -3.986004418e14 * position / np.linalg.norm(position, axis=1, keepdims=True) ** 3
    # The Earth's flattening is some 1e-3 of its pull.
    assert np.linalg.norm(inertial - gravity, axis=1).max() < 0.06
    assert 7500 < np.linalg.norm(velocity, axis=1).min() < 7700


def test_orbit_repeats_over_the_same_ground_after_175_orbits() -> None:
    orbit = reference_orbit()
    np.testing.assert_allclose(orbit.position(np.array(860.0 + 12 * 86400)), orbit.position(np.array(860.0)), atol=1e-3)


def test_locate_and_project_are_inverse() -> None:
    orbit = acquisitions(OPTIONS)[2].orbit
    time = np.array([860.0, 863.0, 869.0])
    slant, height = SLANT_M + np.array([0.0, 500.0, 2000.0]), np.array([0.0, 150.0, 900.0])
    point = locate(orbit, time, slant, height)
    again_time, again_slant = project(orbit, point, 850.0)
    np.testing.assert_allclose(again_time, time, atol=1e-10)
    np.testing.assert_allclose(again_slant, slant, atol=1e-8)
    np.testing.assert_allclose(to_geodetic(point)[2], height, atol=1e-7)
    sight = point - orbit.position(time)
    assert np.all(np.einsum("ij,ij->i", np.cross(orbit.position(time), orbit.velocity(time)), sight) < 0), "right-looking"


def test_fm_rate_is_the_curvature_of_range() -> None:
    orbit, time = reference_orbit(), np.array(863.0)
    point = locate(orbit, time, np.array(SLANT_M), np.array(100.0))
    t = time + np.linspace(-0.5, 0.5, 11)
    distance = np.linalg.norm(orbit.position(t) - point, axis=-1)
    curvature = 2 * np.polynomial.polynomial.polyfit(t - time, distance, 4)[2]
    assert fm_rate_hz_s(orbit, time, point) == pytest.approx(-2 / WAVELENGTH_M * curvature, rel=1e-6)


def test_fm_rate_agrees_with_real_annotation_of_the_same_latitude() -> None:
    # S1A 2025-04-06, IW1: t0 and polynomial of the annotation, evaluated at the simulator's near range.
    delay = 5.6635e-3 - 5.339839490506816e-03
    real = -2319.5694 + 450998.2 * delay - 7.928947e7 * delay**2
    assert float(fm_rate(reference_orbit(), 841.0, np.array(5.6635e-3))) == pytest.approx(real, rel=1e-3)


def test_doppler_runs_through_a_burst_as_steering_says() -> None:
    rate = float(doppler_rate(reference_orbit(), 862.0, SWATHS["IW1"], np.array(5.6635e-3)))
    assert 1680 < rate < 1710


@pytest.mark.realdata
def test_bursts_lie_where_esa_s_burst_map_has_them() -> None:
    features = json.loads((realdata.data_dir() / "burst_map_global" / "uk_subset.geojson").read_text())["features"]
    known = {
        (f["properties"]["burst_id"], f["properties"]["swath"]): shapely.geometry.shape(f["geometry"])
        for f in features
        if f["properties"]["track"] == 132
    }
    for place in range(OPTIONS.bursts):
        ours = shapely.Polygon(burst_footprint(OPTIONS, "IW1", place))
        real = known[OPTIONS.first_burst + place, "IW1"].union(known[OPTIONS.first_burst + place, "IW2"])
        assert ours.intersection(real.buffer(0.02)).area > 0.97 * ours.area


def test_mapping_is_exact_to_a_hundredth_of_a_radian() -> None:
    rng = np.random.default_rng(0)
    reference = RadarGrid(reference_orbit(), nominal_start_s(OPTIONS)["IW1"][0], SLANT_M)
    for acquisition in acquisitions(OPTIONS)[1:4]:
        start = acquisition.burst_start_s["IW2"][2]
        grid = RadarGrid(acquisition.orbit, start, near_range_time_s(OPTIONS, "IW2") * SPEED_OF_LIGHT_M_S / 2)
        mapping = date_to_reference(grid, reference, (0.0, 1512.0), (0.0, 319.0))
        row, col = rng.uniform(0, 1512, 40), rng.uniform(0, 319, 40)
        height = rng.uniform(*HEIGHT_SPAN_M, (40, 40))
        got = mapping.on_grid(row, col, height)
        full_row, full_col = np.broadcast_arrays(row[:, None], col[None, :])
        point = grid.ground(full_row, full_col, height)
        true_row, true_col = reference.pixel(point)
        _, slant = project(reference.orbit, point, 860.0)
        true_change = (
            np.linalg.norm(point - acquisition.orbit.position(start + full_row * 2.055556299999998e-03), axis=-1) - slant
        )
        assert np.abs(got[0] - true_row).max() < 1e-5
        assert np.abs(got[1] - true_col).max() < 1e-5
        assert 4 * np.pi / WAVELENGTH_M * np.abs(got[2] - true_change).max() < 1e-3


def test_interpolation_kernel_is_better_than_60_db() -> None:
    rng = np.random.default_rng(1)
    white = (rng.standard_normal((64, 64)) + 1j * rng.standard_normal((64, 64))).astype(np.complex64)
    field, table = band_limited(white), sinc_table()
    spectrum = np.fft.fft2(field.astype(np.complex128)) / field.size
    frequency = np.fft.fftfreq(field.shape[0])[:, None] * 1.0
    error, power = [], []
    for row, col in rng.uniform(10, 100, (60, 2)):
        k, m = int(row), int(col)
        wr, wc = table[round((row - k) * STEPS)], table[round((col - m) * STEPS)]
        patch = field[k - TAPS // 2 + 1 : k + TAPS // 2 + 1, m - TAPS // 2 + 1 : m + TAPS // 2 + 1]
        # Table steps are half of 1/4096 of a fine sample off at most: compare at the step.
        at_row, at_col = k + round((row - k) * STEPS) / STEPS, m + round((col - m) * STEPS) / STEPS
        kernel = np.exp(2j * np.pi * (frequency * at_row))[:, 0], np.exp(2j * np.pi * (frequency * at_col))[:, 0]
        exact = kernel[0] @ spectrum @ kernel[1]
        error.append(abs(wr @ patch @ wc - exact) ** 2)
        power.append(abs(exact) ** 2)
    assert 10 * np.log10(np.mean(error) / np.mean(power)) < -60
    assert OVERSAMPLING == 2
