"""What the grant pass's own arithmetic would make of a mix if nothing took any time but the jobs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from bench.admission.mix import MACHINES, Ran, Sleeper
from satdaemon.db.jobs.packing import Ask, pack
from satdaemon.db.jobs.reservation import Shelf


def planned(jobs: Sequence[Sleeper], reserve_after_s: float) -> list[Ran]:
    """The schedule: a pass whenever a job ends. Nothing is predicted."""
    pending = {job.number: job for job in jobs}
    passed: dict[int, float] = {}
    ends: list[tuple[float, int, str]] = []
    done: list[Ran] = []
    now = 0.0
    while pending or ends:
        shelves = [Shelf(name, size, list(size)) for name, size in MACHINES.items()]
        live = [(name, jobs[number]) for _, number, name in ends]
        for shelf in shelves:
            for name, job in live:
                if name == shelf.name:
                    shelf.take(job.need, None)
        asks = [
            Ask(n, j.need, j.priority, str(j.priority), passed_s=now - passed[n] if n in passed else None)
            for n, j in pending.items()
        ]
        packed = pack(asks, shelves, reserve_after_s=reserve_after_s)
        passed |= dict.fromkeys(packed.passed, now)
        for number, name in packed.given:
            job = pending.pop(number)
            heapq.heappush(ends, (now + job.lasts_s, number, name))
            done.append(Ran(job, now, now + job.lasts_s, name))
        now, *_ = heapq.heappop(ends)
    return done
