"""What one annotation file describes: the bursts of one subswath and polarisation in one product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from satdaemon.domain import ORBIT_S
from satdaemon.simulator.geometry import incidence_deg, locate, to_geodetic
from satdaemon.simulator.ground import Ground
from satdaemon.simulator.instrument import (
    BURST_CYCLE_S,
    BURST_ID_OFFSET_S,
    LINE_INTERVAL_S,
    RANGE_SAMPLING_HZ,
    SPEED_OF_LIGHT_M_S,
    SWATHS,
    Swath,
)
from satdaemon.simulator.orbit import FloatArray
from satdaemon.simulator.scenario import Acquisition, near_range_time_s

GRID_COLUMNS = 21
SENSING_OFFSET_S = {"IW1": 1.136, "IW2": 1.026, "IW3": 1.146}
"""ESA's sensing time of a burst after its first zero-Doppler line."""


@dataclass(frozen=True)
class SwathProduct:
    """One subswath of one product of one date."""

    ground: Ground
    acquisition: Acquisition
    swath_name: str
    bursts: tuple[int, ...]
    """Places of the bursts in the frame."""
    doppler_hz: tuple[float, ...]
    """Doppler centroid of each burst."""
    slice_number: int = 1
    slice_count: int = 1

    @property
    def swath(self) -> Swath:
        """Constants of the subswath."""
        return SWATHS[self.swath_name]

    @property
    def samples(self) -> int:
        """Range samples of a line."""
        return self.ground.options.samples

    @property
    def lines(self) -> int:
        """Lines of the measurement file."""
        return self.swath.lines_per_burst * len(self.bursts)

    @property
    def range_time_s(self) -> float:
        """Two-way time of the first sample."""
        return near_range_time_s(self.ground.options, self.swath_name)

    @property
    def starts_s(self) -> tuple[float, ...]:
        """First line of each burst, seconds since the node."""
        return tuple(self.acquisition.burst_start_s[self.swath_name][k] for k in self.bursts)

    @property
    def burst_length_s(self) -> float:
        """From a burst's first line to its last."""
        return (self.swath.lines_per_burst - 1) * LINE_INTERVAL_S

    @property
    def first_utc(self) -> datetime:
        """First line of the product."""
        return self.acquisition.utc(self.starts_s[0])

    @property
    def last_utc(self) -> datetime:
        """Last line of the product."""
        return self.acquisition.utc(self.starts_s[-1] + self.burst_length_s)

    def utc(self, time_s: float) -> datetime:
        """UTC of seconds since the node."""
        return self.acquisition.utc(time_s)

    def burst_ids(self, place: int) -> tuple[int, int]:
        """ESA's relative and absolute burst id (S1 Level-1 product specification: IW2's middle decides)."""
        relative = self.ground.options.first_burst + place
        iw2 = (relative - 0.5) * BURST_CYCLE_S + BURST_ID_OFFSET_S
        turns = self.acquisition.absolute_orbit - self.relative_orbit
        absolute = 1 + int(np.floor((iw2 - BURST_ID_OFFSET_S + turns * ORBIT_S) / BURST_CYCLE_S))
        return relative, absolute

    @property
    def relative_orbit(self) -> int:
        """Track."""
        offset = 73 if self.acquisition.platform == "S1A" else 27
        return (self.acquisition.absolute_orbit - offset) % 175 + 1

    @cached_property
    def grid(self) -> GeolocationGrid:
        """Geolocation grid: first line of each burst and the last line, GRID_COLUMNS samples."""
        rows = [k * self.swath.lines_per_burst for k in range(len(self.bursts))] + [self.lines - 1]
        times = [*self.starts_s, self.starts_s[-1] + self.burst_length_s]
        pixels = np.unique(np.round(np.linspace(0, self.samples - 1, GRID_COLUMNS)).astype(int))
        slant = self.range_time_s + pixels / RANGE_SAMPLING_HZ
        time, two_way = np.meshgrid(np.array(times), slant, indexing="ij")
        orbit = self.acquisition.annotated_orbit
        height = np.full(time.shape, 160.0)
        for _ in range(60):
            point = locate(orbit, time, two_way * SPEED_OF_LIGHT_M_S / 2, height)
            lon, lat, _ = to_geodetic(point)
            change = self.ground.height_m(np.degrees(lon), np.degrees(lat)) - height
            height = height + change
            if np.abs(change).max() < 1e-5:
                break
        incidence, elevation = incidence_deg(orbit, time, point)
        lines = np.repeat(np.array(rows)[:, None], len(pixels), axis=1)
        columns = np.repeat(pixels[None], len(rows), axis=0)
        return GeolocationGrid(lines, columns, time, two_way, np.degrees(lon), np.degrees(lat), height, incidence, elevation)

    def state_vectors(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Times (s since the node, 10 s apart), positions and velocities of the annotated orbit."""
        first = np.floor(self.starts_s[0]) - 66.0 + 0.324203
        time = first + 10.0 * np.arange(17)
        orbit = self.acquisition.annotated_orbit
        return time, orbit.position(time), orbit.velocity(time)

    def around(self) -> list[float]:
        """Times of annotation records: one burst cycle apart, from just before the first burst to after the last."""
        middle = self.starts_s[0] + 0.5 * self.burst_length_s
        return [middle + k * BURST_CYCLE_S for k in range(-1, len(self.bursts) + 1)]


@dataclass(frozen=True, slots=True)
class GeolocationGrid:
    """Arrays (lines, samples) of the annotation's geolocation grid; angles in degrees, times in seconds."""

    line: np.ndarray
    pixel: np.ndarray
    time_s: FloatArray
    range_time_s: FloatArray
    lon_deg: FloatArray
    lat_deg: FloatArray
    height_m: FloatArray
    incidence_deg: FloatArray
    elevation_deg: FloatArray

    def outline(self) -> list[tuple[float, float]]:
        """Corners (lon, lat): early near, early far, late far, late near."""
        return [(float(self.lon_deg[r, c]), float(self.lat_deg[r, c])) for r, c in ((0, 0), (0, -1), (-1, -1), (-1, 0))]


def rounded(time_utc: datetime) -> datetime:
    """To the second, down, as product names have it."""
    return time_utc - timedelta(microseconds=time_utc.microsecond)
