"""Closure of phase triangles: finding the whole cycles that unwrapping got wrong.

Three interferograms of three dates close: phi_ij + phi_jk - phi_ik = 0, but for the small closure phase that averaging
leaves. A whole cycle left over is an unwrapping error of one of them. For each point the fewest corrections (least sum
of |cycles| left, the less coherent pair first) that close all its triangles are sought greedily: a pair in two or more triangles
is found without doubt when it alone is wrong. Whole components of an interferogram are corrected first, by the
vote of their points, so that what is decided from noisy single points is only what differs from point to point.

What cannot be seen: a date all of whose pairs are wrong by the same cycle, and a pair in no triangle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
MIN_VOTE = 0.5
"""Share of a component's points that must agree on its correction."""
MIN_VOTERS = 3


def triangles(pairs: Sequence[tuple[int, int]]) -> Ints:
    """All triangles of a network, shape (n, 3): places in `pairs` of (i, j), (j, k) and (i, k).

    `pairs` holds date numbers, first < second.
    """
    place = {pair: k for k, pair in enumerate(pairs)}
    after: dict[int, list[int]] = {}
    for i, j in pairs:
        after.setdefault(i, []).append(j)
    found = [
        (place[i, j], place[j, k], place[i, k]) for i, j in pairs for k in sorted(after.get(j, [])) if (i, k) in place
    ]
    return np.array(found, np.int32).reshape(-1, 3)


def members(loops: Ints, pairs: int) -> tuple[Ints, Ints]:
    """Triangles of each pair: `start` (pairs + 1) into `member` (n, 2) of triangle number and sign."""
    rows = [[] for _ in range(pairs)]  # type: list[list[tuple[int, int]]]
    for t, loop in enumerate(loops):
        for pair, sign in zip(loop, (1, 1, -1), strict=True):
            rows[int(pair)].append((t, sign))
    start = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int32)
    flat = [entry for row in rows for entry in row]
    return start, np.array(flat, np.int32).reshape(-1, 2)


@kernel(parallel=True)
def find_cycles(
    phase_rad: Floats, coherence: Floats, loops: Ints, start: Ints, member: Ints, cycles: NDArray[np.int8],
    left: NDArray[np.int16],
) -> None:
    """Cycles to add to each pair of each point so that its triangles close, and the triangles that stay open.

    Parameters
    ----------
    phase_rad, coherence
        Shape (points, pairs); phase NaN where the pair lacks the point.
    loops, start, member
        From `triangles` and `members`.
    cycles, left
        Results, shape (points, pairs) and (points,).
    """
    cycle = 2 * np.pi
    for point in prange(phase_rad.shape[0]):
        misclosure = np.zeros(loops.shape[0], np.int64)
        total = 0
        for t in range(loops.shape[0]):
            value = phase_rad[point, loops[t, 0]] + phase_rad[point, loops[t, 1]] - phase_rad[point, loops[t, 2]]
            if np.isfinite(value):
                misclosure[t] = int(np.rint(value / cycle))
                total += abs(misclosure[t])
        for pair in range(phase_rad.shape[1]):
            cycles[point, pair] = 0
        while total > 0:
            best = -1
            best_gain = 0
            best_step = 0
            for pair in range(phase_rad.shape[1]):
                if not np.isfinite(phase_rad[point, pair]):
                    continue
                for step in (-1, 1):
                    gain = 0
                    for m in range(start[pair], start[pair + 1]):
                        t = member[m, 0]
                        a = loops[t, 0]
                        b = loops[t, 1]
                        c = loops[t, 2]
                        if np.isfinite(phase_rad[point, a] + phase_rad[point, b] + phase_rad[point, c]):
                            gain += abs(misclosure[t]) - abs(misclosure[t] + step * member[m, 1])
                    if gain > best_gain or (
                        gain == best_gain and gain > 0 and coherence[point, pair] < coherence[point, best]
                    ):
                        best = pair
                        best_gain = gain
                        best_step = step
            if best < 0:
                break
            cycles[point, best] += best_step
            total -= best_gain
            for m in range(start[best], start[best + 1]):
                t = member[m, 0]
                a = loops[t, 0]
                b = loops[t, 1]
                c = loops[t, 2]
                if np.isfinite(phase_rad[point, a] + phase_rad[point, b] + phase_rad[point, c]):
                    misclosure[t] += best_step * member[m, 1]
        open_loops = 0
        for t in range(loops.shape[0]):
            if misclosure[t] != 0:
                open_loops += 1
        left[point] = open_loops


def correct_points(
    phase_rad: Floats, coherence: Floats, loops: Ints
) -> tuple[Floats, NDArray[np.int8], NDArray[np.int16]]:
    """Phase with the cycles of `find_cycles` added, those cycles, and each point's open triangles."""
    start, member = members(loops, phase_rad.shape[1])
    cycles = np.zeros(phase_rad.shape, np.int8)
    left = np.zeros(phase_rad.shape[0], np.int16)
    if len(loops):
        find_cycles(phase_rad, coherence, loops, start, member, cycles, left)
    corrected = phase_rad if not cycles.any() else (phase_rad + np.float32(2 * np.pi) * cycles).astype(np.float32)
    return corrected, cycles, left


def component_cycles(
    phase_rad: Floats, coherence: Floats, component: NDArray[np.uint16], loops: Ints, *, rounds: int = 100
) -> dict[tuple[int, int], int]:
    """Cycles to add to whole components: {(pair, component): cycles}, from sample points of the frame.

    In each round the component whose points agree best on a correction gets it; then the points are asked again.

    Parameters
    ----------
    phase_rad, coherence, component
        Shape (points, pairs); phase NaN where the pair lacks the point.
    """
    phase = phase_rad.copy()
    found: dict[tuple[int, int], int] = {}
    for _ in range(rounds):
        _, cycles, _ = correct_points(phase, coherence, loops)
        best = _best_vote(phase, cycles, component)
        if best is None:
            break
        pair, label, step = best
        here = component[:, pair] == label
        phase[here, pair] += np.float32(2 * np.pi * step)
        found[pair, label] = found.get((pair, label), 0) + step
    return {key: step for key, step in found.items() if step}


def _best_vote(
    phase: Floats, cycles: NDArray[np.int8], component: NDArray[np.uint16]
) -> tuple[int, int, int] | None:
    """(pair, component, cycles) of the largest majority for a correction that is not zero."""
    best: tuple[int, int, int] | None = None
    most = 0
    for pair in np.flatnonzero(cycles.any(0)):
        known = np.isfinite(phase[:, pair])
        touched = np.unique(component[known & (cycles[:, pair] != 0), pair])
        for label in touched[touched > 0]:
            votes = cycles[known & (component[:, pair] == label), pair]
            steps, counts = np.unique(votes, return_counts=True)
            winner = int(np.argmax(counts))
            agreed = int(counts[winner])
            if steps[winner] != 0 and agreed >= MIN_VOTERS and agreed > MIN_VOTE * len(votes) and agreed > most:
                best, most = (int(pair), int(label), int(steps[winner])), agreed
    return best
