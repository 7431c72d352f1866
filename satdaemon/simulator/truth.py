"""What a simulated archive should be measured to show."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from satdaemon.errors import DataError, RequestError
from satdaemon.simulator.geometry import locate, to_geodetic
from satdaemon.simulator.ground import COHERENT, Cover, Ground
from satdaemon.simulator.instrument import LINE_INTERVAL_S, WAVELENGTH_M
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit import FloatArray
from satdaemon.simulator.scenario import Acquisition

BoolArray = npt.NDArray[np.bool_]


class Truth:
    """Motion, atmosphere, classes and geometry of one simulation; all arguments are arrays that broadcast."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.options = SimulationOptions.from_json(document["options"])
        self.ground = Ground(self.options)
        self.dates = tuple(a.date for a in self.ground.acquisitions)
        self.wavelength_m = WAVELENGTH_M
        self._check()

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `truth.json` in `folder` or `folder/truth`; DataError where there is none or it is another version's."""
        for path in (folder / "truth.json", folder / "truth" / "truth.json"):
            if path.is_file():
                return cls(json.loads(path.read_text()))
        raise DataError(f"truth: expected truth.json in {folder} or {folder}/truth, found neither; simulate first")

    def acquisition(self, day: date) -> Acquisition:
        """The acquisition of a date; RequestError for a date that was not simulated."""
        if day not in self.dates:
            known = ", ".join(d.isoformat() for d in self.dates)
            raise RequestError(f"truth: expected one of the simulated dates {known}, got {day.isoformat()}")
        return self.ground.acquisitions[self.dates.index(day)]

    def azimuth_shift_px(self, day: date, master: date) -> float:
        """Lines that `day` lies further than orbits and timing say, relative to `master`: what ESD must find."""
        return self.acquisition(day).azimuth_shift_px - self.acquisition(master).azimuth_shift_px

    def bperp_m(self, day: date, master: date) -> float:
        """Perpendicular baseline of `day` less that of `master`; positive where the satellite is higher."""
        return self.acquisition(day).bperp_m - self.acquisition(master).bperp_m

    def los_mm(self, lon: FloatArray, lat: FloatArray, height: FloatArray, day: date) -> FloatArray:
        """Ground motion since the first date, mm in the line of sight, positive towards the satellite.

        `height` is accepted for completeness; simulated motion does not depend on it.
        """
        return self.ground.motion_mm(lon, lat, self.acquisition(day).date)

    def atmosphere_mm(self, lon: FloatArray, lat: FloatArray, height: FloatArray, day: date) -> FloatArray:
        """Apparent displacement by the air since the first date, same sign as `los_mm`.

        The displacement that a perfect measurement shows is `los_mm + atmosphere_mm`.
        """
        return self.ground.air_mm(lon, lat, self.acquisition(day).date) - self.ground.air_mm(lon, lat, self.dates[0])

    def expected_mm(self, lon: FloatArray, lat: FloatArray, height: FloatArray, day: date) -> FloatArray:
        """`los_mm + atmosphere_mm`."""
        return self.los_mm(lon, lat, height, day) + self.atmosphere_mm(lon, lat, height, day)

    def cover(self, lon: FloatArray, lat: FloatArray) -> npt.NDArray[np.uint8]:
        """Class of the ground: the values of `ground.Cover`."""
        return self.ground.cover(lon, lat)

    def coherent(self, lon: FloatArray, lat: FloatArray) -> BoolArray:
        """True on ground that stays coherent through the whole stack (town, rock)."""
        return np.isin(self.cover(lon, lat), [int(c) for c in COHERENT])

    def incoherent(self, lon: FloatArray, lat: FloatArray) -> BoolArray:
        """True on ground that is never coherent (water)."""
        return np.asarray(self.cover(lon, lat) == Cover.WATER)

    def locate(
        self, day: date, azimuth_time: npt.NDArray[Any], slant_range_m: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Longitude, latitude (deg) and ellipsoidal height (m) of the ground seen at a place of a date's image.

        Parameters
        ----------
        day
            The date whose orbit and timing the image has (the master of a frame grid).
        azimuth_time
            Zero-Doppler UTC as the product annotates it: datetime64, or seconds since 1970 as float64.
        slant_range_m
            One-way slant range.
        """
        acquisition = self.acquisition(day)
        time = np.asarray(azimuth_time)
        if np.issubdtype(time.dtype, np.datetime64):
            node = np.datetime64(acquisition.node_utc.replace(tzinfo=None), "ns")
            seconds = (time.astype("datetime64[ns]") - node) / np.timedelta64(1, "ns") * 1e-9
        else:
            seconds = time.astype(np.float64) - acquisition.node_utc.timestamp()
        seconds = seconds - acquisition.azimuth_shift_px * LINE_INTERVAL_S
        seconds, slant = np.broadcast_arrays(seconds, np.asarray(slant_range_m, np.float64))
        height = np.full(seconds.shape, 160.0)
        for _ in range(60):
            lon, lat, _ = to_geodetic(locate(acquisition.orbit, seconds, slant, height))
            change = self.ground.height_m(np.degrees(lon), np.degrees(lat)) - height
            height = height + change
            if np.max(np.abs(change), initial=0.0) < 1e-3:
                break
        return np.degrees(lon), np.degrees(lat), height

    def _check(self) -> None:
        told = self.document["motion"]
        same = np.isclose(told["bowl_along_m"], self.ground.motion.bowl_along_m)
        days = [d["date"] for d in self.document["dates"]] == [d.isoformat() for d in self.dates]
        if not (same and days):
            raise DataError("truth: truth.json was written by another version of the simulator; simulate again")
