"""Enhanced spectral diversity: the azimuth timing error of a date, from the overlaps of its bursts.

An azimuth shift s leaves the phase 2 pi f s in an interferogram, f being the Doppler frequency; two bursts see
their overlap some 4-5 kHz apart, so the difference of their interferograms there is 2 pi (f1 - f2) s. Ground
motion, atmosphere and topography cancel. Prats-Iraola et al. (2012), IEEE Trans. GRSS 50; network of dates after
Fattahi et al. (2017), IEEE Trans. GRSS 55.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import ProcessingError

LEAST_CELLS = 20
"""Coherent cells below which a pair of dates measures nothing."""
LOOKS_PER_PIXEL = 0.5
"""Independent looks a pixel: neighbours are correlated by the processing bandwidths (about 0.67 x 0.75)."""
_HUBER = 1.5

OverlapImage = tuple[NDArray[np.complex64], NDArray[np.complex64]]
"""One date's overlap, as seen by the earlier and by the later burst, (rows, cols), NaN where there is no data."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Multilooked double differences of one or more overlaps."""

    phase_rad: NDArray[np.float64]
    frequency_hz: NDArray[np.float64]
    """Doppler of the earlier burst minus that of the later."""
    sd_rad: NDArray[np.float64]
    """Expected standard deviation of the phase, from the coherence of both interferograms."""
    total: int
    """Cells looked at, coherent or not."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One estimate: the second date lies `shift_s` later than its metadata say."""

    shift_s: float
    sd_s: float
    cells: int
    share: float
    """Share of the cells that are coherent."""


def double_difference(
    first: OverlapImage, second: OverlapImage, frequency_hz: NDArray[np.float64], cell: tuple[int, int], min_coherence: float
) -> Cells:
    """Cells of one overlap between two dates.

    Parameters
    ----------
    first, second
        Images of the overlap on the same pixels, flattened alike.
    frequency_hz
        (rows, cols), or what broadcasts to it: Doppler of the earlier burst minus that of the later one.
    cell
        Lines and samples averaged.
    min_coherence
        Cells where either burst's interferogram is less coherent are left out.
    """
    earlier, power_e, count = _cells(first[0], second[0], cell)
    later, power_l, _ = _cells(first[1], second[1], cell)
    with np.errstate(invalid="ignore", divide="ignore"):
        coherence = np.abs(np.stack([earlier, later])) / np.stack([power_e, power_l])
        looks = count * LOOKS_PER_PIXEL
        variance = np.sum((1 - coherence**2) / (2 * looks * coherence**2), axis=0)
    shape = first[0].shape
    frequency = _mean(np.ascontiguousarray(np.broadcast_to(frequency_hz, shape)), cell)
    whole = count >= cell[0] * cell[1] / 2
    good = whole & np.all(coherence >= min_coherence, axis=0)
    return Cells(
        np.angle(earlier * np.conj(later))[good], frequency[good], np.sqrt(np.maximum(variance[good], 1e-6)), int(whole.sum())
    )


def join_cells(parts: Sequence[Cells]) -> Cells:
    """The cells of several overlaps together; none where there is no overlap."""
    if not parts:
        return Cells(np.empty(0), np.empty(0), np.empty(0), 0)
    return Cells(
        np.concatenate([p.phase_rad for p in parts]),
        np.concatenate([p.frequency_hz for p in parts]),
        np.concatenate([p.sd_rad for p in parts]),
        sum(p.total for p in parts),
    )


def estimate_shift(cells: Cells, max_shift_s: float) -> Shift:
    """Robust estimate from all cells of a pair of dates.

    The highest peak of the cells' periodogram within +-`max_shift_s`, then reweighted least squares around it
    (Huber). The standard deviation comes from the scatter of the cells.

    Raises
    ------
    ProcessingError
        Too few coherent cells.
    """
    n = cells.phase_rad.size
    share = n / max(cells.total, 1)
    if n < LEAST_CELLS:
        raise ProcessingError(f"ESD: {n} of {cells.total} overlap cells are coherent, expected at least {LEAST_CELLS}")
    weight = 1 / cells.sd_rad**2
    trial = np.linspace(-max_shift_s, max_shift_s, 401)
    score = [np.sum(weight * np.cos(cells.phase_rad - 2 * np.pi * cells.frequency_hz * s)) for s in trial]
    shift = float(trial[int(np.argmax(score))])
    slope = 2 * np.pi * cells.frequency_hz
    robust = weight
    for _ in range(20):
        rest = _wrap(cells.phase_rad - slope * shift)
        scale = 1.4826 * float(np.median(np.abs(rest / cells.sd_rad))) + 1e-12
        robust = weight * np.minimum(1.0, _HUBER / np.maximum(np.abs(rest) / (cells.sd_rad * scale), 1e-12))
        step = float(np.sum(robust * slope * rest) / np.sum(robust * slope**2))
        shift += step
        if abs(step) < 1e-12:
            break
    rest = _wrap(cells.phase_rad - slope * shift)
    sd = float(np.sqrt(np.sum((robust * slope * rest) ** 2)) / np.sum(robust * slope**2))
    return Shift(shift, sd, n, share)


def combine_shifts(shifts: Sequence[Shift], other_sd_s: Sequence[float]) -> Shift:
    """One estimate from a network: each against another date whose own remaining error has sd `other_sd_s`.

    Reweighted mean (Huber), so that one bad pair does not move it. The sd is at least what the scatter says.
    """
    value = np.array([s.shift_s for s in shifts])
    sd = np.sqrt(np.array([s.sd_s for s in shifts]) ** 2 + np.array(other_sd_s) ** 2)
    weight = 1 / sd**2
    mean = float(np.median(value))
    robust = weight
    for _ in range(20):
        robust = weight * np.minimum(1.0, _HUBER / np.maximum(np.abs(value - mean) / sd, 1e-12))
        mean = float(np.sum(robust * value) / np.sum(robust))
    sd_mean = float(np.sqrt(1 / np.sum(robust)))
    spread = np.sqrt(np.sum(robust * (value - mean) ** 2) / max(len(value) - 1, 1))
    return Shift(mean, sd_mean * max(1.0, float(spread)), sum(s.cells for s in shifts), float(np.mean([s.share for s in shifts])))


def _cells(
    a: NDArray[np.complex64],
    b: NDArray[np.complex64],
    cell: tuple[int, int],
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
    """Mean of a conj(b), root of the product of powers, and pixels with data, in each cell."""
    good = np.isfinite(a.real) & np.isfinite(b.real)
    x, y = np.where(good, a, 0).astype(np.complex128), np.where(good, b, 0).astype(np.complex128)
    product = _sum(x * np.conj(y), cell)
    power = np.sqrt(_sum(np.abs(x) ** 2, cell) * _sum(np.abs(y) ** 2, cell))
    return product, power, _sum(good.astype(np.float64), cell)


def _sum(array: NDArray[Any], cell: tuple[int, int]) -> NDArray[Any]:
    rows, cols = array.shape[0] // cell[0], array.shape[1] // cell[1]
    blocks = array[: rows * cell[0], : cols * cell[1]].reshape(rows, cell[0], cols, cell[1])
    result: NDArray[Any] = blocks.sum(axis=(1, 3))
    return result


def _mean(array: NDArray[np.float64], cell: tuple[int, int]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = _sum(array, cell) / (cell[0] * cell[1])
    return result


def _wrap(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    return (phase + np.pi) % (2 * np.pi) - np.pi
