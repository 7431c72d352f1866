"""Constants of Sentinel-1's IW mode, as ESA annotates them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SPEED_OF_LIGHT_M_S = 299792458.0
RADAR_FREQUENCY_HZ = 5.405000454334350e09
WAVELENGTH_M = SPEED_OF_LIGHT_M_S / RADAR_FREQUENCY_HZ
RANGE_SAMPLING_HZ = 64.34523812571428e6
RANGE_SPACING_M = SPEED_OF_LIGHT_M_S / (2 * RANGE_SAMPLING_HZ)
LINE_INTERVAL_S = 2.055556299999998e-03
BURST_CYCLE_S = 2.758273
BURST_ID_OFFSET_S = 2.299849
"""Time since the ascending node of burst id 1 (ESA's burst id rule, Level-1 detailed algorithm definition)."""

RANGE_BANDWIDTH_HZ = 48.3e6
AZIMUTH_BANDWIDTH_HZ = 313.0
HAMMING = 0.75
"""Coefficient of the processor's Hamming window in both directions."""


@dataclass(frozen=True, slots=True)
class Swath:
    """What differs between the subswaths."""

    name: str
    steering_rate_deg_s: float
    lines_per_burst: int
    anx_offset_s: float
    """First line of a burst, relative to the time that its ESA burst id names."""
    prf_hz: float
    rank: int
    invalid_lines: tuple[int, int]
    """Lines without data at the start and at the end of each burst."""


SWATHS: dict[str, Swath] = {
    "IW1": Swath("IW1", 1.590368784, 1502, -1.114, 1717.128973878037, 9, (20, 18)),
    "IW2": Swath("IW2", 0.9798633249999998, 1513, -0.167, 1451.627112193990, 8, (26, 25)),
    "IW3": Swath("IW3", 1.397440818, 1518, 0.793, 1685.817302492702, 10, (28, 28)),
}


def band_window(size: int, occupied: float) -> npt.NDArray[np.float32]:
    """Processor's Hamming weighting over `size` FFT bins of which the share `occupied` carries signal.

    Unit noise gain: white noise of unit variance keeps unit variance.
    """
    frequency = np.fft.fftfreq(size)
    inside = np.abs(frequency) <= occupied / 2
    weight = np.where(inside, HAMMING + (1 - HAMMING) * np.cos(2 * np.pi * frequency / occupied), 0.0)
    return np.asarray(weight / np.sqrt(np.mean(weight**2)), np.float32)
