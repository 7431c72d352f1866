"""Range and zero-Doppler geometry in float64, solved directly by Newton's method. Shares nothing with the processors."""

from __future__ import annotations

import numpy as np

from satdaemon.errors import ProcessingError
from satdaemon.simulator.instrument import WAVELENGTH_M
from satdaemon.simulator.orbit import EARTH_A_M, EARTH_E2, FloatArray, Orbit


def to_earth_fixed(lon_rad: FloatArray, lat_rad: FloatArray, height_m: FloatArray) -> FloatArray:
    """Geodetic WGS84 to Earth-fixed cartesian, (..., 3), m."""
    sin_lat, cos_lat = np.sin(lat_rad), np.cos(lat_rad)
    normal = EARTH_A_M / np.sqrt(1 - EARTH_E2 * sin_lat**2)
    return np.stack(
        [
            (normal + height_m) * cos_lat * np.cos(lon_rad),
            (normal + height_m) * cos_lat * np.sin(lon_rad),
            (normal * (1 - EARTH_E2) + height_m) * sin_lat,
        ],
        axis=-1,
    )


def to_geodetic(point_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Earth-fixed (..., 3) to longitude, latitude (rad) and ellipsoidal height (m), by fixed-point iteration."""
    x, y, z = point_m[..., 0], point_m[..., 1], point_m[..., 2]
    p = np.hypot(x, y)
    lat = np.arctan2(z, p * (1 - EARTH_E2))
    for _ in range(6):
        sin_lat = np.sin(lat)
        normal = EARTH_A_M / np.sqrt(1 - EARTH_E2 * sin_lat**2)
        lat = np.arctan2(z + EARTH_E2 * normal * sin_lat, p)
    sin_lat, cos_lat = np.sin(lat), np.cos(lat)
    height = p * cos_lat + z * sin_lat - EARTH_A_M * np.sqrt(1 - EARTH_E2 * sin_lat**2)
    return np.arctan2(y, x), lat, height


def up_vector(lon_rad: FloatArray, lat_rad: FloatArray) -> FloatArray:
    """Ellipsoid normal, (..., 3)."""
    cos_lat = np.cos(lat_rad)
    return np.stack([cos_lat * np.cos(lon_rad), cos_lat * np.sin(lon_rad), np.sin(lat_rad)], axis=-1)


def project(orbit: Orbit, point_m: FloatArray, start_s: float) -> tuple[FloatArray, FloatArray]:
    """Zero-Doppler time (s since the node) and slant range (m) of Earth-fixed points (..., 3).

    `start_s` is a time within some minutes of the answer. Solves (P - S(t)) . V(t) = 0.
    """
    time = np.full(point_m.shape[:-1], start_s)
    for _ in range(20):
        sight = point_m - orbit.position(time)
        velocity = orbit.velocity(time)
        rate = _dot(sight, orbit.acceleration(time)) - _dot(velocity, velocity)
        step = _dot(sight, velocity) / rate
        time = time - step
        if np.max(np.abs(step), initial=0.0) < 1e-9:
            return time, np.linalg.norm(point_m - orbit.position(time), axis=-1)
    raise ProcessingError("zero-Doppler projection did not converge: points must lie near the satellite's path")


def locate(orbit: Orbit, time_s: FloatArray, range_m: FloatArray, height_m: FloatArray) -> FloatArray:
    """Earth-fixed point (..., 3) to the right of the track at zero-Doppler time, slant range and ellipsoidal height."""
    time_s, range_m, height_m = np.broadcast_arrays(time_s, range_m, height_m)
    sensor, velocity = orbit.position(time_s), orbit.velocity(time_s)
    track = velocity / np.linalg.norm(velocity, axis=-1, keepdims=True)
    out = sensor / np.linalg.norm(sensor, axis=-1, keepdims=True)
    right = np.cross(track, out)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(track, right)
    radius, earth = np.linalg.norm(sensor, axis=-1), 6365000.0 + height_m
    cos_look = np.clip((radius**2 + range_m**2 - earth**2) / (2 * radius * range_m), -1.0, 1.0)
    look = np.arccos(cos_look)
    for _ in range(30):
        sight = range_m[..., None] * (np.cos(look)[..., None] * down + np.sin(look)[..., None] * right)
        point = sensor + sight
        lon, lat, height = to_geodetic(point)
        tangent = range_m[..., None] * (-np.sin(look)[..., None] * down + np.cos(look)[..., None] * right)
        step = (height - height_m) / _dot(tangent, up_vector(lon, lat))
        look = look - step
        if np.max(np.abs(step), initial=0.0) < 1e-15:
            break
    else:
        if np.max(np.abs(step)) > 1e-13:
            raise ProcessingError("locating on the ellipsoid did not converge: check slant ranges and heights")
    sight = range_m[..., None] * (np.cos(look)[..., None] * down + np.sin(look)[..., None] * right)
    return np.asarray(sensor + sight, np.float64)


def incidence_deg(orbit: Orbit, time_s: FloatArray, point_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Incidence angle at the ground and look angle off nadir at the satellite, degrees."""
    sensor = orbit.position(np.asarray(time_s, np.float64))
    sight = sensor - point_m
    sight /= np.linalg.norm(sight, axis=-1, keepdims=True)
    lon, lat, _ = to_geodetic(point_m)
    nadir = sensor / np.linalg.norm(sensor, axis=-1, keepdims=True)
    incidence = np.degrees(np.arccos(_dot(sight, up_vector(lon, lat))))
    return incidence, np.degrees(np.arccos(_dot(sight, nadir)))


def fm_rate_hz_s(orbit: Orbit, time_s: FloatArray, point_m: FloatArray) -> FloatArray:
    """Azimuth FM rate -(2 / lambda) d2R/dt2 of a fixed point at its zero-Doppler time, Hz/s (negative)."""
    sight = orbit.position(time_s) - point_m
    velocity = orbit.velocity(time_s)
    distance = np.linalg.norm(sight, axis=-1)
    second = (_dot(velocity, velocity) + _dot(sight, orbit.acceleration(time_s))) / distance
    return np.asarray(-2 / WAVELENGTH_M * second, np.float64)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("...i,...i->...", a, b), np.float64)
