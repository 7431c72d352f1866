"""Displacement series from a network of interferograms (SBAS), point by point, weighted, each point with its own network.

Berardino et al. 2002 (IEEE TGRS 40), with date phases as unknowns: pair (i, j) observes theta_i - theta_j with variance
`(1 - c^2) / (2 L c^2)`. The normal matrix has the pattern of the network, so its Cholesky factor stays within the envelope
(George & Liu 1981): the cost of a date is the square of how far back its pairs reach, not of the number of dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Network:
    """Dates and pairs of a stack, ready for the kernel."""

    first: Ints
    """Number of the earlier date of each pair."""
    second: Ints
    dates: int
    envelope: Ints
    """Smallest date number that each date is paired with, or its own."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, int]], dates: int) -> Network:
        """From date numbers, first < second."""
        first = np.array([i for i, _ in pairs], np.int32)
        second = np.array([j for _, j in pairs], np.int32)
        envelope = np.arange(dates, dtype=np.int32)
        np.minimum.at(envelope, second, first)
        return cls(first, second, dates, envelope)


@dataclass(frozen=True, slots=True)
class Series:
    """Inversion of points."""

    phase_rad: Floats
    """Shape (points, dates): phase of each date less that of the point's first, NaN where the point's network does not
    reach; its growth is motion towards the satellite."""
    temporal_coherence: Floats
    """Shape (points,), 0..1: |mean exp(i residual)| over the point's pairs (Pepe & Lanari 2006, eq. 8)."""
    pairs: NDArray[np.uint16]
    """Pairs that count for the point."""


def invert(phase_rad: Floats, weight: Floats, network: Network) -> Series:
    """Weighted least squares of every point over the pairs that it has.

    Dates that a point's pairs do not connect with its largest connected set of dates are NaN: they are never bridged.

    Parameters
    ----------
    phase_rad
        Unwrapped, referenced phase, shape (points, pairs), NaN where the pair lacks the point.
    weight
        Inverse variance, shape (points, pairs), rad^-2.
    """
    points = phase_rad.shape[0]
    result = np.empty((points, network.dates), np.float32)
    coherence = np.empty(points, np.float32)
    used = np.empty(points, np.uint16)
    _invert(phase_rad, weight, network.first, network.second, network.envelope, result, coherence, used)
    return Series(result, coherence, used)


@kernel()
def _root(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@kernel()
def _largest_set(phase: Floats, first: Ints, second: Ints, parent: Ints, size: Ints) -> int:
    """Connect dates by the pairs that have a phase; the root of the largest set, which is also its first date."""
    for d in range(len(parent)):
        parent[d] = d
        size[d] = 0
    for p in range(len(first)):
        if np.isfinite(phase[p]):
            a = _root(parent, first[p])
            b = _root(parent, second[p])
            if a != b:
                parent[max(a, b)] = min(a, b)
    for d in range(len(parent)):
        size[_root(parent, d)] += 1
    best = 0
    for d in range(len(parent)):
        if size[d] > size[best]:
            best = d
    return best


@kernel(parallel=True)
def _invert(
    phase: Floats, weight: Floats, first: Ints, second: Ints, envelope: Ints, result: Floats, coherence: Floats,
    used: NDArray[np.uint16],
) -> None:
    dates = len(envelope)
    # row d of the factor holds columns envelope[d] .. d; `at[d] + column` is its place
    at = np.empty(dates, np.int64)
    total = 0
    for d in range(dates):
        at[d] = total - envelope[d]
        total += d - envelope[d] + 1
    for point in prange(phase.shape[0]):
        factor = np.zeros(total)
        x = np.zeros(dates)
        parent = np.empty(dates, np.int32)
        size = np.empty(dates, np.int32)
        base = _largest_set(phase[point], first, second, parent, size)
        for p in range(len(first)):
            i = first[p]
            j = second[p]
            if not np.isfinite(phase[point, p]) or _root(parent, i) != base:
                continue
            w = weight[point, p]
            value = w * phase[point, p]
            if i != base:
                factor[at[i] + i] += w
                x[i] += value
            if j != base:
                factor[at[j] + j] += w
                x[j] -= value
            if i != base and j != base:
                factor[at[j] + i] -= w
        for d in range(dates):
            if d == base or _root(parent, d) != base:
                factor[at[d] + d] = 1.0
        for d in range(dates):
            for c in range(envelope[d], d + 1):
                value = factor[at[d] + c]
                for k in range(max(envelope[d], envelope[c]), c):
                    value -= factor[at[d] + k] * factor[at[c] + k]
                factor[at[d] + c] = np.sqrt(value) if c == d else value / factor[at[c] + c]
        for d in range(dates):
            for k in range(envelope[d], d):
                x[d] -= factor[at[d] + k] * x[k]
            x[d] /= factor[at[d] + d]
        for d in range(dates - 1, -1, -1):
            x[d] /= factor[at[d] + d]
            for k in range(envelope[d], d):
                x[k] -= factor[at[d] + k] * x[d]
        real = 0.0
        imag = 0.0
        count = 0
        for p in range(len(first)):
            if np.isfinite(phase[point, p]) and _root(parent, first[p]) == base:
                residual = phase[point, p] - (x[first[p]] - x[second[p]])
                real += np.cos(residual)
                imag += np.sin(residual)
                count += 1
        coherence[point] = np.sqrt(real * real + imag * imag) / count if count > 0 else 0.0
        used[point] = count
        for d in range(dates):
            known = count > 0 and _root(parent, d) == base
            result[point, d] = x[d] - x[base] if known else np.nan
