"""One line of the database bench."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ratio:
    """What was measured, beside what it is held against within the same run."""

    name: str
    ours: float
    """Seconds, or another unit that `unit` names."""
    bare: float
    """The peer, the physical limit or the promised bound, in the same unit."""
    most: float | None = None
    """The ratio ours / bare that must hold; None where none was promised."""
    unit: str = "s"
    note: str = ""

    @property
    def ratio(self) -> float:
        """ours / bare."""
        return self.ours / self.bare


def seconds(work: Callable[[], Any], repeats: int = 1) -> float:
    """Median wall time of `work`, s."""
    walls = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        walls.append(time.perf_counter() - began)
    return statistics.median(walls)
