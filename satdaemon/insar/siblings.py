"""Siblings: for each pixel the neighbours whose amplitude behaved alike over an initial stack.

Method: Spaans & Hooper 2016, "InSAR processing for volcano monitoring and other near-real time applications",
JGR Solid Earth 121 (RapidSAR). The choice is made once per frame; every later interferogram reuses it.

Two pixels are siblings where their mean amplitudes and their amplitude dispersions (std / mean over time) agree within
tolerances. In a coherent area the speckle itself lasts, so the mean amplitude varies from pixel to pixel as a Rayleigh
variable does; the tolerance is therefore a ratio that admits most of that spread, and what tells water from town or
rock is the dispersion and the step in mean amplitude. Of the pixels that agree the nearest on the ground are taken:
the nearer the sibling, the less the motion between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]

@dataclass(frozen=True, slots=True)
class SiblingRule:
    """Which pixels may be siblings."""

    window_az: int = 15
    """Rows of the search window, odd."""
    window_rg: int = 45
    """Columns of the search window, odd."""
    amplitude_ratio: float = 2.5
    """Largest ratio of two siblings' mean amplitudes."""
    dispersion_tolerance: float = 0.15
    """Largest difference of two siblings' amplitude dispersions."""
    min_siblings: int = 12
    """A pixel with fewer (itself counted) has none."""
    max_siblings: int = 50
    """Most siblings kept, the nearest first, itself counted."""

    def __post_init__(self) -> None:
        if self.window_az % 2 == 0 or self.window_rg % 2 == 0:
            raise DataError(f"sibling window: expected odd sides, got {self.window_az} x {self.window_rg}")
        if self.window_az * self.window_rg > 65535:
            raise DataError(f"sibling window: expected at most 65535 pixels, got {self.window_az} x {self.window_rg}")
        if not 2 <= self.min_siblings <= self.max_siblings:
            raise DataError(f"siblings: expected 2 <= min <= max, got {self.min_siblings} and {self.max_siblings}")

    @property
    def halo_px(self) -> tuple[int, int]:
        """Rows and columns that a pixel's window reaches to either side."""
        return self.window_az // 2, self.window_rg // 2


def search_order(rule: SiblingRule, spacing_m: tuple[float, float]) -> NDArray[np.int16]:
    """Offsets of the window from the nearest to the farthest on the ground, shape (n, 2): rows, cols.

    Parameters
    ----------
    spacing_m
        Ground spacing of rows and columns, metres.
    """
    ha, hr = rule.halo_px
    rows, cols = np.mgrid[-ha : ha + 1, -hr : hr + 1]
    distance = np.hypot(rows * spacing_m[0], cols * spacing_m[1]).ravel()
    order = np.argsort(distance, kind="stable")
    return np.column_stack([rows.ravel()[order], cols.ravel()[order]]).astype(np.int16)


@kernel(parallel=True)
def find_siblings(
    mean: Floats, dispersion: Floats, first_row: int, rows: int, order: NDArray[np.int16], width: int,
    ratio: float, tolerance: float, fewest: int, offsets: NDArray[np.uint16], count: NDArray[np.uint16],
) -> None:
    """Fill `offsets` (rows, cols, most) and `count` (rows, cols) for `rows` rows from `first_row` of the block.

    An offset is the place in the window, row-major: `(dr + window_az // 2) * width + dc + width // 2`.
    `mean` and `dispersion` (block rows with halo, cols) are NaN where unknown; such pixels are nobody's siblings.
    """
    cols = mean.shape[1]
    most = offsets.shape[2]
    half_az = 0
    for k in range(order.shape[0]):
        half_az = max(half_az, order[k, 0])
    for i in prange(rows):
        for j in range(cols):
            m0 = mean[first_row + i, j]
            d0 = dispersion[first_row + i, j]
            n = 0
            if m0 > 0 and d0 >= 0:
                low = m0 / ratio
                high = m0 * ratio
                for k in range(order.shape[0]):
                    a = first_row + i + order[k, 0]
                    b = j + order[k, 1]
                    if a < 0 or b < 0 or a >= mean.shape[0] or b >= cols:
                        continue
                    m = mean[a, b]
                    if m >= low and m <= high and abs(dispersion[a, b] - d0) <= tolerance:
                        offsets[i, j, n] = (order[k, 0] + half_az) * width + order[k, 1] + width // 2
                        n += 1
                        if n == most:
                            break
                if n < fewest:
                    n = 0
            count[i, j] = n


@kernel(parallel=True)
def pack_offsets(
    dense: NDArray[np.uint16], count: NDArray[np.uint16], start: NDArray[np.int64], packed: NDArray[np.uint16]
) -> None:
    """Copy the first `count` offsets of each pixel of `dense` one behind the other; row i begins at `start[i]`."""
    for i in prange(count.shape[0]):
        place = start[i]
        for j in range(count.shape[1]):
            for k in range(count[i, j]):
                packed[place] = dense[i, j, k]
                place += 1


@kernel(parallel=True)
def effective_looks(
    mean: Floats, first_row: int, packed: NDArray[np.uint16], start: NDArray[np.int64], count: NDArray[np.uint16],
    window: tuple[int, int], correlation: NDArray[np.float64], looks: Floats,
) -> None:
    """Independent looks in each pixel's siblings: `(sum w)^2 / sum_ij w_i w_j |rho_ij|^2`, w the mean intensity.

    |rho_ij|^2 is the squared speckle correlation at the lag between siblings i and j (`speckle.correlation`): an
    oversampled image has fewer looks than pixels. The weights count because a strong pixel outvotes its siblings.
    """
    wa, wr = window
    reach = correlation.shape[0] - 1
    lags = np.empty(((2 * reach + 1) ** 2, 2), np.int64)
    shares = np.empty(lags.shape[0], np.float32)
    used = 0
    for u in range(-reach, reach + 1):
        for v in range(-reach, reach + 1):
            if correlation[abs(u), abs(v)] > 0:
                lags[used, 0] = u
                lags[used, 1] = v
                shares[used] = correlation[abs(u), abs(v)]
                used += 1
    for i in prange(count.shape[0]):
        weight = np.zeros((wa + 2 * reach, wr + 2 * reach), np.float32)
        place = start[i]
        for j in range(count.shape[1]):
            n = count[i, j]
            total = 0.0
            for k in range(n):
                a = packed[place + k] // wr
                b = packed[place + k] % wr
                m = mean[first_row + i + a - wa // 2, j + b - wr // 2]
                weight[a + reach, b + reach] = m * m
                total += m * m
            shared = 0.0
            for k in range(n):
                a = packed[place + k] // wr + reach
                b = packed[place + k] % wr + reach
                around = np.float32(0)
                for q in range(used):
                    around += weight[a + lags[q, 0], b + lags[q, 1]] * shares[q]
                shared += weight[a, b] * around
            for k in range(n):
                weight[packed[place + k] // wr + reach, packed[place + k] % wr + reach] = 0.0
            looks[i, j] = total * total / shared if shared > 0 else 0.0
            place += n
