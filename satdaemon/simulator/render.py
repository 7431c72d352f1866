"""One burst of the frame: its ground, and its samples on any date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.interpolate import RectBivariateSpline

from satdaemon.simulator.ground import Ground
from satdaemon.simulator.instrument import (
    LINE_INTERVAL_S,
    RANGE_SAMPLING_HZ,
    SPEED_OF_LIGHT_M_S,
    SWATHS,
    WAVELENGTH_M,
    Swath,
)
from satdaemon.simulator.kernel import sample_burst, sinc_table
from satdaemon.simulator.mapping import HEIGHT_SPAN_M, Mapping, RadarGrid, date_to_reference, pixel_to_lonlat
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit import FloatArray
from satdaemon.simulator.scatterers import CROSS_POLAR_GAIN, BurstScatterers, ComplexArray
from satdaemon.simulator.scenario import Acquisition, near_range_time_s, nominal_start_s, reference_orbit
from satdaemon.simulator.tops import doppler_rate

MARGIN_PX = 16
"""Rows and columns of ground around a burst, for orbits, timing and the interpolation kernel."""
_STEP = (6, 4)
"""Spacing (rows, cols) of the grid on which relief and air are evaluated before cubic interpolation."""


@dataclass(frozen=True, slots=True)
class BurstImage:
    """Samples of one burst and date."""

    samples: ComplexArray
    """(polarisations, lines, samples), DN, not yet rounded; zero outside the valid part."""
    doppler_hz: float
    """Doppler centroid at the middle of the burst that the annotation must tell."""


def valid_samples(swath: Swath, burst: int, samples: int) -> tuple[int, int, int, int]:
    """First and last valid line, first and last valid sample of a burst."""
    top, bottom = swath.invalid_lines
    return top, swath.lines_per_burst - 1 - bottom, 6 + burst % 2, samples - 7 - burst % 2


def reference_grid(options: SimulationOptions) -> RadarGrid:
    """The grid to which the speckle is tied: nominal timing, reference orbit."""
    slant = near_range_time_s(options, "IW1") * SPEED_OF_LIGHT_M_S / 2
    return RadarGrid(reference_orbit(), nominal_start_s(options)["IW1"][0], slant)


def date_grid(options: SimulationOptions, acquisition: Acquisition, swath: str, burst: int) -> RadarGrid:
    """The true geometry of a date's burst: its annotated times less the timing error."""
    start = acquisition.burst_start_s[swath][burst] - acquisition.azimuth_shift_px * LINE_INTERVAL_S
    return RadarGrid(acquisition.orbit, start, near_range_time_s(options, swath) * SPEED_OF_LIGHT_M_S / 2)


class BurstScene:
    """Ground and scatterers under one burst."""

    def __init__(self, ground: Ground, swath: str, burst: int) -> None:
        options = ground.options
        self.swath, self.burst, self._ground = SWATHS[swath], burst, ground
        self._reference = reference_grid(options)
        start = nominal_start_s(options)[swath][burst]
        self._first_row = (start - self._reference.time_s) / LINE_INTERVAL_S
        first_col = (near_range_time_s(options, swath) - near_range_time_s(options, "IW1")) * RANGE_SAMPLING_HZ
        self.origin = (round(self._first_row) - MARGIN_PX, round(first_col) - MARGIN_PX)
        rows = scipy.fft.next_fast_len(self.swath.lines_per_burst + 2 * MARGIN_PX)
        cols = scipy.fft.next_fast_len(options.samples + 2 * MARGIN_PX)
        self.shape = (rows, cols)
        self._set_ground()
        self._doppler = self._set_doppler()
        cover = ground.cover(self._lon, self._lat)
        place = options.swath_names.index(swath) * 100 + burst
        self._scatterers = [
            BurstScatterers(
                cover,
                (options.seed, 4, place, p),
                gain=CROSS_POLAR_GAIN if p else 1.0,
                noise=options.thermal_noise,
                fading=options.decorrelation,
            )
            for p in range(len(options.polarisations))
        ]
        x, y = ground.local(self._lon, self._lat)
        motion = ground.motion
        self._motion = [f(x, y).astype(np.float32) * 1e-3 for f in (motion.bowl, motion.fault, motion.season)]
        self._table = sinc_table()

    def _set_ground(self) -> None:
        """Solve the height under each pixel: the point at the pixel's range lies on the relief."""
        rows = self.origin[0] + np.arange(self.shape[0], dtype=np.float64)
        cols = self.origin[1] + np.arange(self.shape[1], dtype=np.float64)
        spans = (rows[0] - 1, rows[-1] + _STEP[0]), (cols[0] - 1, cols[-1] + _STEP[1])
        lonlat = pixel_to_lonlat(self._reference, *spans)
        coarse = [np.append(a[::s], a[::s][-1] + s) for a, s in zip((rows, cols), _STEP, strict=True)]
        height = np.full((len(coarse[0]), len(coarse[1])), 160.0)
        for _ in range(60):
            lon, lat = lonlat.on_grid(coarse[0], coarse[1], height)
            change = self._ground.height_m(lon, lat) - height
            height += change
            if np.abs(change).max() < 1e-7:
                break
        self._coarse = coarse
        self._coarse_lon, self._coarse_lat = lonlat.on_grid(coarse[0], coarse[1], height)
        self.height_m = RectBivariateSpline(*coarse, height)(rows, cols)
        self._lon, self._lat = lonlat.on_grid(rows, cols, self.height_m)
        self._rows, self._cols = rows, cols

    def _set_doppler(self) -> FloatArray:
        options = self._ground.options
        middle = self._first_row + (self.swath.lines_per_burst - 1) / 2
        t0 = near_range_time_s(options, "IW1")
        at = t0 + (self.origin[1] + np.array([0.0, self.shape[1]])) / RANGE_SAMPLING_HZ
        time = self._reference.time_s + middle * LINE_INTERVAL_S
        rates = doppler_rate(self._reference.orbit, time, self.swath, at)
        slope = (rates[1] - rates[0]) / self.shape[1]
        return np.array([middle, LINE_INTERVAL_S, rates[0] - slope * self.origin[1], slope])

    def delay_m(self, acquisition: Acquisition) -> npt.NDArray[np.float32]:
        """Line-of-sight displacement of a date on the burst's window: motion since the first date, and air."""
        air = self._ground.air_mm(self._coarse_lon, self._coarse_lat, acquisition.date) * 1e-3
        total = RectBivariateSpline(*self._coarse, air)(self._rows, self._cols).astype(np.float32)
        if self._ground.options.motion:
            first = self._ground.acquisitions[0].date
            for factor, part in zip(self._ground.motion.factors(first, acquisition.date), self._motion, strict=True):
                total += np.float32(factor) * part
        return np.asarray(total, np.float32)

    def mapping(self, acquisition: Acquisition) -> Mapping:
        """From this date's pixels of the burst to the reference grid."""
        options = self._ground.options
        grid = date_grid(options, acquisition, self.swath.name, self.burst)
        return date_to_reference(
            grid, self._reference, (0.0, float(self.swath.lines_per_burst - 1)), (0.0, float(options.samples - 1))
        )

    def render(self, acquisition: Acquisition) -> BurstImage:
        """The burst as the satellite sees it on this date. Dates must be asked for in order of time."""
        options = self._ground.options
        mapping = self.mapping(acquisition)
        day = (acquisition.date - self._ground.acquisitions[0].date).days
        fields = np.stack([s.field(acquisition.index, day) for s in self._scatterers])
        out = np.zeros((len(fields), self.swath.lines_per_burst, options.samples), np.complex64)
        sample_burst(
            out,
            fields,
            self.height_m.astype(np.float32),
            self.delay_m(acquisition),
            mapping.coefficients,
            np.array([mapping.rows, mapping.cols, HEIGHT_SPAN_M]),
            np.array(self.origin, np.float64),
            self._doppler,
            WAVELENGTH_M,
            self._table,
        )
        top, bottom, left, right = valid_samples(self.swath, self.burst, options.samples)
        out[:, :top], out[:, bottom + 1 :] = 0, 0
        out[:, :, :left], out[:, :, right + 1 :] = 0, 0
        return BurstImage(out, self.doppler_hz(mapping))

    def doppler_hz(self, mapping: Mapping) -> float:
        """Doppler centroid at the burst's annotated middle, Hz: the beam's steering is tied to the reference timing."""
        middle = np.array([(self.swath.lines_per_burst - 1) / 2]), np.array([self._ground.options.samples / 2])
        row, col, _ = mapping.on_grid(*middle, np.full((1, 1), 160.0))[:, 0, 0]
        rate = self._doppler[2] + self._doppler[3] * col
        return float(rate * (row - self._doppler[0]) * LINE_INTERVAL_S)


def quantise(image: ComplexArray) -> npt.NDArray[np.int16]:
    """Round to 16-bit integers, (..., 2)."""
    parts = np.ascontiguousarray(image).view(np.float32).reshape(*image.shape, 2)
    return np.clip(np.rint(parts), -32768, 32767).astype(np.int16)


def scene_grid(options: SimulationOptions) -> Sequence[tuple[str, int]]:
    """All bursts of the frame: (subswath, place in the subswath)."""
    return [(name, k) for name in options.swath_names for k in range(options.bursts)]
