"""Which job goes to which machine: pure arithmetic on what is asked and what is free.

Greedy in the order of the asks, each to the machine that it fills best. A job that has waited long and fits
nowhere now gets a machine kept free for it; a job that fits no machine at all gets a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("CPU cores", "GB of memory", "units of disk")
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Ask:
    """What a job wants: (cpu, memory_gb, disk), and since how long it could have had it."""

    job_id: int
    need: tuple[float, float, float]
    waited_s: float


@dataclass(slots=True)
class Shelf:
    """A machine: what it has, what is free, and why nothing may go there (empty: it may)."""

    name: str
    size: tuple[float, float, float]
    free: list[float]
    closed: str = ""

    def could_hold(self, need: Sequence[float]) -> bool:
        """True where the machine, empty, is large enough."""
        return all(s >= n - EPSILON for s, n in zip(self.size, need, strict=True))

    def holds(self, need: Sequence[float]) -> bool:
        """True where it fits now."""
        return not self.closed and all(f >= n - EPSILON for f, n in zip(self.free, need, strict=True))


@dataclass(frozen=True, slots=True)
class Packing:
    """Jobs with their machines, and what to tell of those that cannot have one."""

    given: list[tuple[int, str]]
    reasons: dict[int, str]
    reserved: str | None
    """The machine that is kept free for a job that has waited long."""


def pack(asks: Sequence[Ask], shelves: Sequence[Shelf], *, reserve_after_s: float) -> Packing:
    """Give machines to asks, in order. `shelves[i].free` is used up."""
    given: list[tuple[int, str]] = []
    reasons: dict[int, str] = {}
    reserved: str | None = None
    hopeless: dict[tuple[float, float, float], str] = {}
    full: set[tuple[float, float, float]] = set()  # what fits nowhere now: nothing becomes free while we pack
    for ask in asks:
        if ask.need not in hopeless:
            hopeless[ask.need] = _why_never(ask.need, shelves)
        if hopeless[ask.need]:
            reasons[ask.job_id] = hopeless[ask.need]
            continue
        fitting = [] if ask.need in full else [s for s in shelves if s.name != reserved and s.holds(ask.need)]
        if not fitting:
            full.add(ask.need)
        if fitting:
            best = min(fitting, key=lambda s: (s.size[0], _slack(s, ask.need), s.name))
            best.free = [f - n for f, n in zip(best.free, ask.need, strict=True)]
            given.append((ask.job_id, best.name))
        elif reserved is None and ask.waited_s >= reserve_after_s:
            able = [s for s in shelves if not s.closed and s.could_hold(ask.need)]
            reserved = max(able, key=lambda s: (_nearness(s, ask.need), s.name)).name
    return Packing(given, reasons, reserved)


def _slack(shelf: Shelf, need: Sequence[float]) -> float:
    """How much of the machine stays free, of what it has most left of: less is a better fit."""
    return max((f - n) / s for f, n, s in zip(shelf.free, need, shelf.size, strict=True))


def _nearness(shelf: Shelf, need: Sequence[float]) -> float:
    """How near a machine is to holding the job: the scarcest resource's share that is free already."""
    return min(min(f / n, 1.0) if n > 0 else 1.0 for f, n in zip(shelf.free, need, strict=True))


def _why_never(need: Sequence[float], shelves: Sequence[Shelf]) -> str:
    able = [s for s in shelves if s.could_hold(need)]
    if any(not s.closed for s in able):
        return ""
    asked = ", ".join(f"{n:g} {name}" for n, name in zip(need, NAMES, strict=True))
    if able:
        return f"needs {asked}: only " + ", ".join(f"{s.name} ({s.closed})" for s in able) + " could hold it"
    if not shelves:
        return "there are no machines: see [PROC_MACHINES]"
    best = max(shelves, key=lambda s: (s.size[1], s.size[0], s.name))
    has = ", ".join(f"{n:g} {name}" for n, name in zip(best.size, NAMES, strict=True))
    return f"needs {asked}: no machine is so large (the largest, {best.name}, has {has})"
