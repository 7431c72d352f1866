"""Which job goes to which machine: pure arithmetic on what is asked and what is free.

Strict priority. Among asks of one priority first those that others have passed long ago, then the frames in turn, the
one that holds least first. Each ask goes to the smallest machine that holds it, to the one it fills best among equals.
What does not fit lets the next one go; an ask that was passed long ago gets a machine kept free (reservation.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import groupby

from satdaemon.db.jobs.reservation import EPSILON, Kept, Need, Shelf, keep

NAMES = ("CPU cores", "GB of memory", "units of disk")
NOTHING: Need = (0.0, 0.0, 0.0)
NOWHERE: frozenset[str] = frozenset()


@dataclass(slots=True)
class Ask:
    """What a job wants: (cpu, memory_gb, disk) on one machine, and its share of what all machines have in common.

    Not frozen, which would make it slow to make: there are thousands in a pass. Nobody changes it.
    """

    job_id: int
    need: Need
    priority: int = 0
    frame_id: str = ""
    rank: int = 0
    """Place of its stage in the chain: within a frame later ones go first."""
    passed_s: float | None = None
    """Seconds since another job was first given room while this one fitted nowhere."""
    lasts_s: float | None = None
    """How long it is predicted to run."""
    draws: tuple[tuple[str, float], ...] = ()
    """What it takes, of which budget."""
    avoids: frozenset[str] = NOWHERE
    """Machines where it failed: it goes there only if no other takes jobs and is large enough."""


@dataclass(slots=True)
class Budget:
    """Something that all machines have in common: jobs of a stage at once, sessions of an archive, room on a disk."""

    left: float
    why: str
    """What to tell of an ask that it does not suffice for; {need} and {left} stand for the amounts."""
    is_blocking: bool = False
    """Such an ask does not go on by itself: somebody has to do something."""

    def tell(self, need: float) -> str:
        """Why it does not suffice."""
        return self.why.format(need=f"{need:.3g}", left=f"{max(self.left, 0.0):.3g}")


@dataclass(slots=True)
class Packing:
    """Jobs with their machines, and what to tell of the others."""

    given: list[tuple[int, str]] = field(default_factory=list)
    waits: dict[int, str] = field(default_factory=dict)
    """Why a job that could go in time does not go now, where there is more to say than that the machines are taken."""
    stuck: dict[int, str] = field(default_factory=dict)
    """Why a job cannot go as things are: no machine is large enough, or no disk has the room."""
    passed: list[int] = field(default_factory=list)
    """Jobs that fitted nowhere while one after them got a machine, for the first time."""
    kept: dict[str, int] = field(default_factory=dict)
    """Machines that are kept free, each for a job."""


def pack(
    asks: Sequence[Ask],
    shelves: Sequence[Shelf],
    *,
    reserve_after_s: float,
    budgets: Mapping[str, Budget] | None = None,
    holds: Mapping[str, Need] | None = None,
) -> Packing:
    """Give machines to asks. `shelves[i].free` and the budgets are used up; `holds`: what each frame has already."""
    packer = _Packer(shelves, budgets or {}, reserve_after_s)
    packer.look({(ask.need, ask.lasts_s) for ask in asks})
    held = {frame: packer.share(need) for frame, need in (holds or {}).items()}
    ordered = sorted(asks, key=lambda a: (-a.priority, -a.rank, a.job_id))
    for _, level in groupby(ordered, key=lambda a: a.priority):
        packer.level(list(level), held)
    return packer.result()


class _Packer:
    def __init__(self, shelves: Sequence[Shelf], budgets: Mapping[str, Budget], reserve_after_s: float) -> None:
        self.shelves = shelves
        self.budgets = budgets
        self.reserve_after_s = reserve_after_s
        self.done = Packing()
        self.kept: dict[str, Kept] = {}
        open_ = [s for s in shelves if not s.closed]
        self.total = tuple(sum(s.size[k] for s in open_) for k in range(3))
        self.most_kept = max(1, len(open_) // 2)
        self._never: dict[Need, str] = {}
        # What fits nowhere now: nothing becomes free while we pack.
        self._full: set[tuple[Need, float | None]] = set()
        self._no_room: list[Ask] = []
        self._passed = 0

    def look(self, wanted: set[tuple[Need, float | None]]) -> None:
        """Find out at once what fits nowhere: mostly all machines are full, and most asks are alike."""
        self._full |= {(need, lasts_s) for need, lasts_s in wanted if not any(s.has_room(need) for s in self.shelves)}

    def share(self, need: Need) -> float:
        """The largest share of all open machines together that this is."""
        return max((n / t for n, t in zip(need, self.total, strict=True) if t > 0), default=0.0)

    def level(self, asks: list[Ask], held: dict[str, float]) -> None:
        """Asks of one priority, in order of rank and age; `held` is what each frame has, as a share."""
        after = self.reserve_after_s
        late = sorted(
            (a for a in asks if a.passed_s is not None and a.passed_s >= after), key=lambda a: (-(a.passed_s or 0.0), a.job_id)
        )
        for ask in late:
            if self._give(ask):
                held[ask.frame_id] = held.get(ask.frame_id, 0.0) + self.share(ask.need)
            elif ask.job_id not in self.done.stuck and ask.job_id not in self.done.waits:
                self._keep(ask)
        if late:
            asks = [a for a in asks if a.passed_s is None or a.passed_s < after]
        if all((ask.need, ask.lasts_s) in self._full for ask in asks):
            for ask in asks:  # nobody gets anything: whose turn it is does not matter
                self._give(ask)
            return
        turns = _Turns(asks, held)
        for ask in turns:
            if self._give(ask):
                turns.took(ask, self.share(ask.need))

    def result(self) -> Packing:
        """What came of it."""
        self.done.passed = [a.job_id for a in self._no_room[: self._passed] if a.passed_s is None]
        self.done.kept = {name: kept.job_id for name, kept in self.kept.items()}
        return self.done

    def _give(self, ask: Ask) -> bool:
        if ask.need not in self._never:
            self._never[ask.need] = _why_never(ask.need, self.shelves)
        if why := self._never[ask.need]:
            self.done.stuck[ask.job_id] = why
            return False
        for name, amount in ask.draws:
            budget = self.budgets.get(name)
            if budget is not None and budget.left < amount - EPSILON:
                (self.done.stuck if budget.is_blocking else self.done.waits)[ask.job_id] = budget.tell(amount)
                return False
        shelf = self._place(ask)
        if shelf is None:
            self._no_room.append(ask)
            return False
        shelf.take(ask.need, ask.lasts_s)
        for name, amount in ask.draws:
            if name in self.budgets:
                self.budgets[name].left -= amount
        self.done.given.append((ask.job_id, shelf.name))
        self._passed = len(self._no_room)
        return True

    def _place(self, ask: Ask) -> Shelf | None:
        key = (ask.need, ask.lasts_s)
        if key in self._full:
            return None
        fitting = [s for s in self._wanted(ask) if s.has_room(ask.need) and self._is_allowed(s, ask)]
        if not fitting:
            if not ask.avoids:
                self._full.add(key)
            return None
        best = min(fitting, key=lambda s: (s.size[0], s.slack(ask.need), s.name))
        if best.name in self.kept:
            self.kept[best.name].lend(ask.need, ask.lasts_s)
        return best

    def _wanted(self, ask: Ask) -> Sequence[Shelf]:
        """The machines for an ask: those that it does not avoid, unless none of them could ever take it."""
        if not ask.avoids:
            return self.shelves
        others = [s for s in self.shelves if s.name not in ask.avoids]
        return others if any(not s.closed and s.could_hold(ask.need) for s in others) else self.shelves

    def _is_allowed(self, shelf: Shelf, ask: Ask) -> bool:
        kept = self.kept.get(shelf.name)
        return kept is None or kept.lends(ask.need, ask.lasts_s)

    def _keep(self, ask: Ask) -> None:
        """Keep the machine free that will hold it soonest."""
        if len(self.kept) >= self.most_kept:
            return
        able = [s for s in self._wanted(ask) if not s.closed and s.name not in self.kept and s.could_hold(ask.need)]
        if not able:
            return
        kept = min((keep(s, ask.job_id, ask.need) for s in able), key=lambda k: (k.after_s, -k.nearness, k.name))
        self.kept[kept.name] = kept
        self.done.waits[ask.job_id] = f"waits for room on {kept.name}, which is kept free for it"


class _Turns(Iterator[Ask]):
    """Asks of one priority, in turn: next comes the frame that holds least; within a frame the order given."""

    def __init__(self, asks: Iterable[Ask], held: dict[str, float]) -> None:
        self.held = held
        self.queues: dict[str, deque[Ask]] = {}
        for ask in asks:
            self.queues.setdefault(ask.frame_id, deque()).append(ask)
        self.heap = [self._entry(queue[0]) for queue in self.queues.values()]
        heapify(self.heap)

    def __next__(self) -> Ask:
        while self.heap:
            share, _, _, frame = heappop(self.heap)
            queue = self.queues[frame]
            if share != self.held.get(frame, 0.0):  # it has got something since
                heappush(self.heap, self._entry(queue[0]))
                continue
            ask = queue.popleft()
            if queue:
                heappush(self.heap, self._entry(queue[0]))
            return ask
        raise StopIteration

    def took(self, ask: Ask, share: float) -> None:
        """An ask's frame holds so much more."""
        self.held[ask.frame_id] = self.held.get(ask.frame_id, 0.0) + share

    def _entry(self, ask: Ask) -> tuple[float, int, int, str]:
        return self.held.get(ask.frame_id, 0.0), -ask.rank, ask.job_id, ask.frame_id


def _why_never(need: Need, shelves: Sequence[Shelf]) -> str:
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
