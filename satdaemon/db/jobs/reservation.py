"""Machines, and how one is kept free for a job that others have passed long ago, without standing idle meanwhile.

What runs there ends in time, by prediction; from then on the job has room. Until then others may use the machine where
they are predicted to end before, or where they leave the job enough even if they do not. Without predictions nothing
but that spare room is lent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

Need = tuple[float, float, float]
EPSILON = 1e-9


@dataclass(slots=True)
class Shelf:
    """A machine: what it has, what is free, and why nothing may go there (empty: it may)."""

    name: str
    size: Need
    free: list[float]
    closed: str = ""
    ends: list[tuple[float | None, Need]] = field(default_factory=list)
    """What runs there: seconds until it is predicted to end, and what becomes free then."""

    def could_hold(self, need: Sequence[float]) -> bool:
        """True where the machine, empty, is large enough."""
        return all(s >= n - EPSILON for s, n in zip(self.size, need, strict=True))

    def has_room(self, need: Need) -> bool:
        """True where it fits now."""
        free = self.free
        return not self.closed and free[0] >= need[0] - EPSILON and free[1] >= need[1] - EPSILON and free[2] >= need[2] - EPSILON

    def take(self, need: Need, lasts_s: float | None) -> None:
        """Put a job there."""
        self.free = [f - n for f, n in zip(self.free, need, strict=True)]
        self.ends.append((lasts_s, need))

    def slack(self, need: Need) -> float:
        """How much of the machine stays free, of what it has most left of: less is a better fit."""
        return max((f - n) / s for f, n, s in zip(self.free, need, self.size, strict=True))


@dataclass(slots=True)
class Kept:
    """A machine that is kept free for a job."""

    name: str
    job_id: int
    after_s: float
    """When it will have room, by prediction; infinite where nobody knows."""
    spare: Need
    """What the job leaves over then."""
    nearness: float
    """The scarcest resource's share that is free already, 0..1."""

    def lends(self, need: Need, lasts_s: float | None) -> bool:
        """True where a job may use it meanwhile."""
        return self._is_short(lasts_s) or all(n <= s + EPSILON for n, s in zip(need, self.spare, strict=True))

    def lend(self, need: Need, lasts_s: float | None) -> None:
        """A job uses it meanwhile."""
        if not self._is_short(lasts_s):
            cpu, memory_gb, disk = (s - n for s, n in zip(self.spare, need, strict=True))
            self.spare = (cpu, memory_gb, disk)

    def _is_short(self, lasts_s: float | None) -> bool:
        return lasts_s is not None and self.after_s < inf and lasts_s <= self.after_s


def keep(shelf: Shelf, job_id: int, need: Need) -> Kept:
    """What keeping a machine free for a job would mean; it is large enough, and has no room now."""
    free, after_s = list(shelf.free), 0.0
    nearness = min(min(f / n, 1.0) if n > 0 else 1.0 for f, n in zip(free, need, strict=True))
    for left_s, back in sorted(((inf if s is None else s, n) for s, n in shelf.ends), key=lambda end: (end[0], sum(end[1]))):
        if all(f >= n - EPSILON for f, n in zip(free, need, strict=True)):
            break
        free, after_s = [f + b for f, b in zip(free, back, strict=True)], left_s
    cpu, memory_gb, disk = (max(f - n, 0.0) for f, n in zip(free, need, strict=True))
    return Kept(shelf.name, job_id, after_s, (cpu, memory_gb, disk), nearness)
