"""Short jobs under a seeded schedule of faults, and the proof that each was done once."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from fault_kinds import Fault
from fault_site import Site

from satdaemon.db import FailedJob, Ifg, JobEvent, Master, PendingJob, Product, RsarIfg, RunningJob, runs
from satdaemon.status import ProcStatus

FIRST, LAST = 0.15, 0.95
"""Faults come while between these shares of the jobs are done; before, the pace without faults is measured."""
_BY_HAND = ("retried", "released", "hurried", "cancelled", "cancel_asked")


@dataclass
class Report:
    """What happened, for people."""

    jobs: int
    seed: int
    lines: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    undisturbed_s: float = 0.0

    def shown(self) -> str:
        """As text."""
        lost = f"{self.wall_s - self.undisturbed_s:.0f} s lost by {len(self.lines)} faults"
        pace = f"{self.wall_s:.0f} s, at the pace before the first fault {self.undisturbed_s:.0f} s"
        return "\n".join([f"{self.jobs} jobs, seed {self.seed}: {pace}: {lost}", *self.lines])


def soak(site: Site, before: int, jobs: int, faults: list[Fault], seed: int, within_s: float) -> Report:
    """Do the faults, in a random order, each once a random number of jobs is done; return when all jobs are.

    `before` products were there already.
    """
    random = Random(seed)
    faults = random.sample(faults, len(faults))
    places = sorted(random.randrange(int(FIRST * jobs), int(LAST * jobs)) for _ in faults)
    report = Report(jobs, seed)
    site.until(lambda: site.done() > before, within_s, "the first job")
    began, pace_s = time.monotonic(), 0.0
    left_s = lambda: max(began + within_s - time.monotonic(), 1.0)  # noqa: E731
    for fault, place in zip(faults, places, strict=True):
        _reach(site, before + place, left_s())
        pace_s = pace_s or (time.monotonic() - began) / place
        at, done = time.monotonic(), site.done()
        what = fault.do(site, random)
        after = min(done + 1, before + jobs)
        _reach(site, after, left_s())
        when = f"after {done - before:5} jobs; the next was done {time.monotonic() - at:6.1f} s later"
        report.lines.append(f"{fault.name:20} {what:34} {when}")
    _reach(site, before + jobs, left_s())
    report.wall_s, report.undisturbed_s = time.monotonic() - began, pace_s * jobs
    return report


def _reach(site: Site, done: int, within_s: float) -> None:
    site.until(lambda: site.done() >= done, within_s, f"{done} jobs done")


def prove(site: Site, frames: list[str], jobs: int) -> str:
    """Each job done exactly once by its product, nothing left over, nobody lent a hand; what it cost, in words."""
    database = site.database
    site.until(lambda: not database.query(RunningJob) and not database.query(PendingJob), 60.0, "an empty queue")
    site.until(lambda: not runs.live(database), 60.0, "the end of all flow runs")
    site.until(lambda: not site.units.orphans(), 30.0, f"orphans: {site.units.orphans()}")
    assert database.query(FailedJob) == []
    for frame in frames:
        rows: list[Any] = [row for model in (Master, Ifg, RsarIfg) for row in database.query(model, frame_id=frame)]
        assert ProcStatus.RUNNING not in {row.status for row in rows}
    events = [event for frame in frames for event in database.query(JobEvent, frame_id=frame)]
    assert [e for e in events if e.event in _BY_HAND and not str(e.who).startswith("flow run")] == [], "by hand"
    finished = [event for event in events if event.event == "finished"]
    assert Counter((e.frame_id, e.kind, e.stage, e.date1, e.date2) for e in finished).most_common(1)[0][1] == 1
    assert len(finished) == jobs
    products = [product for frame in frames for product in database.query(Product, frame_id=frame)]
    holders = {f"{e.job_id}-{e.attempt}" for e in finished}
    on_disk = {path.parent: path.read_text().strip() for frame in frames for path in _products(site, frame)}
    assert {Path(product.path) for product in products} == on_disk.keys(), "the database's products are those on disk"
    assert set(on_disk.values()) == holders and len(on_disk) == jobs, "each made by the attempt that finished"
    return _cost(site, frames, events)


def _products(site: Site, frame: str) -> list[Path]:
    found = (site.settings.parameters.processing_path / frame).glob("*/*/product.txt")
    return [path for path in found if not path.parts[-3].startswith(".")]


def _cost(site: Site, frames: list[str], events: list[JobEvent]) -> str:
    count = Counter(event.event for event in events)
    ended = Counter(line[:4] for line in site.lines("ended") if line.frame in frames)
    twice = sum(n - 1 for n in ended.values())
    return (
        f"attempts: {count['granted']} granted, {count['started']} begun, {count['finished']} finished; "
        f"{count['retry']} tries lost, {count['waiting']} given back; {twice} outputs discarded or replaced; "
        f"{site.units.restarts} services started again"
    )
