"""Amplitude statistics of a stack and the correlation of its speckle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TILE = (16, 64)
"""Rows and columns of the tiles that the speckle correlation is measured on: within 16 lines the TOPS Doppler
changes little enough (about 70 Hz) for complex products to be summed."""

LEVEL_ROUNDS = 8


@dataclass(slots=True)
class AmplitudeSums:
    """Sums over dates, of a block of rows: shape (rows, cols)."""

    count: NDArray[np.uint16]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> AmplitudeSums:
        """Nothing summed yet."""
        return cls(np.zeros(shape, np.uint16), np.zeros(shape), np.zeros(shape))

    def add(self, slc: NDArray[np.complex64], scale: float) -> None:
        """Add a date's block, its amplitude multiplied by `scale`; NaN and exact zero are no data."""
        amplitude = np.abs(slc) * np.float32(scale)
        known = np.isfinite(amplitude) & (amplitude > 0)
        amplitude[~known] = 0
        self.count += known
        self.total += amplitude
        self.squares += np.square(amplitude, dtype=np.float64)

    def statistics(self, fewest: int) -> tuple[Floats, Floats]:
        """Mean amplitude and amplitude dispersion (std / mean), NaN where fewer than `fewest` dates are known."""
        enough = self.count >= fewest
        n = np.maximum(self.count, 1).astype(np.float64)
        mean = self.total / n
        variance = np.maximum(self.squares / n - mean * mean, 0) * n / np.maximum(n - 1, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            dispersion = np.sqrt(variance) / mean
        nothing = np.float32(np.nan)
        return (np.where(enough, mean, nothing).astype(np.float32),
                np.where(enough, dispersion, nothing).astype(np.float32))


def log_amplitude(slc: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Natural logarithm of the amplitude, NaN where there is no data."""
    amplitude = np.abs(slc).astype(np.float64)
    amplitude[~(amplitude > 0)] = np.nan
    return np.log(amplitude)


def radiometric_scales(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor for each date that brings its amplitudes to the level of the stack, shape (dates,).

    Parameters
    ----------
    samples
        Log amplitudes of the same pixels on all dates, shape (dates, n), NaN where unknown. The level of a date is the
        median of its ratio to the pixel's mean over time, so a date that lacks part of the frame is not mistaken
        for a bright or dark one.
    """
    known = np.isfinite(samples)
    everywhere = known.sum(0) >= max(2, samples.shape[0] // 2)
    levelled = samples[:, everywhere].copy()
    total = np.zeros(samples.shape[0])
    if levelled.shape[1] == 0:
        return np.ones(samples.shape[0])
    # repeated, since the mean over time of a pixel that lacks a date lacks that date's level too
    for _ in range(LEVEL_ROUNDS):
        ratio = levelled - np.nanmean(levelled, axis=0)
        level = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in ratio])
        levelled -= level[:, None]
        total += level
    scales: NDArray[np.float64] = np.exp(total.mean() - total)
    return scales


def correlation(tiles: NDArray[np.complex64], lags: int = 3) -> NDArray[np.float64]:
    """Squared speckle correlation |rho|^2 at lags 0 .. lags-1 on both axes, shape (lags, lags).

    Parameters
    ----------
    tiles
        Shape (n, rows, cols), small (`TILE`), without missing pixels. The median over tiles is taken, so that
        single bright targets do not decide; the expectation of uncorrelated samples, 1 / pixels, is taken off.
    """
    result = np.zeros((lags, lags))
    result[0, 0] = 1.0
    rows, cols = tiles.shape[1:]
    power = np.square(np.abs(tiles)).astype(np.float64)
    for a in range(lags):
        for b in range(lags):
            if a == b == 0 or len(tiles) == 0:
                continue
            first, second = np.s_[:, : rows - a, : cols - b], np.s_[:, a:, b:]
            product = np.abs((tiles[first] * tiles[second].conj()).sum((1, 2), dtype=np.complex128)) ** 2
            norm = power[first].sum((1, 2)) * power[second].sum((1, 2))
            squared = float(np.median(product[norm > 0] / norm[norm > 0])) if (norm > 0).any() else 0.0
            floor = 1.0 / ((rows - a) * (cols - b))
            result[a, b] = max(0.0, (squared - floor) / (1.0 - floor))
    # below this it is the scatter of the estimate
    result[result < 0.01] = 0.0
    return result
