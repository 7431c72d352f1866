"""A mix of unlike jobs for four unlike machines, how fast it could be done, and how a run of it went."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Need = tuple[float, float, float]
MACHINES: Mapping[str, Need] = {
    "large": (32.0, 128.0, 100.0),
    "wide": (16.0, 64.0, 100.0),
    "tall": (16.0, 48.0, 60.0),
    "small": (8.0, 24.0, 50.0),
}
KINDS: Mapping[str, tuple[Need, float]] = {
    "download": ((1.0, 1.0, 25.0), 0.25),
    "slc": ((4.0, 12.0, 30.0), 0.20),
    "satsar": ((8.0, 24.0, 40.0), 0.15),
    "coherence": ((2.0, 8.0, 10.0), 0.20),
    "unwrap": ((2.0, 16.0, 10.0), 0.10),
    "timeseries": ((16.0, 48.0, 60.0), 0.04),
    "ingest": ((1.0, 2.0, 20.0), 0.06),
}
"""What a job of a kind needs (CPU, memory, disk), and its share of the mix."""


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A job that occupies a machine for a while and does nothing."""

    number: int
    kind: str
    need: Need
    lasts_s: float
    priority: int


@dataclass(frozen=True, slots=True)
class Ran:
    """When and where a job ran."""

    job: Sleeper
    began_s: float
    ended_s: float
    machine: str


def mix(count: int, seed: int, scale: float) -> list[Sleeper]:
    """So many jobs of ten priorities, each of 0.05 to 1 s times `scale`."""
    draw = random.Random(seed)
    kinds, shares = list(KINDS), [share for _, share in KINDS.values()]
    made = []
    for number in range(count):
        kind = draw.choices(kinds, shares)[0]
        made.append(Sleeper(number, kind, KINDS[kind][0], scale * draw.uniform(0.05, 1.0), draw.randrange(10)))
    return made


def lower_bound_s(jobs: Sequence[Sleeper]) -> float:
    """No schedule is shorter: by each resource of all machines together, and by the places that each kind has."""
    totals = [sum(size[k] for size in MACHINES.values()) for k in range(3)]
    bounds = [sum(job.lasts_s * job.need[k] for job in jobs) / totals[k] for k in range(3)]
    for need, _ in KINDS.values():
        places = sum(int(min(s // n for s, n in zip(size, need, strict=True))) for size in MACHINES.values())
        bounds.append(sum(job.lasts_s for job in jobs if job.need == need) / places)
    return max(bounds)


def greedy(jobs: Iterable[Sleeper]) -> list[Ran]:
    """The schedule of a planner without overhead: by priority, each job to the smallest machine that has room."""
    free = {name: list(size) for name, size in MACHINES.items()}
    pending = sorted(jobs, key=lambda job: (-job.priority, job.number))
    ends: list[tuple[float, int, str, Sleeper]] = []
    done: list[Ran] = []
    now = 0.0
    while pending or ends:
        for job in list(pending):
            able = [name for name, left in free.items() if _fits(job.need, left)]
            if able:
                name = min(able, key=lambda n: (MACHINES[n][0], n))
                pending.remove(job)
                free[name] = [f - n for f, n in zip(free[name], job.need, strict=True)]
                heapq.heappush(ends, (now + job.lasts_s, job.number, name, job))
                done.append(Ran(job, now, now + job.lasts_s, name))
        now, _, name, job = heapq.heappop(ends)
        free[name] = [f + n for f, n in zip(free[name], job.need, strict=True)]
    return done


def makespan_s(ran: Sequence[Ran]) -> float:
    """From the first begin to the last end."""
    return max(r.ended_s for r in ran) - min(r.began_s for r in ran)


def inversions(ran: Sequence[Ran], slack_s: float) -> int:
    """Jobs that began while a more urgent one, which began more than `slack_s` later, would have had room."""
    found = 0
    for one in ran:
        free = {name: list(size) for name, size in MACHINES.items()}
        for other in ran:
            if other.began_s < one.began_s - 1e-3 and other.ended_s > one.began_s + 1e-3:
                free[other.machine] = [f - n for f, n in zip(free[other.machine], other.job.need, strict=True)]
        later = (r.job for r in ran if r.began_s > one.began_s + slack_s and r.job.priority > one.job.priority)
        found += any(_fits(job.need, left) for job in later for left in free.values())
    return found


def over_committed(ran: Sequence[Ran]) -> int:
    """Moments at which a machine had more jobs than it has room for."""
    found = 0
    for one in ran:
        beside = [r.job.need for r in ran if r.machine == one.machine and r.began_s <= one.began_s < r.ended_s]
        found += any(sum(need[k] for need in beside) > MACHINES[one.machine][k] + 1e-6 for k in range(3))
    return found


def _fits(need: Need, left: Sequence[float]) -> bool:
    return all(f >= n - 1e-9 for f, n in zip(left, need, strict=True))
