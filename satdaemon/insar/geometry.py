"""Where things are: range-Doppler geometry on eos-sar's orbit interpolation and Newton solvers.

Times are seconds since the epoch of an `OrbitArc`; positions Earth-fixed metres; ranges one-way metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from eos.sar import range_doppler
from eos.sar.orbit import Orbit, StateVector
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.orbit import OrbitArc

EARTH_A_M = 6378137.0
EARTH_F = 1 / 298.257223563
_E2 = EARTH_F * (2 - EARTH_F)
MAX_DEGREE = 11
MAX_MISFIT_M = 0.5
"""State vectors that the interpolation misses by more cannot belong to one orbit."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Track:
    """A satellite's path, continuous in time."""

    arc: OrbitArc
    orbit: Any
    """eos.sar.orbit.Orbit, whose methods carry no types."""

    def position(self, time_s: Floats) -> Floats:
        """(n, 3) position at (n,) times."""
        return np.asarray(self.orbit.evaluate(time_s), np.float64)

    def velocity(self, time_s: Floats) -> Floats:
        """(n, 3) velocity at (n,) times, m/s."""
        return np.asarray(self.orbit.evaluate(time_s, order=1), np.float64)


def fit_track(arc: OrbitArc) -> Track:
    """Chebyshev interpolation of an arc's state vectors (positions and velocities).

    Raises
    ------
    DataError
        The vectors do not lie on one smooth orbit.
    """
    vectors = [
        StateVector(float(t), tuple(p), tuple(v)) for t, p, v in zip(arc.time_s, arc.position_m, arc.velocity_m_s, strict=True)
    ]
    orbit: Any = Orbit(vectors, min(MAX_DEGREE, 2 * len(vectors) - 3))
    misfit = float(np.abs(np.asarray(orbit.evaluate(arc.time_s)) - arc.position_m).max())
    if misfit > MAX_MISFIT_M:
        raise DataError(
            f"orbit {arc.files or arc.type}: state vectors {misfit:.2f} m off a smooth orbit, expected below {MAX_MISFIT_M} m"
        )
    return Track(arc, orbit)


def zero_doppler(track: Track, point_m: Floats, guess_s: Floats) -> tuple[Floats, Floats]:
    """Zero-Doppler time and slant range of (n, 3) points; the guess is within some minutes of the answer."""
    time, distance, _ = range_doppler.iterative_projection(
        track.orbit, point_m[:, 0], point_m[:, 1], point_m[:, 2], azt_init=guess_s, tol=1e-10
    )
    return np.atleast_1d(time), np.atleast_1d(distance)


def locate(track: Track, time_s: Floats, range_m: Floats, height_m: Floats) -> Floats:
    """(n, 3) points at zero-Doppler times, slant ranges and ellipsoidal heights, to the right of the path."""
    satellite, velocity = track.position(time_s), track.velocity(time_s)
    along = velocity / np.linalg.norm(velocity, axis=1, keepdims=True)
    up = satellite / np.linalg.norm(satellite, axis=1, keepdims=True)
    right = np.cross(along, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    down = np.cross(along, right)
    radius = np.linalg.norm(satellite, axis=1)
    # start on a sphere: the law of cosines gives the look angle
    sphere = 6.37e6 + height_m
    cos_look = np.clip((radius**2 + range_m**2 - sphere**2) / (2 * radius * range_m), -1.0, 1.0)[:, None]
    start = satellite + range_m[:, None] * (cos_look * down + np.sqrt(1 - cos_look**2) * right)
    found = range_doppler.iterative_localization(
        track.orbit, time_s, range_m, height_m, (start[:, 0], start[:, 1], start[:, 2]), max_iterations=50, tol=1e-5
    )
    return np.stack([np.atleast_1d(axis) for axis in found], axis=1)


def to_cartesian(lon_deg: Floats, lat_deg: Floats, height_m: Floats) -> Floats:
    """(n, 3) Earth-fixed points of WGS84 longitude, latitude and ellipsoidal height."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    normal = EARTH_A_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    return np.stack(
        [
            (normal + height_m) * np.cos(lat) * np.cos(lon),
            (normal + height_m) * np.cos(lat) * np.sin(lon),
            (normal * (1 - _E2) + height_m) * np.sin(lat),
        ],
        axis=1,
    )


def to_lon_lat(point_m: Floats) -> tuple[Floats, Floats]:
    """Geodetic longitude and latitude (degrees) of (n, 3) points near the Earth's surface.

    Bowring (1976), two steps: exact to better than 1e-11 degrees below 10 km.
    """
    x, y, z = point_m.T
    b = EARTH_A_M * (1 - EARTH_F)
    second = _E2 / (1 - _E2)
    p = np.hypot(x, y)
    theta = np.arctan2(z * EARTH_A_M, p * b)
    lat = np.zeros_like(theta)
    for _ in range(2):
        lat = np.arctan2(z + second * b * np.sin(theta) ** 3, p - _E2 * EARTH_A_M * np.cos(theta) ** 3)
        theta = np.arctan2(b * np.sin(lat), EARTH_A_M * np.cos(lat))
    return np.degrees(np.arctan2(y, x)), np.degrees(lat)


def incidence_deg(satellite_m: Floats, point_m: Floats) -> Floats:
    """Angle between the line of sight and the ellipsoid's normal at (n, 3) points, degrees."""
    lon, lat = (np.radians(v) for v in to_lon_lat(point_m))
    normal = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    sight = satellite_m - point_m
    cosine = np.einsum("ij,ij->i", sight, normal) / np.linalg.norm(sight, axis=1)
    return np.asarray(np.degrees(np.arccos(cosine)), np.float64)


def perpendicular_baseline_m(first_m: Floats, second_m: Floats, velocity_m_s: Floats, point_m: Floats) -> Floats:
    """Baseline from the first to the second satellite, across the first's line of sight, positive upwards.

    All (n, 3): positions at each satellite's zero-Doppler time, the first's velocity, the point. A target
    higher by dh at the same range from the first is nearer to the second by `baseline dh / (R sin(incidence))`.
    """
    sight = point_m - first_m
    sight = sight / np.linalg.norm(sight, axis=1, keepdims=True)
    across = np.cross(sight, velocity_m_s)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    across *= np.sign(np.einsum("ij,ij->i", across, first_m))[:, None]
    return np.asarray(np.einsum("ij,ij->i", second_m - first_m, across), np.float64)
