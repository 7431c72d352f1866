"""The inner loop: one burst of one date, sampled out of the ground-tied field of the burst."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
import numpy.typing as npt

TAPS = 8
STEPS = 4096
"""Entries of the interpolation table a sample of the oversampled field: places are exact to 6e-5 of a pixel."""
OVERSAMPLING = 2


def sinc_table() -> npt.NDArray[np.float32]:
    """Kaiser-windowed sinc, (STEPS + 1, TAPS): weights of the samples -3..4 around a fraction of 0..1.

    For a field that occupies at most 0.4 of its sampling: cut-off half, error below -70 dB.
    """
    fraction = np.arange(STEPS + 1)[:, None] / STEPS
    place = np.arange(TAPS)[None, :] - (TAPS // 2 - 1) - fraction
    window = np.i0(7.0 * np.sqrt(np.clip(1 - (place / (TAPS / 2)) ** 2, 0, 1))) / np.i0(7.0)
    weights = np.sinc(place) * window
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@nb.njit(nogil=True, cache=True)
def sample_burst(
    out: npt.NDArray[np.complex64],
    fields: npt.NDArray[np.complex64],
    height: npt.NDArray[np.float32],
    delay_m: npt.NDArray[np.float32],
    coefficients: npt.NDArray[np.float64],
    spans: npt.NDArray[np.float64],
    origin: npt.NDArray[np.float64],
    doppler: npt.NDArray[np.float64],
    wavelength: float,
    table: npt.NDArray[np.float32],
) -> None:
    """Fill `out` (fields, rows, cols) with one burst of several fields.

    Parameters
    ----------
    fields : (fields, 2 * rows_w, 2 * cols_w)
        Oversampled base-band fields on the burst's window of the reference grid.
    height, delay_m : (rows_w, cols_w)
        Ground height and line-of-sight displacement (motion and air, towards the satellite), metres.
    coefficients : (3, rows, cols, heights)
        `Mapping` from the date's pixels to reference row, column and range difference.
    spans : (3, 2)
        Its bounds.
    origin : (2,)
        Reference row and column of the window's first pixel.
    doppler : (4,)
        Line of zero Doppler in the reference grid, line interval, and the TOPS Doppler rate at column 0 with its slope
        a column (Hz/s).
    """
    rows_w, cols_w = height.shape
    _, n_r, n_c, n_h = coefficients.shape
    line = np.empty((3, n_c, n_h))
    point = np.empty((3, n_h))
    half = TAPS // 2 - 1
    h = 0.5 * (spans[2, 0] + spans[2, 1])
    for i in range(out.shape[1]):
        x = (2 * i - (spans[0, 0] + spans[0, 1])) / (spans[0, 1] - spans[0, 0])
        for f in range(3):
            for b in range(n_c):
                for c in range(n_h):
                    value = 0.0
                    for a in range(n_r - 1, -1, -1):
                        value = value * x + coefficients[f, a, b, c]
                    line[f, b, c] = value
        for j in range(out.shape[2]):
            y = (2 * j - (spans[1, 0] + spans[1, 1])) / (spans[1, 1] - spans[1, 0])
            for f in range(3):
                for c in range(n_h):
                    value = 0.0
                    for b in range(n_c - 1, -1, -1):
                        value = value * y + line[f, b, c]
                    point[f, c] = value
            row, col, r0, c0, u, v = 0.0, 0.0, 0, 0, 0.0, 0.0
            # The pixel's height depends on its place and its place, weakly, on the height: a fixed point.
            for _ in range(3 if j else 6):
                z = (2 * h - (spans[2, 0] + spans[2, 1])) / (spans[2, 1] - spans[2, 0])
                row, col = 0.0, 0.0
                for c in range(n_h - 1, -1, -1):
                    row = row * z + point[0, c]
                    col = col * z + point[1, c]
                r0, c0 = math.floor(row - origin[0]), math.floor(col - origin[1])
                r0, c0 = min(max(r0, 0), rows_w - 2), min(max(c0, 0), cols_w - 2)
                u, v = row - origin[0] - r0, col - origin[1] - c0
                h = (1 - u) * ((1 - v) * height[r0, c0] + v * height[r0, c0 + 1]) + u * (
                    (1 - v) * height[r0 + 1, c0] + v * height[r0 + 1, c0 + 1]
                )
            z = (2 * h - (spans[2, 0] + spans[2, 1])) / (spans[2, 1] - spans[2, 0])
            change = 0.0
            for c in range(n_h - 1, -1, -1):
                change = change * z + point[2, c]
            moved = (1 - u) * ((1 - v) * delay_m[r0, c0] + v * delay_m[r0, c0 + 1]) + u * (
                (1 - v) * delay_m[r0 + 1, c0] + v * delay_m[r0 + 1, c0 + 1]
            )
            eta = (row - doppler[0]) * doppler[1]
            ramp = math.pi * (doppler[2] + doppler[3] * col) * eta * eta
            phase = ramp - 4 * math.pi / wavelength * (change - moved)
            phasor = complex(math.cos(phase), math.sin(phase))
            fine_r, fine_c = OVERSAMPLING * (row - origin[0]), OVERSAMPLING * (col - origin[1])
            kr, kc = math.floor(fine_r), math.floor(fine_c)
            if kr < half or kc < half or kr + TAPS - half > fields.shape[1] or kc + TAPS - half > fields.shape[2]:
                for f in range(out.shape[0]):
                    out[f, i, j] = 0.0
                continue
            wr = table[int((fine_r - kr) * STEPS + 0.5)]
            wc = table[int((fine_c - kc) * STEPS + 0.5)]
            for f in range(out.shape[0]):
                total = complex(0.0, 0.0)
                for a in range(TAPS):
                    part = complex(0.0, 0.0)
                    for b in range(TAPS):
                        part += wc[b] * fields[f, kr - half + a, kc - half + b]
                    total += wr[a] * part
                out[f, i, j] = total * phasor
