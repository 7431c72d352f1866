"""Which satellite passes when, on which orbit, with which timing, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from satdaemon.domain import ORBIT_S, REPEAT_ORBITS
from satdaemon.simulator.geometry import locate, to_geodetic, up_vector
from satdaemon.simulator.instrument import (
    BURST_CYCLE_S,
    BURST_ID_OFFSET_S,
    LINE_INTERVAL_S,
    RANGE_SAMPLING_HZ,
    SPEED_OF_LIGHT_M_S,
    SWATHS,
)
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit import Orbit

TRACK = 132
NODE_LON_RAD = np.radians(6.355)
"""Longitude of the ascending node of track 132, so that bursts fall where ESA's burst map has them (2 km)."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NODE_S1A = (datetime(2025, 4, 6, 2, 6, 13, 325994, UTC), 58630)
_NODE_S1B = (datetime(2021, 4, 1, 4, 49, 55, 637823, UTC), 26269)
"""A real ascending node and its absolute orbit, of tracks 108 and 168."""

NEAR_RANGE_TIME_S = 5.6635e-3
"""Two-way time near the seam of IW1 and IW2, where narrow subswaths can neighbour each other."""

PATTERN_SHIFT_S = 0.0005
"""Brings the first IW1 burst to a rounding edge of its id, so that ids of one burst differ between dates as real ones do."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One date of the simulation. Times in seconds are since `node_utc`."""

    index: int
    date: date
    platform: str
    absolute_orbit: int
    node_utc: datetime
    orbit: Orbit
    """The true path."""
    annotated_orbit: Orbit
    """What the annotation says, some centimetres off."""
    restituted_orbit: Orbit
    bperp_m: float
    """Perpendicular baseline to the reference orbit, positive where the satellite is higher (see `perpendicular`)."""
    azimuth_shift_px: float
    """A target stands at its true line plus this in the product: what enhanced spectral diversity must find."""
    burst_start_s: dict[str, tuple[float, ...]]
    """Annotated time of the first line of each burst, by subswath; whole microseconds."""
    cases: tuple[str, ...] = ()

    def utc(self, time_s: float) -> datetime:
        """UTC of a time since the node, to the microsecond."""
        return self.node_utc + timedelta(microseconds=round(time_s * 1e6))

    @property
    def has_orbit_file(self) -> bool:
        """False for the date without any orbit file."""
        return "no_orbit" not in self.cases

    def burst_count(self, swath: str) -> int:
        """Bursts of the subswath that exist on this date."""
        present = len(self.burst_start_s[swath])
        return present - 1 if "missing_burst" in self.cases and swath == list(self.burst_start_s)[-1] else present


def reference_orbit() -> Orbit:
    """The orbit that all others depart from, and that ties speckle to the ground."""
    return Orbit(NODE_LON_RAD)


def nominal_start_s(options: SimulationOptions) -> dict[str, tuple[float, ...]]:
    """Nominal first-line times of each subswath's bursts, seconds since the node, by ESA's burst id."""
    first = (options.first_burst - 1) * BURST_CYCLE_S + BURST_ID_OFFSET_S - (TRACK - 1) * ORBIT_S
    lowest = (281691 - 1) * BURST_CYCLE_S + BURST_ID_OFFSET_S - (TRACK - 1) * ORBIT_S + SWATHS["IW1"].anx_offset_s
    edge = np.floor(lowest * 10) / 10 + 0.05 - lowest + PATTERN_SHIFT_S
    return {
        name: tuple(float(first + SWATHS[name].anx_offset_s + edge + k * BURST_CYCLE_S) for k in range(options.bursts))
        for name in options.swath_names
    }


def near_range_time_s(options: SimulationOptions, swath: str) -> float:
    """Two-way time of a subswath's first sample; all subswaths lie on one sample grid."""
    place = options.swath_names.index(swath)
    return NEAR_RANGE_TIME_S + place * (options.samples - options.range_overlap) / RANGE_SAMPLING_HZ


def acquisitions(options: SimulationOptions) -> tuple[Acquisition, ...]:
    """All dates in order of time."""
    rng = np.random.default_rng([options.seed, 1])
    days = _days(options)
    cases = _cases(options)
    return tuple(_acquisition(options, rng, k, days, cases.get(k, ())) for k in range(options.dates))


def perpendicular(options: SimulationOptions) -> tuple[float, float]:
    """Radial and cross-track component of the unit vector of perpendicular baselines, at the frame's centre.

    It is normal to the line of sight and points upwards: a positive baseline raises the satellite.
    """
    sight, radial, cross = _sight(options)
    vector = radial - (radial @ sight) * sight
    vector /= np.linalg.norm(vector)
    return float(vector @ radial), float(vector @ cross)


def _sight(options: SimulationOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    orbit, starts = reference_orbit(), nominal_start_s(options)
    time = np.array(0.5 * (starts["IW1"][0] + starts["IW1"][-1]) + 1.5)
    slant = np.array(NEAR_RANGE_TIME_S * SPEED_OF_LIGHT_M_S / 2)
    point = locate(orbit, time, slant, np.array(150.0))
    sensor = orbit.position(time)
    sight = (point - sensor) / np.linalg.norm(point - sensor)
    radial = sensor / np.linalg.norm(sensor)
    probe = Orbit(orbit.node_lon_rad, cross_m=1.0).position(time) - sensor
    return sight, radial, probe


def _days(options: SimulationOptions) -> list[tuple[str, int]]:
    """Platform and days since the first date."""
    single = options.single_dates if options.single_dates is not None else max(1, round(options.dates * 2 / 7))
    days: list[tuple[str, int]] = [("S1A", 12 * k) for k in range(min(single, options.dates))]
    while len(days) < options.dates:
        platform, day = days[-1]
        days.append(("S1B" if platform == "S1A" else "S1A", day + 6))
    return days


def _cases(options: SimulationOptions) -> dict[int, tuple[str, ...]]:
    """Fatal cases stand in the last third, so that the middle of the stack stays fit for a master."""
    n = options.dates
    place = {"missing_burst": 2, "duplicate": 3, "split": n - 5, "corrupt": n - 3, "resorb_only": n - 2, "no_orbit": n - 1}
    return {place[name]: (name,) for name in options.cases}


def _node(options: SimulationOptions, platform: str, day: int) -> tuple[datetime, int]:
    """Ascending node and absolute orbit of the track's pass `day` days after the first date."""
    known_utc, known_orbit = _NODE_S1A
    orbit = known_orbit + (TRACK - ((known_orbit - 73) % REPEAT_ORBITS + 1))
    first = known_utc + timedelta(seconds=(orbit - known_orbit) * ORBIT_S)
    midnight = datetime(options.start.year, options.start.month, options.start.day, tzinfo=UTC)
    cycles = -((first - midnight) // timedelta(days=12))
    first, orbit = first + timedelta(days=12 * cycles), orbit + REPEAT_ORBITS * cycles
    node = first + timedelta(days=day)
    if platform == "S1A":
        return node, orbit + REPEAT_ORBITS * day // 12
    known_utc, known_orbit = _NODE_S1B
    near = known_orbit + round((node - known_utc) / timedelta(seconds=ORBIT_S))
    offset = (near - 27) % REPEAT_ORBITS + 1 - TRACK
    offset = (offset + REPEAT_ORBITS // 2) % REPEAT_ORBITS - REPEAT_ORBITS // 2
    return node, near - offset


def _acquisition(
    options: SimulationOptions,
    rng: np.random.Generator,
    index: int,
    days: list[tuple[str, int]],
    cases: tuple[str, ...],
) -> Acquisition:
    platform, day = days[index]
    node, absolute_orbit = _node(options, platform, day)
    node = node.replace(microsecond=0) + timedelta(microseconds=int(rng.integers(-900_000, 900_000)))
    up, side = perpendicular(options)
    bperp = float(options.baseline_spread_m * rng.uniform(-1, 1))
    parallel = float(rng.uniform(-6, 6)) * min(1.0, options.baseline_spread_m / 100)
    radial, cross = bperp * up + parallel * side, bperp * side - parallel * up
    small = rng.normal(0.0, 0.03, 4)
    magnitude = options.azimuth_shift_px * rng.uniform(0.25, 1.0)
    shift = float(magnitude * rng.choice((-1.0, 1.0)))
    # All subswaths share one line grid a date, as ESA's processor makes it; the beam is steered some ms early or late.
    phase = float(rng.uniform(0, 1)) * LINE_INTERVAL_S
    late = float(rng.uniform(-0.003, 0.003))
    starts = {name: tuple(_on_grid(start + late, phase) for start in values) for name, values in nominal_start_s(options).items()}
    return Acquisition(
        index,
        node.date(),
        platform,
        absolute_orbit,
        node,
        Orbit(NODE_LON_RAD, radial, cross),
        Orbit(NODE_LON_RAD, radial + small[0], cross + small[1]),
        Orbit(NODE_LON_RAD, radial + 0.5 * small[2], cross + 0.5 * small[3]),
        bperp,
        shift,
        starts,
        cases,
    )


def _on_grid(time_s: float, phase_s: float) -> float:
    line = round((time_s - phase_s) / LINE_INTERVAL_S)
    return round((phase_s + line * LINE_INTERVAL_S) * 1e6) / 1e6


def frame_centre(options: SimulationOptions) -> tuple[float, float, float]:
    """Longitude, latitude (deg) of the frame's centre, and heading of the track there (deg from north, clockwise)."""
    orbit, starts = reference_orbit(), nominal_start_s(options)
    middle = 0.5 * (starts["IW1"][0] + starts["IW1"][-1]) + 1.5
    width = (options.samples + (options.subswaths - 1) * (options.samples - options.range_overlap)) / RANGE_SAMPLING_HZ
    slant = np.array((NEAR_RANGE_TIME_S + width / 2) * SPEED_OF_LIGHT_M_S / 2)
    point = locate(orbit, np.array([middle - 0.5, middle, middle + 0.5]), slant, np.array(150.0))
    lon, lat, _ = to_geodetic(point)
    up = up_vector(lon[1], lat[1])
    along = point[2] - point[0]
    east = np.array([-np.sin(lon[1]), np.cos(lon[1]), 0.0])
    north = np.cross(up, east)
    heading = np.degrees(np.arctan2(along @ east, along @ north))
    return float(np.degrees(lon[1])), float(np.degrees(lat[1])), float(heading)
