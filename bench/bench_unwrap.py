"""Unwrapping: our cells on whirlwind against whirlwind alone and against SNAPHU, on one noisy interferogram of known truth.

One line of JSON: CPU seconds, ratios to ours, and the share of coherent pixels (0.5 and more) on a wrong cycle.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import whirlwind

from bench.peers import peer
from satdaemon.insar.coherence import phase_variance
from satdaemon.insar.unwrap import CellBuilder, lift, unwrap_cells

SIDE, LOOKS, THIN = 600, 20, (2, 2)
SPACING_M = 10.0


def cpu_s() -> float:
    """CPU seconds of this process and its finished children (SNAPHU runs as one)."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (rad), interferogram and sample coherence: bowl, ramp, turbulence; coherence 0.25-0.95."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]) * SIDE
    k[0, 0] = np.inf

    def field(power: float) -> np.ndarray:
        values = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) * k**-power).real
        return values / values.std()

    phase = 30 * np.exp(-((x - 0.5) ** 2 + (y - 0.45) ** 2) / 0.03) + 10 * x - 5 * y + 2 * field(8 / 6)
    truth = np.clip(0.62 + 0.2 * field(2.5), 0.25, 0.95)
    product = np.zeros((SIDE, SIDE), complex)
    power = np.zeros((2, SIDE, SIDE))
    for _ in range(LOOKS):
        one, other = (rng.standard_normal((SIDE, SIDE)) + 1j * rng.standard_normal((SIDE, SIDE)) for _ in range(2))
        second = truth * one + np.sqrt(1 - truth**2) * other
        product += one * second.conj()
        power += np.abs(np.stack([one, second])) ** 2
    ifg = product / np.sqrt(power[0] * power[1]) * np.exp(1j * phase)
    return phase, ifg.astype(np.complex64), np.abs(ifg).astype(np.float32)


def main() -> int:
    """Run and print."""
    truth, ifg, coherence = scene()
    chosen = coherence >= 0.45
    whirlwind.unwrap(ifg[:64, :64], coherence[:64, :64], LOOKS)  # threads started
    ours(ifg[:64, :64], chosen[:64, :64])
    runs: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: ours(ifg, chosen),
        "whirlwind_sparse": lambda: sparse(ifg, coherence, chosen),
        "whirlwind_grid": lambda: whirlwind.unwrap(ifg, coherence, LOOKS, mask=chosen)[0],
    }
    snaphu = peer("snaphu")
    if snaphu is not None:
        runs["snaphu"] = lambda: snaphu.unwrap(ifg, coherence, LOOKS, mask=chosen.astype(np.uint8))[0]
    report: dict[str, Any] = {"pixels": SIDE * SIDE, "points": int(chosen.sum()), "snaphu_ratio": None}
    first = 0.0
    for name, run in runs.items():
        start, wall = cpu_s(), time.perf_counter()
        result = run()
        spent = cpu_s() - start
        first = first or spent
        firm = chosen & (coherence >= 0.5) & np.isfinite(result)
        cycles = np.round((result - truth)[firm] / (2 * np.pi))
        report |= {f"{name}_cpu_s": round(spent, 2), f"{name}_ratio": round(spent / first, 2),
                   f"{name}_wall_s": round(time.perf_counter() - wall, 2),
                   f"{name}_wrong": round(float(np.mean(cycles != np.median(cycles))), 5)}
    print(json.dumps(report))
    return 0


def ours(ifg: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Cells, network solver, lift: what the unwrap stage does."""
    builder = CellBuilder(ifg.shape, THIN)
    builder.add(0, ifg, chosen)
    cells = builder.build()
    solved = unwrap_cells(cells, (SPACING_M * THIN[0], SPACING_M * THIN[1]), LOOKS, max_gap_m=150, min_cells=10,
                          min_component=20)
    grid = np.full(builder.grid, np.nan)
    grid[cells.row, cells.col] = solved.phase_rad
    return lift(ifg, chosen, np.repeat(np.repeat(grid, THIN[0], 0), THIN[1], 1)[: ifg.shape[0], : ifg.shape[1]])


def sparse(ifg: np.ndarray, coherence: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """whirlwind's sparse solver on every point."""
    row, col = np.nonzero(chosen)
    points = np.column_stack([col, row]).astype(np.float64)
    wrapped = np.angle(ifg[row, col]).astype(np.float32)
    result = np.full(ifg.shape, np.nan)
    result[row, col] = whirlwind.unwrap_sparse(points, wrapped, phase_variance(coherence[row, col], LOOKS), 15.0)
    return result


if __name__ == "__main__":
    sys.exit(main())
