"""A machine where jobs fail that succeed elsewhere: avoided, then quarantined, and its jobs lose nothing by it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from frames_made import FRAME, make_frame, plan, start
from sqlalchemy import select, update

from satdaemon.db import (
    DaemonTools,
    Database,
    FailedJob,
    JobEvent,
    Machine,
    MachineFailure,
    PendingJob,
    RunningJob,
    jobs,
    machines,
    messages,
)
from satdaemon.db.clock import now_utc
from satdaemon.db.jobs.packing import Ask, pack
from satdaemon.db.jobs.reservation import Shelf
from satdaemon.db.overview import overview
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import Disposition

RESULT = StageResult((), processor="test", processor_version="1")
USAGE = Usage(wall_s=1.0, cpu_s=1.0, peak_memory_gb=0.1)
CRASH = Failure("ProgramFailed", "the command ended with return code 127", "", Disposition.FAIL)
LOST = Failure("MachineLost", "SIGKILL came from outside", "", Disposition.RETRY)
INCOHERENT = Failure("ProcessingError", "ESD is incoherent", "", Disposition.FAIL)


def settle(db: Database, **values: object) -> None:
    stage = db.settings.download.model_copy(update={"disk": 1.0, "memory_gb": 0.5, "tries": 3})
    parameters = db.settings.parameters.model_copy(update={"quarantine_after": 3, **values})
    db.settings = db.settings.model_copy(update={"download": stage, "parameters": parameters})


def granted(db: Database, only: Iterable[str] = ("small", "large")) -> list[RunningJob]:
    """Jobs that are started now on these machines."""
    jobs.grant_pass(db)
    found = [job for job in db.query(RunningJob) if job.machine in only and job.started_utc is None]
    assert all(start(db, job.job_id, job.attempt) for job in found)
    return found


def end(db: Database, found: Iterable[RunningJob], failure: Failure | None = None) -> None:
    for job in found:
        if failure is None:
            assert jobs.finish(db, job.job_id, job.attempt, RESULT, USAGE, None)
        else:
            jobs.fail(db, job.job_id, job.attempt, failure, USAGE)


def by_machine(db: Database) -> tuple[list[RunningJob], list[RunningJob]]:
    found = granted(db)
    return [job for job in found if job.machine == "small"], [job for job in found if job.machine == "large"]


def state(db: Database, name: str = "small") -> str:
    return db.query(Machine, name=name)[0].state


@pytest.fixture
def working(database: Database) -> tuple[list[RunningJob], list[RunningJob]]:
    """Two jobs run on `small`, four on `large`; more wait."""
    settle(database)
    make_frame(database, 16)
    plan(database)
    found = by_machine(database)
    assert (len(found[0]), len(found[1])) == (2, 4)
    return found


def test_a_machine_whose_jobs_fail_while_such_jobs_succeed_elsewhere_is_quarantined(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, here, CRASH)
    assert database.query(FailedJob) and state(database) == "enabled"
    assert next(m for m in overview(database).machines if m.name == "small").failing == 2
    end(database, there)
    third, _ = by_machine(database)
    end(database, third[:1], CRASH)
    (machine,) = database.query(Machine, name="small")
    assert machine.state == "quarantined"
    assert machine.reason is not None
    why = "3 jobs in a row failed here (download) while such jobs succeed elsewhere; the last: ProgramFailed"
    assert machine.reason.startswith(why)
    with database.read_scope() as session:
        (event,) = session.scalars(select(JobEvent).where(JobEvent.event == "changed", JobEvent.message.like("machine small%")))
    assert event.who == "satdaemon"
    (told,) = [m for m in messages.listing(database) if m.kind == "machine"]
    assert told.title == "machine small is quarantined" and "3 of its jobs got back the tries" in told.body

    assert database.query(FailedJob) == [], "jobs that failed for good there are in the queue again"
    failed = {job.job_id for job in (*here, *third[:1])}
    again = [job for job in database.query(PendingJob) if job.job_id in failed]
    assert len(again) == 3 and {(job.tries, job.failed_on) for job in again} == {(0, "small")}
    (late,) = third[1:]
    assert jobs.fail(database, late.job_id, late.attempt, CRASH, USAGE).kind == "retry", "it was still running there"
    assert database.query(PendingJob, job_id=late.job_id)[0].tries == 0
    assert database.query(FailedJob) == [] and database.query(MachineFailure) == []
    end(database, [job for job in database.query(RunningJob) if job.machine == "large"])
    jobs.grant_pass(database)
    new = [job for job in database.query(RunningJob) if job.started_utc is None]
    assert new and {job.machine for job in new} == {"large"}


def test_tries_of_jobs_that_wait_for_their_next_one_come_back(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, here, LOST)
    assert {job.tries for job in database.query(PendingJob) if job.failed_on} == {1}
    end(database, there)
    third, _ = by_machine(database)
    end(database, third[:1], LOST)
    assert state(database) == "quarantined"
    live = [*database.query(PendingJob), *database.query(RunningJob)]
    mine = [job for job in live if job.failed_on == "small"]
    assert len(mine) == 3 and {job.tries for job in mine} == {0}


def test_a_machine_that_fails_all_before_the_first_succeeds_elsewhere(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, here, CRASH)
    end(database, granted(database, ["small"]), CRASH)
    assert state(database) == "enabled" and len(database.query(FailedJob)) == 4
    end(database, there[:1])
    assert state(database) == "quarantined" and database.query(FailedJob) == []


def test_what_all_machines_have_in_common_is_no_machines_fault(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, [*here, *there[:1]], CRASH)  # a disk that all write to is full
    end(database, granted(database, ["small"]), CRASH)
    end(database, there[1:2])  # there is room again
    assert {f.machine for f in database.query(MachineFailure)} == {"small"}
    end(database, there[2:])
    end(database, granted(database, ["large"]))
    assert state(database) == "enabled", "what began after the trouble shows only that it has passed"


def test_what_is_the_jobs_own_fault_or_an_order_says_nothing_of_the_machine(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, there)
    end(database, here[:1], INCOHERENT)
    end(database, here[1:], Failure("Abandoned", "its flow ended", "", Disposition.WAIT, 0.0))
    assert database.query(MachineFailure) == [] and state(database) == "enabled"


def test_a_success_of_the_stage_ends_the_row_and_nothing_counts_while_it_fails_everywhere(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, here[:1], CRASH)
    end(database, here[1:])
    assert database.query(MachineFailure) == []
    end(database, there, CRASH)
    assert len(database.query(MachineFailure)) == 4 and state(database, "large") == "enabled", "nothing succeeded since"
    more, there = by_machine(database)
    end(database, more[:1])
    end(database, there[:1], CRASH)
    assert state(database, "large") == "quarantined"
    assert state(database, "small") == "enabled"


def test_a_job_that_fails_on_a_second_machine_is_to_blame_itself(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, there)
    end(database, here, LOST)
    failed = {job.job_id for job in here}
    _, there = by_machine(database)
    again = [job for job in there if job.job_id in failed]
    assert len(again) == 2, "not on the machine where it failed, though that one has room"
    assert {f.machine for f in database.query(MachineFailure)} == {"small"}
    end(database, again, LOST)
    assert database.query(MachineFailure) == [], "neither machine is blamed"
    assert {job.failed_on for job in database.query(PendingJob) if job.job_id in failed} <= {"small,large"}


def test_one_bad_frame_does_not_quarantine_while_other_frames_succeed(database: Database) -> None:
    settle(database)
    for frame in (FRAME, "132A_BAD"):
        make_frame(database, 8, frame_id=frame)
    plan(database)
    for _ in range(4):
        here, there = by_machine(database)
        end(database, [job for job in there if job.frame_id == FRAME])
        end(database, [job for job in (*here, *there) if job.frame_id == "132A_BAD"], CRASH)
    assert len({f.job_id for f in database.query(MachineFailure)}) > 3
    assert {m.state for m in database.query(Machine)} == {"enabled"}


def test_the_last_machine_stays_and_people_are_told(
    database: Database, working: tuple[list[RunningJob], list[RunningJob]]
) -> None:
    here, there = working
    end(database, there)
    by_machine(database)
    machines.set_state(database, "large", "draining", who="a person")
    end(database, here, CRASH)
    more = granted(database, ["small"])
    end(database, more[:1], CRASH)
    end(database, database.query(RunningJob, machine="large"))
    more = granted(database, ["small"])
    end(database, more[:1], CRASH)
    assert state(database) == "enabled"
    assert "machine small spoils jobs" in {m.title for m in messages.listing(database)}
    machines.set_state(database, "small", "enabled", who="a person")
    assert database.query(MachineFailure) == [], "a person looked at it: it starts without failures"


def test_never_where_it_is_switched_off(database: Database, working: tuple[list[RunningJob], list[RunningJob]]) -> None:
    settle(database, quarantine_after=0)
    here, there = working
    end(database, there)
    end(database, here, CRASH)
    end(database, by_machine(database)[0], CRASH)
    assert state(database) == "enabled" and database.query(MachineFailure) == []


@pytest.mark.parametrize(
    ("up_for_s", "passed_s", "expected"), [(50.0, 5.0, "MachineLost"), (5.0, 5.0, "WorkerLost"), (50.0, 30.0, "WorkerLost")]
)
def test_a_job_that_hangs_is_told_from_a_worker_that_died_and_from_a_database_that_was_away(
    database: Database, up_for_s: float, passed_s: float, expected: str
) -> None:
    settle(database)
    make_frame(database, 2)
    plan(database)
    machines.began(database, "small")
    (job,) = granted(database, ["small"])[:1]
    with database.session_scope() as session:
        old = {"heartbeat_utc": now_utc(-31.0), "granted_utc": now_utc(-40.0)}
        session.execute(update(RunningJob).where(RunningJob.job_id == job.job_id).values(**old))
        session.execute(update(Machine).values(up_since_utc=now_utc(-up_for_s)))
        session.execute(update(DaemonTools).values(last_grants_utc=now_utc(-passed_s)))
    machines.seen(database, "small")
    jobs.rescue(database)
    (event,) = database.query(JobEvent, event="retry", job_id=job.job_id)
    assert str(event.message).startswith(expected)
    assert [f.job_id for f in database.query(MachineFailure)] == ([job.job_id] if expected == "MachineLost" else [])


def test_a_machine_is_avoided_only_as_long_as_another_could_take_the_job() -> None:
    def shelves(**closed: str) -> list[Shelf]:
        return [Shelf(n, (4.0, 4.0, 4.0), [4.0, 4.0, 4.0], closed.get(n, "")) for n in ("a", "b")]

    ask = Ask(1, (1.0, 1.0, 1.0), avoids=frozenset({"a"}))
    assert pack([ask], shelves(), reserve_after_s=600).given == [(1, "b")]
    assert pack([ask], shelves(b="draining"), reserve_after_s=600).given == [(1, "a")]
    full = shelves()
    full[1].take((4.0, 4.0, 4.0), None)
    other = Ask(2, (1.0, 1.0, 1.0))
    assert pack([ask, other], full, reserve_after_s=600).given == [(2, "a")], "it waits for the other"
