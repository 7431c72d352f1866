"""Resampling of a TOPS burst: deramp, band-limited interpolation, reramp at the exact place, flatten; one kernel.

The interpolators are least-squares ones for the signal's spectrum: for each fraction of a sample the taps
minimise the error over the band (Oetken et al. 1975, IEEE Trans. ASSP 23). Deramping removes the TOPS phase
ramp at every source pixel; the ramp is put back at the fractional source position itself, so that the
phase is that of the continuous signal there, also where the azimuth shift varies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from satdaemon.insar.doppler import DopplerRamp
from satdaemon.insar.grid import Window
from satdaemon.insar.kernel import kernel
from satdaemon.insar.lattice import Lattice, between, interpolate_row
from satdaemon.insar.swath import BurstMeta
from satdaemon.insar.threads import in_threads

FRACTIONS = 1024
LARGEST_ERROR = 1e-5
"""Error power of the interpolation at any fraction, relative to the signal: -50 dB."""
FEWEST_TAPS, MOST_TAPS = 8, 24
BAND_MARGIN = 0.03
"""Added to the azimuth band: what the annotated Doppler centroid may be off, as a share of the line frequency."""
_WINDOW = 0.75
"""Hamming coefficient of the processor's spectral weighting."""

_FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
"""Fast arithmetic that leaves NaN, the mark of no data, alone."""


@lru_cache(maxsize=8)
def interpolation_table(band: float, step: int = 2) -> NDArray[np.float32]:
    """(FRACTIONS + 1, taps) weights: row f interpolates at f / FRACTIONS past sample taps / 2 - 1.

    As few taps, 8 to 24, as keep the error below -50 dB at every fraction.

    Parameters
    ----------
    band
        Occupied share of the spectrum, 0..1, centred on zero.
    step
        The number of taps is a multiple of this; 8 suits the vector units along a line.
    """
    fraction = np.arange(FRACTIONS + 1) / FRACTIONS
    weights: NDArray[np.float64] = np.empty((0, 0))
    for taps in range(FEWEST_TAPS, MOST_TAPS + 1, step):
        at = np.arange(taps) - (taps / 2 - 1)
        normal = _correlation(at[:, None] - at[None, :], band) + 1e-7 * np.eye(taps)
        right = _correlation(at[:, None] - fraction[None, :], band)
        weights = np.asarray(np.linalg.solve(normal, right), np.float64)
        if 1.0 - np.min(np.sum(weights * right, axis=0)) < LARGEST_ERROR:
            break
    return np.ascontiguousarray(weights.T, dtype=np.float32)


def _correlation(lag: NDArray[np.float64], band: float) -> NDArray[np.float64]:
    """Autocorrelation of a signal whose amplitude spectrum is a Hamming window of width `band`; 1 at lag 0."""
    a, b = _WINDOW, 1.0 - _WINDOW
    x = band * lag
    terms = ((a * a + b * b / 2, 0), (a * b, 1), (a * b, -1), (b * b / 4, 2), (b * b / 4, -2))
    total = sum(c * np.sinc(x + k) for c, k in terms)
    return np.asarray(total / (a * a + b * b / 2), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class DerampedBurst:
    """A burst without its ramp, as two real planes (lines, samples)."""

    real: NDArray[np.float32]
    imag: NDArray[np.float32]
    ramp: DopplerRamp
    azimuth_band: float
    range_band: float
    first_line: int = 0
    """Line of the burst that the planes start with."""


def deramp(
    blocks: Iterable[NDArray[np.complex64]], meta: BurstMeta, ramp: DopplerRamp, lines: tuple[int, int] | None = None
) -> DerampedBurst:
    """Take the ramp off a burst, or some of its lines, that comes as consecutive blocks of lines.

    Parameters
    ----------
    blocks
        (lines, samples) complex64 each.
    meta, ramp
        The burst's record and its `doppler_ramp`.
    lines
        First line and one past the last of what the blocks hold; the whole burst by default.
    """
    first, end_line = lines or (0, meta.lines)
    shape = (end_line - first, meta.samples)
    real, imag = np.empty(shape, np.float32), np.empty(shape, np.float32)
    line = 0
    for block in blocks:
        end = line + block.shape[0]
        deramp_block(block, ramp, first + line, real[line:end], imag[line:end])
        line = end
    return DerampedBurst(real, imag, ramp, meta.azimuth_band + BAND_MARGIN, meta.range_band, first)


def deramp_block(
    block: NDArray[np.complex64], ramp: DopplerRamp, line: int, real: NDArray[np.float32], imag: NDArray[np.float32]
) -> None:
    """Fill two planes with a block of lines without its ramp; the block starts at `line` of the burst."""
    _deramp(block, ramp.start_s + line * ramp.line_s, ramp.line_s, ramp.rate_hz_s, ramp.centroid_hz, ramp.reference_s, real, imag)


def resample(
    burst: DerampedBurst,
    lattice: Lattice,
    window: Window,
    outer: Window,
    height_m: NDArray[np.float32],
    wavelength_m: float,
    shift_lines: float = 0.0,
    cores: int = 1,
) -> NDArray[np.complex64]:
    """The burst on a window of the frame grid, coregistered and with the range difference's phase removed.

    Parameters
    ----------
    burst
        The other date's burst.
    lattice
        `pair_lattice` of the burst: line offset, sample offset, range difference, (baseline).
    window
        Part of the frame grid to fill.
    outer
        The master burst's valid part on the frame grid: offsets count from its first pixel.
    height_m
        (window.rows, window.cols) ellipsoidal heights.
    wavelength_m
        Carrier wavelength.
    shift_lines
        Azimuth timing correction in lines, added to the line offset (from ESD).

    Returns
    -------
    (window.rows, window.cols) complex64
        `other(there) exp(+j 4 pi (R_other - R_master) / wavelength)`, NaN where the burst does not reach.
    """
    out = np.empty((window.rows, window.cols), np.complex64)
    ramp = burst.ramp
    start_s = ramp.start_s + burst.first_line * ramp.line_s
    azimuth, across = interpolation_table(burst.azimuth_band), interpolation_table(burst.range_band, 8)

    def work(first: int, end: int) -> None:
        _resample(
            burst.real,
            burst.imag,
            window.row + first - outer.row - burst.first_line,
            window.col - outer.col,
            window.row + first - int(lattice.row0),
            1.0 / lattice.row_step,
            window.col - int(lattice.col0),
            1.0 / lattice.col_step,
            lattice.mid_m,
            1.0 / lattice.half_m,
            lattice.terms,
            height_m[first:end],
            shift_lines,
            2.0 / wavelength_m,
            start_s,
            ramp.line_s,
            ramp.rate_hz_s,
            ramp.centroid_hz,
            ramp.reference_s,
            azimuth,
            across,
            out[first:end],
        )

    in_threads(work, window.rows, cores)
    return out


@kernel(fastmath=_FAST)
def _deramp(
    block: NDArray[np.complex64],
    start_s: float,
    line_s: float,
    rate: NDArray[np.float64],
    centroid: NDArray[np.float64],
    reference: NDArray[np.float64],
    real: NDArray[np.float32],
    imag: NDArray[np.float32],
) -> None:
    for i in range(block.shape[0]):
        time = start_s + i * line_s
        for j in range(block.shape[1]):
            e = time - reference[j]
            cycles = (0.5 * rate[j] * e + centroid[j]) * e
            angle = np.float32(-2.0 * math.pi * (cycles - math.floor(cycles + 0.5)))
            c, s = math.cos(angle), math.sin(angle)
            v = block[i, j]
            real[i, j] = v.real * c - v.imag * s
            imag[i, j] = v.real * s + v.imag * c


@kernel(fastmath=_FAST)
def _resample(
    real: NDArray[np.float32],
    imag: NDArray[np.float32],
    row0: int,
    col0: int,
    node_row: int,
    per_node_row: float,
    node_col: int,
    per_node_col: float,
    mid_m: float,
    per_half_m: float,
    terms: NDArray[np.float64],
    height: NDArray[np.float32],
    shift: float,
    cycles_per_m: float,
    start_s: float,
    line_s: float,
    rate: NDArray[np.float64],
    centroid: NDArray[np.float64],
    reference: NDArray[np.float64],
    azimuth_taps: NDArray[np.float32],
    range_taps: NDArray[np.float32],
    out: NDArray[np.complex64],
) -> None:
    lines, samples = real.shape
    down, across = azimuth_taps.shape[1], range_taps.shape[1]
    above, before = down // 2 - 1, across // 2 - 1
    fractions = azimuth_taps.shape[0] - 1
    last_node = terms.shape[3] - 2
    nothing = np.complex64(complex(math.nan, math.nan))
    for i in range(out.shape[0]):
        nodes = np.empty((terms.shape[0], 3, terms.shape[3]))
        interpolate_row(terms, (node_row + i) * per_node_row, nodes)
        for j in range(out.shape[1]):
            place = (node_col + j) * per_node_col
            n = min(max(int(place), 0), last_node)
            f = place - n
            x = (height[i, j] - mid_m) * per_half_m
            if math.isnan(x):
                out[i, j] = nothing
                continue
            # whole rows are added as integers: results do not depend on how rows are shared out
            line = (row0 + i) + shift + between(nodes, 0, n, f, x)
            sample = (col0 + j) + between(nodes, 1, n, f, x)
            y, z = math.floor(line), math.floor(sample)
            if not (y >= above and z >= before and y + down - above <= lines and z + across - before <= samples):
                out[i, j] = nothing
                continue
            # unsigned indices spare the check for negative ones, without which the inner loop is vectorised
            a = np.uint64((line - y) * fractions + 0.5)
            b = np.uint64((sample - z) * fractions + 0.5)
            top, first = np.uint64(y - above), np.uint64(z - before)
            sum_re, sum_im = np.float32(0.0), np.float32(0.0)
            for p in range(np.uint64(down)):
                re, im = np.float32(0.0), np.float32(0.0)
                for q in range(np.uint64(across)):
                    w = range_taps[b, q]
                    re += w * real[top + p, first + q]
                    im += w * imag[top + p, first + q]
                w = azimuth_taps[a, p]
                sum_re += w * re
                sum_im += w * im
            g = sample - z
            e = start_s + line * line_s - (reference[z] + g * (reference[z + 1] - reference[z]))
            k = rate[z] + g * (rate[z + 1] - rate[z])
            d = centroid[z] + g * (centroid[z + 1] - centroid[z])
            cycles = (0.5 * k * e + d) * e + cycles_per_m * between(nodes, 2, n, f, x)
            angle = np.float32(2.0 * math.pi * (cycles - math.floor(cycles + 0.5)))
            c, s = math.cos(angle), math.sin(angle)
            out[i, j] = complex(sum_re * c - sum_im * s, sum_re * s + sum_im * c)
