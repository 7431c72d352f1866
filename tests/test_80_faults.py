"""Each fault alone on a running site of four machines, with the state after it; then many at once over many jobs.

One site for all tests of this module. The first tests share a frame whose jobs are held while a fault is done, so that it is
known what runs; between faults some of them are let go.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from random import Random

import psutil
import pytest
from fault_kinds import flow_run_of, full_disk, kill_postgres, kill_prefect, kill_scheduler, kinds, refused, stopped
from fault_kinds import worker_of as worker
from fault_site import LEASE_S, Site, running_site
from fault_soak import prove, soak

from satdaemon.db import JobEvent, PendingJob, RunningJob, parts, runs
from satdaemon.status import Stage

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.postgis, pytest.mark.timeout(900)]
ALONE = "132A_ALONE"
DATES = 190
AT_ONCE = 12
"""Jobs that four machines of three cores hold."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site() as found:
        yield found


@pytest.fixture(scope="module")
def alone(site: Site) -> Iterator[Site]:
    """The site with jobs that are held."""
    site.add_frame(ALONE, DATES, [Stage.DOWNLOAD])
    with site.held():
        yield site


@pytest.fixture
def held(alone: Site) -> Site:
    """Every place of every machine has a job that has begun and is held."""
    alone.until(lambda: len(begun(alone)) == AT_ONCE, 480.0, "all places taken")
    return alone


def begun(site: Site) -> dict[int, tuple[int, int, str]]:
    """Attempt, process and machine of each running job whose program has begun."""
    pids = {(line.job_id, line.attempt): line.pid for line in site.lines("begun")}
    return {
        job.job_id: (job.attempt, pids[job.job_id, job.attempt], job.machine)
        for job in site.running()
        if (job.job_id, job.attempt) in pids
    }


def begun_again(site: Site, before: dict[int, tuple[int, int, str]], lost: list[int]) -> dict[int, tuple[int, int, str]] | None:
    """What runs, once each of these jobs runs by a later attempt."""
    now = begun(site)
    return now if all(job in now and now[job][0] > before[job][0] for job in lost) else None


def taken_elsewhere(site: Site, lost: list[int], machine: str) -> list[RunningJob]:
    """Which of these jobs run on another machine by now. Room is made there at each look: they are due after a while."""
    running = site.running()
    site.let_go(job.job_id for job in running if job.machine == "m1" and job.job_id not in lost)
    return [job for job in running if job.job_id in lost and job.machine != machine]


def are_gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def go_on(site: Site, jobs: list[int], *, in_turn: bool = False) -> None:
    """Let these jobs end, and prove that each did once; others take their places, and are held.

    `in_turn`: those that hold places meanwhile are let go too, until these had theirs.
    """
    site.let_go(jobs)

    def are_finished() -> bool:
        if in_turn:
            site.let_go(job.job_id for job in site.running())
        return finished(site, jobs) > 0

    site.until(are_finished, 120.0, "their end")
    assert finished(site, jobs) == len(jobs)


def finished(site: Site, jobs: list[int]) -> int:
    """Finishes of these jobs, if every one has: one each, or it is no finish."""
    events = [event for event in site.database.query(JobEvent, event="finished", frame_id=ALONE) if event.job_id in jobs]
    return len(events) if {event.job_id for event in events} == set(jobs) else 0


def pending(site: Site) -> list[PendingJob]:
    return site.database.query(PendingJob, frame_id=ALONE)


def waits(site: Site) -> int:
    """How often the scheduler's service said that it waits for the database."""
    return (site.place / "scheduler.log").read_text().count("waits for the database")


def attempts(site: Site, jobs: list[int]) -> set[int]:
    """The attempts by which these jobs were finished."""
    return {e.attempt or 0 for e in site.database.query(JobEvent, event="finished", frame_id=ALONE) if e.job_id in jobs}


@pytest.mark.soak
def test_a_killed_worker_loses_its_jobs_to_others_and_no_others(held: Site) -> None:
    before = begun(held)
    lost = [job for job, (_, _, machine) in before.items() if machine == "m1"]
    worker(held, "m1").kill()
    held.until(lambda: are_gone([before[job][1] for job in lost]), 20.0, "the end of its programs")
    again = held.until(lambda: begun_again(held, before, lost))
    assert {job: again[job] for job in before if job not in lost} == {job: before[job] for job in before if job not in lost}
    reasons = {str(event.message) for event in held.database.query(JobEvent, event="retry") if event.job_id in lost}
    assert all(reason.startswith(("MachineLost", "WorkerLost")) for reason in reasons) and reasons
    go_on(held, list(before))
    assert min(attempts(held, lost)) > 1


def test_a_worker_that_stands_still_beyond_its_lease_loses_its_jobs(held: Site) -> None:
    before = begun(held)
    lost = [job for job, (_, _, machine) in before.items() if machine == "m2"]
    assert lost
    process = worker(held, "m2")
    with stopped(process):
        held.until(lambda: {job.job_id for job in pending(held)} & set(lost) == set(lost), 60.0, "lost leases")
        taken = held.until(lambda: taken_elsewhere(held, lost, "m2"), 120.0, "lost jobs on another machine")
        assert all(job.attempt == before[job.job_id][0] + 1 for job in taken)
        assert held.on("m2") == [], "it gets nothing while it is not heard of"
    held.until(lambda: are_gone([before[job][1] for job in lost]), 30.0, "the end of programs whose lease is lost")
    go_on(held, list(before))
    assert process.is_running(), "the worker goes on"


@pytest.mark.soak
def test_a_killed_scheduler_costs_a_restart_of_the_workers(held: Site) -> None:
    before = begun(held)
    kill_scheduler(held, Random(0))
    held.until(lambda: are_gone([pid for _, pid, _ in before.values()]), 60.0, "the end of all programs")
    held.until(lambda: len(begun(held)) == AT_ONCE, 120.0, "all places taken again")
    go_on(held, list(before))


@pytest.mark.soak
def test_a_killed_flow_run_is_followed_by_another(held: Site) -> None:
    before, holder = begun(held), runs.holder(held.database, ALONE)
    flow_run_of(held, ALONE).kill()
    held.until(lambda: are_gone([pid for _, pid, _ in before.values()]), 30.0, "the end of all programs")
    held.until(lambda: runs.holder(held.database, ALONE) not in (holder, None), 120.0, "another flow run")
    held.until(lambda: len(begun(held)) == AT_ONCE, 60.0, "all places taken again")
    go_on(held, list(before))


@pytest.mark.soak
@pytest.mark.parametrize("part", ["planner", "prefect"])
def test_a_killed_planner_or_prefect_server_touches_no_job(held: Site, part: str) -> None:
    before = begun(held)
    if part == "planner":
        pid = held.units.pid(part)
        os.kill(pid, signal.SIGKILL)
        held.until(lambda: held.units.pid(part) != pid and "planner" in {p.name for p in parts.live(held.database)})
    else:
        kill_prefect(held, Random(0))
        held.until(lambda: held.units.below(part, "prefect_server"), 60.0)
    assert begun(held) == before
    go_on(held, list(before))
    assert attempts(held, list(before)) <= {attempt for attempt, _, _ in before.values()}


@pytest.mark.soak
@pytest.mark.parametrize("how", ["killed", "refuses"])
def test_a_database_that_is_away_for_less_than_a_lease_costs_no_attempt(held: Site, how: str) -> None:
    before = begun(held)
    if how == "killed":
        pid = held.server.pid
        kill_postgres(held, Random(0))
        held.until(lambda: held.server.is_up and held.server.pid != pid, 30.0)
    else:
        said = waits(held)
        with refused(held):
            held.until(lambda: waits(held) > said, what="a part that says so")
            assert held.done() == 0, "nobody is let in"
    held.until(lambda: held.done() > 0, 30.0, "the database answers")
    go_on(held, list(before))
    assert attempts(held, list(before)) == {attempt for attempt, _, _ in before.values()}


@pytest.mark.soak
def test_jobs_wait_for_space_on_a_full_disk_and_lose_no_try(held: Site) -> None:
    if not held.has_disk:
        pytest.skip("mounting a small file system for products takes root")
    before = begun(held)
    with full_disk(held):
        held.let_go(before)
        # What a failed attempt gives back may be enough for another job: all are back in the queue or done.
        held.until(lambda: not begun(held).keys() & before.keys(), 60.0, "their return to the queue")
        mine = [job for job in pending(held) if job.job_id in before]
        assert {job.tries for job in mine} == {0} and all("No space left" in str(job.reason) for job in mine)
        held.until(lambda: any("no space" in str(job.waits_for) for job in pending(held)), what="waiting for space")
    go_on(held, list(before), in_turn=True)


@pytest.mark.parametrize("host", [pytest.param("m3", marks=pytest.mark.soak), "head"])
@pytest.mark.parametrize("to_s", [pytest.param(3600.0, marks=pytest.mark.soak), -3600.0])
def test_a_clock_that_jumps_touches_no_job(held: Site, host: str, to_s: float) -> None:
    before = begun(held)
    held.clocks[host].jump(to_s)
    go_on(held, list(before))
    assert attempts(held, list(before)) == {attempt for attempt, _, _ in before.values()}
    held.until(lambda: len(begun(held)) == AT_ONCE, 60.0, "all places taken again")
    held.clocks[host].jump(0.0)


@pytest.mark.soak
def test_the_databases_clock_jumps_beyond_all_leases_and_nothing_is_done_twice(held: Site) -> None:
    """Which leases are lost by it is chance: a beat that comes before the next look renews one."""
    before = begun(held)
    held.database_clock_s += 2 * LEASE_S
    held.clocks["database"].jump(held.database_clock_s)
    go_on(held, list(before))


def test_short_jobs_under_a_handful_of_faults(site: Site) -> None:
    run(site, "132A_FEW", dates=20, frames=2, faults=6, within_s=600.0)


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_two_thousand_short_jobs_under_all_faults(site: Site) -> None:
    run(site, "132A_SOAK", dates=168, frames=4, faults=30, within_s=2000.0)


def run(site: Site, name: str, *, dates: int, frames: int, faults: int, within_s: float) -> None:
    """Faults of every kind in turn, over frames of three stages, and the proof."""
    site.let_all_go()
    seed = int(os.environ.get("SATDAEMON_FAULT_SEED", "20230101"))
    site.until(lambda: not site.database.query(RunningJob) and not site.database.query(PendingJob), 300.0, "an empty queue")
    before = site.done()
    names = [f"{name}{number}" for number in range(frames)]
    jobs = sum(site.add_frame(frame, dates, [Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR]) for frame in names)
    report = soak(site, before, jobs, Random(seed).sample(kinds(site) * 10, faults), seed, within_s)
    print(f"\n{report.shown()}\n{prove(site, names, jobs)}")
