"""Perpendicular baselines of many dates at one place, from a few state vectors each.

Light on purpose: the database asks it for hundreds of dates at once. Between state vectors 10 s apart a cubic through
positions and velocities is within 0.3 mm of the orbit. The stages' own geometry (satdaemon.insar.geometry) is the yardstick.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.orbit import OrbitArc

Floats = NDArray[np.float64]
REACH_S = 5.0
"""A place that is passed this much before the first or after the last state vector is not seen."""
_TURNS, _SETTLED_S = 25, 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A satellite as it passes a place at zero Doppler."""

    position_m: Floats
    """(3,) Earth-fixed."""
    velocity_m_s: Floats


def view(arc: OrbitArc, point_m: Floats) -> View:
    """The satellite at the moment at which a (3,) Earth-fixed point is at zero Doppler.

    Raises
    ------
    DataError
        The arc does not reach that moment.
    """
    time_s = float(arc.time_s[len(arc.time_s) // 2])
    for _ in range(_TURNS):
        position, velocity = _interpolate(arc, time_s)
        step_s = float((point_m - position) @ velocity / (velocity @ velocity))
        time_s += step_s
        if not arc.time_s[0] - 600 < time_s < arc.time_s[-1] + 600 or abs(step_s) < _SETTLED_S:
            break
    if not arc.time_s[0] - REACH_S <= time_s <= arc.time_s[-1] + REACH_S:
        raise DataError(
            f"orbit {arc.files or arc.type} of {arc.epoch_utc:%Y-%m-%d %H:%M}: expected state vectors around the place, got"
            f" {arc.time_s[0]:.0f} to {arc.time_s[-1]:.0f} s where it is passed at {time_s:.0f} s"
        )
    return View(*_interpolate(arc, time_s))


def baseline_m(first: View, second: View, point_m: Floats) -> float:
    """Perpendicular baseline of the second satellite from the first at a (3,) point, as `perpendicular_baseline_m`."""
    one = (first.position_m[None], second.position_m[None], first.velocity_m_s[None], point_m[None])
    return float(perpendicular_baseline_m(*one)[0])


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


def _interpolate(arc: OrbitArc, time_s: float) -> tuple[Floats, Floats]:
    """Position and velocity by the cubic between the two nearest state vectors (Hermite), which goes on at the ends."""
    k = int(np.clip(np.searchsorted(arc.time_s, time_s) - 1, 0, len(arc.time_s) - 2))
    span = float(arc.time_s[k + 1] - arc.time_s[k])
    u = (time_s - float(arc.time_s[k])) / span
    p0, p1, v0, v1 = arc.position_m[k], arc.position_m[k + 1], arc.velocity_m_s[k] * span, arc.velocity_m_s[k + 1] * span
    square, cube = 3 * (p1 - p0) - 2 * v0 - v1, v0 + v1 - 2 * (p1 - p0)
    return p0 + u * (v0 + u * (square + u * cube)), (v0 + u * (2 * square + 3 * u * cube)) / span
