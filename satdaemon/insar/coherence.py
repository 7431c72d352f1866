"""Coherence and phase of an interferogram over the siblings of each pixel, at full resolution.

The sample coherence of few looks is biased upwards: of incoherent ground it is about sqrt(pi / 4 L). What is stored and
compared with the threshold is therefore corrected for its bias, and a point must besides be significant: above what
incoherent ground with that many effective looks reaches with a small probability.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.fringes import NODE
from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
NODE_ROWS, NODE_COLS = NODE
LEAST_COHERENCE = 1e-3
"""Stored where the corrected coherence is 0 or less, so that the phase survives; exact 0 means no data."""


@kernel()
def _fill_turn(slope_az: float, slope_rg: float, wa: int, wr: int, turn: NDArray[np.complex64]) -> None:
    """Phasors that take the slope off at each place of the window, relative to its middle."""
    for a in range(wa):
        down = np.exp(-1j * slope_az * (a - wa // 2))
        for b in range(wr):
            turn[a * wr + b] = down
    for b in range(wr):
        right = np.exp(-1j * slope_rg * (b - wr // 2))
        for a in range(wa):
            turn[a * wr + b] *= right


@kernel(parallel=True)
def average_siblings(
    product: NDArray[np.complex64], power1: Floats, power2: Floats, slope_az: Floats, slope_rg: Floats, first_row: int,
    packed: NDArray[np.uint16], start: NDArray[np.int64], count: NDArray[np.uint16],
    window: tuple[int, int], fewest: int, result: NDArray[np.complex64], share: Floats,
) -> None:
    """Sample coherence x exp(i phase) over the siblings of each pixel.

    Parameters
    ----------
    product, power1, power2
        `s1 conj(s2)`, `|s1|^2`, `|s2|^2` of a block with halo, shape (block rows, cols), 0 where there is no data.
    slope_az, slope_rg
        Phase slopes at the block's nodes, rad/px (`fringes.phase_slopes`); what lies in a pixel's window is brought to the
        pixel along them before it is averaged.
    first_row
        Row of the block that is row 0 of `count`, `result` and `share`.
    packed, start, count
        Siblings of these rows: offsets in the window, where each row begins, how many a pixel has.
    fewest
        A pixel with fewer siblings that have data gets 0.
    result, share
        Shape (rows, cols); `share` of the siblings that have data.
    """
    wa, wr = window
    # where an offset leads in the flattened block
    step = np.empty(wa * wr, np.int64)
    cols = product.shape[1]
    for k in range(wa * wr):
        step[k] = (k // wr - wa // 2) * cols + k % wr - wr // 2
    z = product.ravel()
    p1 = power1.ravel()
    p2 = power2.ravel()
    for i in prange(count.shape[0]):
        place = start[i]
        here = (first_row + i) * cols
        turn = np.ones(wa * wr, np.complex64)
        turned = False
        for j in range(cols):
            if j % NODE_COLS == 0:
                a = slope_az[(first_row + i) // NODE_ROWS, j // NODE_COLS]
                b = slope_rg[(first_row + i) // NODE_ROWS, j // NODE_COLS]
                turned = a != 0 or b != 0
                if turned:
                    _fill_turn(a, b, wa, wr, turn)
            n = count[i, j]
            result[i, j] = 0
            share[i, j] = 0
            if n > 0 and p1[here + j] > 0 and p2[here + j] > 0:
                real = np.float32(0)
                imag = np.float32(0)
                sum1 = np.float32(0)
                sum2 = np.float32(0)
                known = 0
                for k in range(place, place + n):
                    at = here + j + step[packed[k]]
                    v = z[at]
                    if turned:
                        v = v * turn[packed[k]]
                    real += v.real
                    imag += v.imag
                    sum1 += p1[at]
                    sum2 += p2[at]
                    known += p1[at] > 0
                norm = np.sqrt(sum1 * sum2)
                if known >= fewest and norm > 0:
                    result[i, j] = complex(real / norm, imag / norm)
                    share[i, j] = known / n
            place += n


def corrected(sample: Floats, looks: Floats) -> Floats:
    """Coherence from the sample coherence: `sqrt((L g^2 - 1) / (L - 1))`, 0 where that is not real.

    From E[g^2] of L looks (Touzi et al. 1999, IEEE TGRS 37, eq. 13), which is 1/L at coherence 0 and near
    `1/L + (1 - 1/L) c^2` between; exact at 0 and 1 and within 0.02 for 10 looks and more.
    """
    few = looks <= 1
    n = np.where(few, 2, looks)
    squared = (n * sample * sample - 1) / (n - 1)
    return np.sqrt(np.where(few, 0, np.maximum(squared, 0))).astype(np.float32)


def significance_level(looks: Floats, false_alarm: float) -> Floats:
    """Sample coherence that incoherent ground with `looks` looks exceeds with probability `false_alarm`.

    P(g > t) = (1 - t^2)^(L - 1) at coherence 0 (Touzi et al. 1999). 1 where there is at most one look.
    """
    degrees = np.where(looks > 1, looks - 1, np.inf)
    level = np.sqrt(-np.expm1(np.log(false_alarm) / degrees))
    return np.where(looks > 1, level, 1).astype(np.float32)


def phase_variance(coherence: Floats, looks: float | Floats) -> Floats:
    """Variance of the multilooked phase, rad^2: `(1 - c^2) / (2 L c^2)`, at most that of a uniform phase, pi^2 / 3.

    The Cramer-Rao bound (Rodriguez & Martin 1992); for 10 and more looks close to the truth above c = 0.3.
    """
    c2 = np.clip(np.square(coherence.astype(np.float64)), 1e-6, 0.9999)
    bound: NDArray[np.float64] = (1 - c2) / (2 * np.maximum(looks, 1e-3) * c2)
    return np.minimum(bound, np.pi**2 / 3).astype(np.float32)
