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
