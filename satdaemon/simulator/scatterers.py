"""Reflectivity of the ground under one burst, from date to date.

Each pixel is a sum of three independent circular Gaussian parts: one that stays, one that fades with time (a
first-order autoregression), and one that is new on every date; thermal noise is added before the processor's band
window. The coherence of two dates of one class is then (stay + fade * exp(-days / tau)) * signal / (signal + noise).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from satdaemon.simulator.ground import Cover
from satdaemon.simulator.instrument import (
    AZIMUTH_BANDWIDTH_HZ,
    LINE_INTERVAL_S,
    RANGE_BANDWIDTH_HZ,
    RANGE_SAMPLING_HZ,
    band_window,
)
from satdaemon.simulator.kernel import OVERSAMPLING

ComplexArray = npt.NDArray[np.complex64]
NOISE_DN = 12.0
CROSS_POLAR_GAIN = 0.3


@dataclass(frozen=True, slots=True)
class Persistence:
    """Temporal behaviour of one class; stay + fade + new = 1 (shares of power)."""

    amplitude_dn: float
    texture: float
    """Standard deviation of the logarithm of the persistent amplitude."""
    stay: float
    fade: float
    tau_days: float


BEHAVIOUR: dict[Cover, Persistence] = {
    Cover.TOWN: Persistence(130.0, 0.35, 0.97, 0.0, 1.0),
    Cover.ROCK: Persistence(80.0, 0.15, 0.90, 0.0, 1.0),
    Cover.FIELD: Persistence(45.0, 0.05, 0.02, 0.88, 14.0),
    Cover.WATER: Persistence(25.0, 0.0, 0.0, 0.0, 1.0),
}


class BurstScatterers:
    """Reflectivity under one burst in one polarisation; dates must be asked for in order of time."""

    def __init__(self, cover: npt.NDArray[np.uint8], seed: tuple[int, ...], *, gain: float, noise: bool, fading: bool) -> None:
        self._seed, self._noise = seed, NOISE_DN if noise else 0.0
        rng = np.random.Generator(np.random.SFC64([*seed, 0]))
        table = [BEHAVIOUR[c] for c in Cover]
        texture = np.exp(rng.standard_normal(cover.shape, np.float32) * _pick(cover, [p.texture for p in table]))
        self._amplitude = gain * texture * _pick(cover, [p.amplitude_dn for p in table])
        stay, fade = [p.stay for p in table], [p.fade for p in table]
        if not fading:
            stay = [0.0 if c is Cover.WATER else 1.0 for c in Cover]
            fade = [0.0 for _ in Cover]
        self._stay, self._fade = _pick(cover, np.sqrt(stay)), _pick(cover, np.sqrt(fade))
        self._new = _pick(cover, 1 - np.array(stay) - np.array(fade))
        self._tau = BEHAVIOUR[Cover.FIELD].tau_days
        self._steady, self._fading = _circular(rng, cover.shape), _circular(rng, cover.shape)
        self._date, self._day = -1, 0

    def field(self, date_index: int, day: int) -> ComplexArray:
        """Band-limited field of one date, oversampled by OVERSAMPLING in both directions, base band."""
        if date_index <= self._date:
            raise ValueError(f"dates must come in order: {date_index} after {self._date}")
        rng = np.random.Generator(np.random.SFC64([*self._seed, 1, date_index]))
        if self._date >= 0:
            keep = float(np.exp(-(day - self._day) / self._tau))
            self._fading *= np.float32(keep)
            self._fading += np.float32(np.sqrt(1 - keep**2)) * _circular(rng, self._fading.shape)
        self._date, self._day = date_index, day
        total = self._amplitude * (self._stay * self._steady + self._fade * self._fading)
        fresh = np.sqrt(self._amplitude**2 * self._new + np.float32(self._noise**2))
        total += fresh * _circular(rng, total.shape)
        return band_limited(total)


def band_limited(white: ComplexArray) -> ComplexArray:
    """Weight with the processor's band window and oversample; unit gain for white noise."""
    rows, cols = white.shape
    spectrum = scipy.fft.fft2(white, overwrite_x=True)
    spectrum *= band_window(rows, AZIMUTH_BANDWIDTH_HZ * LINE_INTERVAL_S)[:, None]
    spectrum *= band_window(cols, RANGE_BANDWIDTH_HZ / RANGE_SAMPLING_HZ)[None, :]
    n = OVERSAMPLING
    padded = np.zeros((n * rows, n * cols), np.complex64)
    r, c = rows // 2, cols // 2
    for rs, rd in ((slice(0, r), slice(0, r)), (slice(r, rows), slice(n * rows - rows + r, None))):
        for cs, cd in ((slice(0, c), slice(0, c)), (slice(c, cols), slice(n * cols - cols + c, None))):
            padded[rd, cd] = spectrum[rs, cs]
    out = scipy.fft.ifft2(padded, overwrite_x=True)
    out *= np.float32(n * n)
    return np.asarray(out, np.complex64)


def _pick(cover: npt.NDArray[np.uint8], values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)[cover]


def _circular(rng: np.random.Generator, shape: tuple[int, ...]) -> ComplexArray:
    pair = rng.standard_normal((*shape, 2), np.float32)
    pair *= np.float32(np.sqrt(0.5))
    return pair.view(np.complex64)[..., 0]
