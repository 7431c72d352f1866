"""Rows of an array shared out over plain threads.

Not numba's own threads: kernels without parallel regions may be loaded in a process that forks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np


def in_threads(work: Callable[[int, int], None], rows: int, cores: int) -> None:
    """Call `work(first, end)` for parts of `range(rows)`, one thread a core; kernels release the GIL."""
    if cores <= 1 or rows < 2 * cores:
        work(0, rows)
        return
    edges = np.linspace(0, rows, cores + 1).astype(int)
    with ThreadPoolExecutor(cores) as pool:
        for done in [pool.submit(work, int(a), int(b)) for a, b in pairwise(edges)]:
            done.result()
