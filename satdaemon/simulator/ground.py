"""The ground of the simulated frame: relief, coherence classes, motion, atmosphere, as functions of longitude and latitude.

Everything is a closed formula of a few random numbers, so that truth can be asked for at any place without a raster.
Local coordinates: `along` and `across` the satellite's track, metres from the frame's centre; across is positive away
from the satellite (far range).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from satdaemon.simulator.instrument import RANGE_SPACING_M
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit import EARTH_A_M, FloatArray
from satdaemon.simulator.scenario import acquisitions, frame_centre

YEAR_DAYS = 365.25


class Cover(IntEnum):
    """Coherence class of the ground."""

    WATER = 0
    FIELD = 1
    ROCK = 2
    TOWN = 3


COHERENT = (Cover.TOWN, Cover.ROCK)
SHARES = {Cover.WATER: 0.10, Cover.TOWN: 0.30, Cover.ROCK: 0.20}
"""Share of the frame's ground, before the corridor of town along the track; the rest is field."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Ground motion in the line of sight, positive towards the satellite, mm."""

    bowl_along_m: float
    bowl_across_m: float
    bowl_along_radius_m: float
    bowl_across_radius_m: float
    bowl_rate_mm_yr: float
    fault_along_m: float
    fault_slope: float
    fault_step_mm: float
    fault_reach_m: float
    fault_day: date
    seasonal_along_m: float
    seasonal_radius_m: float
    seasonal_mm: float

    def bowl(self, along: FloatArray, across: FloatArray) -> FloatArray:
        """Rate of the subsidence bowl, mm/yr."""
        r2 = ((along - self.bowl_along_m) / self.bowl_along_radius_m) ** 2
        r2 = r2 + ((across - self.bowl_across_m) / self.bowl_across_radius_m) ** 2
        return self.bowl_rate_mm_yr * np.exp(-0.5 * r2)

    def fault(self, along: FloatArray, across: FloatArray) -> FloatArray:
        """Step on the northern side of the fault, mm, dying away with distance."""
        distance = along - self.fault_along_m - self.fault_slope * across
        side = 0.5 * (1 + np.tanh(distance / 20.0))
        return self.fault_step_mm * side * np.exp(-0.5 * (distance / self.fault_reach_m) ** 2)

    def season(self, along: FloatArray, across: FloatArray) -> FloatArray:
        """Amplitude of the yearly signal, mm."""
        return self.seasonal_mm * np.exp(-0.5 * ((along - self.seasonal_along_m) / self.seasonal_radius_m) ** 2)

    def factors(self, first: date, day: date) -> tuple[float, float, float]:
        """What bowl, fault and season are multiplied with, from `first` to `day`."""
        years = (day - first).days / YEAR_DAYS
        step = float(day >= self.fault_day) - float(first >= self.fault_day)
        return years, step, _season(day) - _season(first)


def _season(day: date) -> float:
    return float(np.sin(2 * np.pi * (day - date(2000, 1, 1)).days / YEAR_DAYS))


@dataclass(frozen=True, slots=True)
class Waves:
    """Sum of plane waves: a smooth random function of the plane with a power law over wavelengths."""

    kx: FloatArray
    ky: FloatArray
    amplitude: FloatArray
    phase: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, shortest_m: float, longest_m: float, power: float, std: float) -> Waves:
        """`count` waves with amplitude ~ wavelength ** power and standard deviation `std` in all."""
        length = shortest_m * (longest_m / shortest_m) ** rng.uniform(0, 1, count)
        angle = rng.uniform(0, 2 * np.pi, count)
        amplitude = length**power
        total = np.sqrt(0.5 * np.sum(amplitude**2))
        k = 2 * np.pi / length
        return cls(k * np.cos(angle), k * np.sin(angle), amplitude * std / total, rng.uniform(0, 2 * np.pi, count))

    def __call__(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Value at (x, y), metres."""
        total = np.zeros(np.broadcast(x, y).shape)
        for kx, ky, a, p in zip(self.kx, self.ky, self.amplitude, self.phase, strict=True):
            total += a * np.sin(kx * x + ky * y + p)
        return total


class Ground:
    """The whole scene of one set of options."""

    def __init__(self, options: SimulationOptions) -> None:
        self.options = options
        self.lon_deg, self.lat_deg, self.heading_deg = frame_centre(options)
        self.acquisitions = acquisitions(options)
        rng = np.random.default_rng([options.seed, 2])
        self._relief = Waves.draw(rng, 24, 1200.0, 9000.0, 1.2, 22.0)
        self._hills = Waves.draw(rng, 4, 12000.0, 26000.0, 0.5, 55.0)
        self._wet = Waves.draw(rng, 16, 900.0, 3000.0, 0.4, 1.0)
        self._kind = Waves.draw(rng, 20, 500.0, 2500.0, 0.4, 1.0)
        self._corridor = float(rng.uniform(0, 2 * np.pi))
        self.length_m, self.width_m = _extent(options)
        self.motion = _draw_motion(rng, self, options)
        self._limits = self._draw_limits(rng)
        self._air = tuple(
            Waves.draw(np.random.default_rng([options.seed, 3, a.index]), 40, 1500.0, 60000.0, 0.9, options.atmosphere_mm)
            for a in self.acquisitions
        )
        self._by_date = {a.date: a.index for a in self.acquisitions}

    def local(self, lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(along, across), metres."""
        scale = np.radians(EARTH_A_M)
        east = (np.asarray(lon_deg, np.float64) - self.lon_deg) * scale * np.cos(np.radians(self.lat_deg))
        north = (np.asarray(lat_deg, np.float64) - self.lat_deg) * scale
        cos_h, sin_h = np.cos(np.radians(self.heading_deg)), np.sin(np.radians(self.heading_deg))
        return north * cos_h + east * sin_h, east * cos_h - north * sin_h

    def height_m(self, lon_deg: FloatArray, lat_deg: FloatArray) -> FloatArray:
        """Ellipsoidal height."""
        x, y = self.local(lon_deg, lat_deg)
        return np.asarray(160.0 + self._hills(x, y) + self._relief(x, y), np.float64)

    def cover(self, lon_deg: FloatArray, lat_deg: FloatArray) -> npt.NDArray[np.uint8]:
        """Class of the ground (Cover)."""
        x, y = self.local(lon_deg, lat_deg)
        return self._cover(x, y)

    def _cover(self, x: FloatArray, y: FloatArray) -> npt.NDArray[np.uint8]:
        wet, town, rock = self._limits
        kind = self._kind(x, y)
        out = np.full(kind.shape, Cover.FIELD, np.uint8)
        out[kind > rock] = Cover.ROCK
        out[kind > town] = Cover.TOWN
        out[self._wet(x, y) > wet] = Cover.WATER
        middle = 0.17 * self.width_m * np.sin(2 * np.pi * x / 9000.0 + self._corridor)
        out[np.abs(y - middle) < 0.05 * self.width_m] = Cover.TOWN
        return out

    def motion_mm(self, lon_deg: FloatArray, lat_deg: FloatArray, day: date) -> FloatArray:
        """Line-of-sight motion since the first date, positive towards the satellite."""
        x, y = self.local(lon_deg, lat_deg)
        if not self.options.motion:
            return np.zeros(np.broadcast(x, y).shape)
        rate, step, season = self.motion.factors(self.acquisitions[0].date, day)
        m = self.motion
        return np.asarray(rate * m.bowl(x, y) + step * m.fault(x, y) + season * m.season(x, y), np.float64)

    def air_mm(self, lon_deg: FloatArray, lat_deg: FloatArray, day: date) -> FloatArray:
        """Apparent line-of-sight displacement by the atmosphere of that date, positive towards the satellite."""
        return self._air[self._by_date[day]](*self.local(lon_deg, lat_deg))

    def _draw_limits(self, rng: np.random.Generator) -> tuple[float, float, float]:
        x = rng.uniform(-0.5, 0.5, 20000) * self.length_m
        y = rng.uniform(-0.5, 0.5, 20000) * self.width_m
        kind = self._kind(x, y)
        dry = 1 - SHARES[Cover.WATER]
        town, rock = SHARES[Cover.TOWN] / dry, SHARES[Cover.ROCK] / dry
        return (
            float(np.quantile(self._wet(x, y), dry)),
            float(np.quantile(kind, 1 - town)),
            float(np.quantile(kind, 1 - town - rock)),
        )


def _extent(options: SimulationOptions) -> tuple[float, float]:
    columns = options.samples + (options.subswaths - 1) * (options.samples - options.range_overlap)
    return 19000.0 * options.bursts + 2000.0, columns * RANGE_SPACING_M / float(np.sin(np.radians(36.4)))


def _draw_motion(rng: np.random.Generator, ground: Ground, options: SimulationOptions) -> Motion:
    length, width = ground.length_m, ground.width_m
    days = [a.date for a in ground.acquisitions]
    return Motion(
        bowl_along_m=float(rng.uniform(-0.2, -0.1) * length),
        bowl_across_m=float(rng.uniform(-0.1, 0.1) * width),
        bowl_along_radius_m=1400.0,
        bowl_across_radius_m=float(min(800.0, 0.35 * width)),
        bowl_rate_mm_yr=-45.0,
        fault_along_m=float(rng.uniform(0.1, 0.2) * length),
        fault_slope=0.6,
        fault_step_mm=6.0,
        fault_reach_m=4000.0,
        fault_day=days[max(1, (len(days) * 3) // 7)],
        seasonal_along_m=float(rng.uniform(-0.4, -0.35) * length),
        seasonal_radius_m=4000.0,
        seasonal_mm=5.0,
    )
