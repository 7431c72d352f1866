"""Analytic orbit of the simulated satellites.

A near-polar orbit with the shape of Sentinel-1's: radius, argument of latitude and cross-track offset as short Fourier
series of the argument of latitude (fitted to one orbit of restituted state vectors, 50 m), repeating in the Earth-fixed
frame after 175 orbits and 12 days. Position is an analytic function of time; velocity and acceleration are its
derivatives by central differences, exact to better than 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from satdaemon.domain import ORBIT_S

FloatArray = npt.NDArray[np.float64]

EARTH_A_M = 6378137.0
EARTH_F = 1 / 298.257223563
EARTH_E2 = EARTH_F * (2 - EARTH_F)
INCLINATION_RAD = np.radians(98.186394)

RADIUS_M = 7075415.3
RADIUS_SERIES_M = ((20.59, -8234.08), (1525.20, -4.31), (-6.67, 4.24))
LATITUDE_SERIES_M = ((-16476.18, 150.57), (-7.24, 841.88), (-11.98, 58.70))
"""Along-track departure from uniform motion, (cos, sin) of each harmonic, metres at 7070 km."""
CROSS_SERIES_M = ((-44.31, 0.30), (16.94, -3.79))


@dataclass(frozen=True, slots=True)
class Orbit:
    """One satellite's path around one acquisition.

    Times are seconds since the ascending node of the acquisition; positions are Earth-fixed, metres.
    """

    node_lon_rad: float
    radial_m: float = 0.0
    """Departure from the reference orbit, outwards."""
    cross_m: float = 0.0
    """Departure from the reference orbit, along the orbit normal."""

    def position(self, time_s: FloatArray) -> FloatArray:
        """Position at `time_s` (...,) as (..., 3)."""
        time_s = np.asarray(time_s, np.float64)
        u0 = 2 * np.pi * time_s / ORBIT_S
        radius = RADIUS_M + self.radial_m + _series(RADIUS_SERIES_M, u0)
        node_term = sum(c for c, _ in LATITUDE_SERIES_M)
        u = u0 + (_series(LATITUDE_SERIES_M, u0) - node_term) / 7.07e6
        cross = self.cross_m + _series(CROSS_SERIES_M, u0)
        along, up = radius * np.cos(u), radius * np.sin(u)
        cos_i, sin_i = np.cos(INCLINATION_RAD), np.sin(INCLINATION_RAD)
        x, y, z = along, up * cos_i - cross * sin_i, up * sin_i + cross * cos_i
        lon = self.node_lon_rad - 2 * np.pi * time_s / 86400.0
        cos_l, sin_l = np.cos(lon), np.sin(lon)
        return np.stack([x * cos_l - y * sin_l, x * sin_l + y * cos_l, z], axis=-1)

    def velocity(self, time_s: FloatArray) -> FloatArray:
        """Earth-fixed velocity, m/s, (..., 3); fourth-order difference over 1 s."""
        t, h = np.asarray(time_s, np.float64), 1.0
        p = self.position
        return (8 * (p(t + h) - p(t - h)) - (p(t + 2 * h) - p(t - 2 * h))) / (12 * h)

    def acceleration(self, time_s: FloatArray) -> FloatArray:
        """Earth-fixed acceleration, m/s^2, (..., 3); fourth-order difference over 10 s."""
        t, h = np.asarray(time_s, np.float64), 10.0
        p = self.position
        return (16 * (p(t + h) + p(t - h)) - (p(t + 2 * h) + p(t - 2 * h)) - 30 * p(t)) / (12 * h * h)


def _series(terms: tuple[tuple[float, float], ...], u: FloatArray) -> FloatArray:
    total = np.zeros_like(u)
    for k, (c, s) in enumerate(terms, start=1):
        total += c * np.cos(k * u) + s * np.sin(k * u)
    return total
