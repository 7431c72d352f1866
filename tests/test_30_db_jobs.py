"""What becomes of jobs: fence, retries, waiting, exclusion, loss, cancel, packing."""

from __future__ import annotations

from datetime import date

import pytest
from frames_made import FRAME, ifg, make_frame, master_date, plan, run_all, start
from sqlalchemy import text, update

from satdaemon.db import Database, FailedJob, JobEvent, PendingJob, RunningJob, jobs, machines, runs, summary
from satdaemon.db import daemon as daemon_row
from satdaemon.db.clock import now_utc
from satdaemon.db.jobs.grant import Grant
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import (
    Cancelled,
    DataError,
    DiskFull,
    Disposition,
    LeaseLost,
    NotReady,
    NotUsable,
    OutOfMemory,
    RequestError,
    TransientError,
)
from satdaemon.status import ProcStatus, Stage

RESULT = StageResult((), processor="test", processor_version="1")


def begin(db: Database, day: date | None = None) -> Grant:
    """Plan, grant all that fits, and start the job of one date (default: the first granted secondary's)."""
    plan(db)
    grants = [g for g in jobs.grant_pass(db) if g.job.kind == "ifg" and day in (None, g.job.date1)]
    assert start(db, grants[0].job_id, grants[0].attempt)
    return grants[0]


def fail(db: Database, grant: Grant, error: BaseException) -> jobs.Outcome:
    return jobs.fail(db, grant.job_id, grant.attempt, Failure.from_exception(error), Usage(2.0, 1.0, 0.5))


def make_silent(db: Database, job_id: int, seconds: float = 1000.0) -> None:
    """A job whose last beat was long ago."""
    with db.session_scope() as session:
        session.execute(update(RunningJob).where(RunningJob.job_id == job_id).values(heartbeat_utc=now_utc(-seconds)))


def again(db: Database, grant: Grant) -> Grant:
    """The same job, granted once more."""
    (found,) = [g for g in jobs.grant_pass(db) if g.job_id == grant.job_id]
    assert start(db, found.job_id, found.attempt)
    return found


def test_a_grant_moves_job_row_and_event_together(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    (job,) = database.query(RunningJob, job_id=grant.job_id)
    assert (job.machine, job.attempt, job.tries) == (grant.machine, 1, 0)
    assert database.query(PendingJob, job_id=grant.job_id) == []
    assert ifg(database, grant.job.date1).status is ProcStatus.RUNNING
    assert [e.event for e in database.query(JobEvent, job_id=grant.job_id)] == ["granted", "started"]
    assert jobs.states(database, [grant.job_id, 10**6])[grant.job_id].status == "running"
    assert jobs.states(database, [10**6])[10**6].status == "gone"


def test_a_job_starts_once(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    assert not start(database, grant.job_id, grant.attempt)
    assert not start(database, grant.job_id, grant.attempt + 1)


def test_beats_carry_progress_and_bring_orders(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    assert jobs.beat(database, grant.job_id, 1, progress=0.5, message="half") is jobs.Orders.CONTINUE
    assert jobs.beat(database, grant.job_id, 1, progress=7.0) is jobs.Orders.CONTINUE
    (job,) = database.query(RunningJob, job_id=grant.job_id)
    assert (job.progress, job.message) == (1.0, "half")
    assert jobs.orders(database, grant.job_id, 2) is jobs.beat(database, grant.job_id, 2) is jobs.Orders.LOST
    jobs.cancel(database, job_id=grant.job_id, who="me", reason="too long")
    assert jobs.orders(database, grant.job_id, 1) is jobs.beat(database, grant.job_id, 1) is jobs.Orders.CANCEL


def test_a_late_finish_is_refused_and_changes_nothing(database: Database) -> None:
    make_frame(database, 4)
    first = begin(database)
    make_silent(database, first.job_id)
    assert jobs.rescue(database) == [first.job_id]
    second = again(database, first)
    assert second.attempt == first.attempt + 1
    called: list[int] = []
    late = jobs.finish(database, first.job_id, first.attempt, RESULT, Usage(), None, publish=lambda: called.append(1))
    assert late is False and called == []
    assert fail(database, first, DataError("late")).kind == "discarded"
    assert ifg(database, first.job.date1).status is ProcStatus.RUNNING
    assert jobs.finish(database, second.job_id, second.attempt, RESULT, Usage(), None)
    assert ifg(database, first.job.date1).status is ProcStatus.DONE


def test_a_finish_asked_twice_is_true_twice(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    for _ in range(2):
        assert jobs.finish(database, grant.job_id, grant.attempt, RESULT, Usage(), None)
    assert len(database.query(JobEvent, job_id=grant.job_id, event="finished")) == 1


def test_a_publish_that_fails_undoes_the_finish(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)

    def publish() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        jobs.finish(database, grant.job_id, grant.attempt, RESULT, Usage(), None, publish=publish)
    assert ifg(database, grant.job.date1).status is ProcStatus.RUNNING
    assert jobs.finish(database, grant.job_id, grant.attempt, RESULT, Usage(), None, publish=lambda: None)


def test_warnings_make_it_done_with_warnings(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    warned = StageResult((), warnings=("a bit dark",), processor="test", processor_version="1")
    assert jobs.finish(database, grant.job_id, grant.attempt, warned, Usage(), None)
    row = ifg(database, grant.job.date1)
    assert (row.status, row.reason) == (ProcStatus.DONE_WITH_WARNINGS, "a bit dark")


def test_errors_that_may_pass_are_tried_again_and_then_fail(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    for number in (1, 2):
        outcome = fail(database, grant, TransientError("network"))
        assert (outcome.kind, ifg(database, grant.job.date1).status) == ("retry", ProcStatus.WAITING)
        (job,) = database.query(PendingJob, job_id=grant.job_id)
        assert (job.tries, job.attempt) == (number, number)
        grant = again(database, grant)
    assert fail(database, grant, TransientError("network")).kind == "failed"
    row = ifg(database, grant.job.date1)
    assert (row.status, row.reason) == (ProcStatus.FAILED, "TransientError: network")
    (failed,) = database.query(FailedJob)
    assert (failed.job_id, failed.attempt, failed.tries, failed.message) == (grant.job_id, 3, 3, "network")
    assert (failed.stage, failed.error_class, failed.wall_s) == ("download", "TransientError", 2.0)
    assert "TransientError: network" in str(failed.traceback)


def test_the_delay_between_tries_grows_and_has_a_cap(database: Database) -> None:
    parameters = database.settings.parameters.model_copy(update={"retry_first_s": 100.0, "retry_most_s": 150.0})
    database.settings = database.settings.model_copy(update={"parameters": parameters})
    make_frame(database, 4)
    grant = begin(database)
    delays = []
    for _ in range(2):
        outcome = fail(database, grant, TransientError("network"))
        with database.read_scope() as session:
            now = session.execute(text("SELECT 1")).scalar() and session.scalar(now_utc().select())
        assert outcome.not_before is not None and now is not None
        delays.append((outcome.not_before - now).total_seconds())
        assert jobs.grant_pass(database) == []
        jobs.retry(database, job_id=grant.job_id, who="me")
        grant = again(database, grant)
    assert 74 < delays[0] < 126 and 111 < delays[1] < 188


def test_a_bug_or_bad_data_fails_at_once_and_a_retry_brings_it_back_under_its_id(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    assert fail(database, grant, ValueError("a bug")).kind == "failed"
    plan(database)
    assert database.query(PendingJob, job_id=grant.job_id) == []
    assert jobs.states(database, [grant.job_id])[grant.job_id].status == "failed"
    assert jobs.retry(database, job_id=grant.job_id, who="me") == 1
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert (job.tries, job.attempt, ifg(database, grant.job.date1).status) == (0, 1, ProcStatus.WAITING)
    assert database.query(FailedJob) == []
    assert again(database, grant).attempt == 2


def test_waiting_costs_no_try_and_holds_nothing_up(database: Database) -> None:
    dates = make_frame(database, 6)
    late = next(d for d in reversed(dates) if d != master_date(database))
    grant = begin(database, late)
    outcome = fail(database, grant, NotReady("no orbit yet", retry_after_s=3600))
    assert outcome.kind == "waiting"
    row = ifg(database, late)
    assert (row.status, row.waiting_for) == (ProcStatus.WAITING, "no orbit yet")
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert (job.tries, job.reason) == (0, "no orbit yet")
    for live in database.query(RunningJob):
        assert start(database, live.job_id, live.attempt)
        assert jobs.finish(database, live.job_id, live.attempt, RESULT, Usage(), None)
    titles = run_all(database)
    assert f"ingest {FRAME}" in titles
    assert not any(f"{late:%Y%m%d}" in t for t in titles)
    (entry,) = [r for r in summary.frame_report(database, FRAME) if r.kind == "ifg" and r.date1 == late]
    assert entry.state == "blocked" and "no orbit yet; again after 20" in entry.reason
    assert jobs.retry(database, frame_id=FRAME, who="me") == 1
    assert run_all(database)[0] == f"download {FRAME} {late:%Y%m%d}"


def test_a_full_disk_costs_no_try_and_is_asked_about_ever_more_rarely(database: Database) -> None:
    parameters = database.settings.parameters.model_copy(update={"retry_first_s": 100.0, "retry_most_s": 350.0})
    database.settings = database.settings.model_copy(update={"parameters": parameters})
    make_frame(database, 4)
    grant = begin(database)
    for most_s in (125.0, 250.0, 437.5, 437.5):
        assert fail(database, grant, DiskFull("no space left")).kind == "waiting"
        assert ifg(database, grant.job.date1).waiting_for is None, "it holds up what needs it"
        (job,) = database.query(PendingJob, job_id=grant.job_id)
        assert job.tries == 0
        assert 0.59 * most_s < jobs.states(database, [grant.job_id])[grant.job_id].wait_s < most_s
        jobs.retry(database, job_id=grant.job_id, who="me")
        assert jobs.states(database, [grant.job_id])[grant.job_id].wait_s == 0.0
        grant = again(database, grant)


def test_an_interruption_goes_back_at_once(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    outcome = fail(database, grant, NotReady("the flow run was cancelled", retry_after_s=0))
    assert outcome.kind == "waiting" and ifg(database, grant.job.date1).waiting_for is None
    assert again(database, grant).attempt == 2


def test_a_job_given_back_for_a_while_is_owed_and_holds_its_frame_up(database: Database) -> None:
    dates = make_frame(database, 6)
    late = next(d for d in reversed(dates) if d != master_date(database))
    grant = begin(database, late)
    given_back = Failure("MachineLost", "its body never began", "", Disposition.WAIT, retry_after_s=3600)
    assert jobs.fail(database, grant.job_id, grant.attempt, given_back, Usage()).kind == "waiting"
    assert ifg(database, late).waiting_for is None
    for live in database.query(RunningJob):
        assert start(database, live.job_id, live.attempt)
        assert jobs.finish(database, live.job_id, live.attempt, RESULT, Usage(), None)
    assert f"coherence {FRAME}" not in run_all(database), "the siblings want the whole initial stack"
    assert jobs.retry(database, frame_id=FRAME, who="me") == 1
    assert f"ingest {FRAME}" in run_all(database)


def test_out_of_memory_asks_for_more_up_to_what_there_is(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    fail(database, grant, OutOfMemory("9 GB"))
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert job.memory_gb == 3.0
    with database.session_scope() as session:
        session.execute(update(PendingJob).where(PendingJob.job_id == grant.job_id).values(memory_gb=11.0))
    fail(database, again(database, grant), OutOfMemory("11 GB"))
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert job.memory_gb == 16.0


def test_not_usable_excludes_the_date_and_its_pairs(database: Database) -> None:
    make_frame(database, 6)
    grant = begin(database)
    assert fail(database, grant, NotUsable("ESA disclaimer")).kind == "excluded"
    row = ifg(database, grant.job.date1)
    assert (row.status, row.reason, row.automatic) == (ProcStatus.EXCLUDED, "ESA disclaimer", False)
    database.update_procdates(FRAME)
    assert ifg(database, grant.job.date1).status is ProcStatus.EXCLUDED


def test_a_lost_lease_goes_back_and_fails_when_its_tries_are_used_up(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    for number in range(1, 4):
        make_silent(database, grant.job_id)
        report = plan(database)
        assert report.rescued == 1
        if number < 3:
            grant = again(database, grant)
    (failed,) = database.query(FailedJob)
    assert failed.error_class == "WorkerLost" and "not been heard of" in str(failed.message)
    assert jobs.rescue(database) == []


def test_a_grant_that_never_begins_loses_its_lease_but_no_try(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    grants = jobs.grant_pass(database)
    for grant in grants:
        make_silent(database, grant.job_id)
    assert jobs.rescue(database) == [g.job_id for g in grants]
    assert {(j.tries, j.attempt) for j in database.query(PendingJob, job_id=[g.job_id for g in grants])} == {(0, 1)}


def test_a_row_running_without_a_job_waits_again(database: Database) -> None:
    make_frame(database, 4)
    with database.session_scope() as session:
        session.execute(text("UPDATE ifg SET proc_status = 1"))
    assert plan(database).ready == 4


def test_a_cancelled_job_is_held_until_it_is_retried(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    assert jobs.cancel(database, job_id=grant.job_id, who="ada", reason="wrong DEM") == 1
    assert fail(database, grant, Cancelled("asked to stop")).kind == "discarded"
    plan(database)
    assert jobs.grant_pass(database) == [] or grant.job_id not in {g.job_id for g in jobs.grant_pass(database)}
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert (job.held, job.reason) == (True, "cancelled by ada: wrong DEM")
    assert jobs.states(database, [grant.job_id])[grant.job_id].held
    (entry,) = [r for r in summary.frame_report(database, FRAME) if r.job_id == grant.job_id]
    assert (entry.state, entry.reason) == ("blocked", "cancelled by ada: wrong DEM")
    assert jobs.retry(database, job_id=grant.job_id, who="ada") == 1
    assert again(database, grant).attempt == 2


def test_a_power_down_empties_the_queue_and_leaves_what_runs(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    running = len(jobs.grant_pass(database))
    with database.session_scope() as session:
        daemon_row.command(session, "power_down", who="ada")
    assert jobs.cancel(database, who="ada", hold=False, running=False) == 4 - running
    assert database.query(PendingJob) == [] and len(database.query(RunningJob)) == running
    assert jobs.grant_pass(database) == []
    assert not daemon_row.read(database).grants


def test_a_cancelled_job_whose_worker_is_gone_is_held_too(database: Database) -> None:
    make_frame(database, 4)
    grant = begin(database)
    jobs.cancel(database, job_id=grant.job_id, who="ada")
    make_silent(database, grant.job_id)
    jobs.rescue(database)
    (job,) = database.query(PendingJob, job_id=grant.job_id)
    assert job.held


def test_nothing_is_granted_to_machines_that_are_not_to_work(database: Database) -> None:
    make_frame(database, 6)
    plan(database)
    machines.set_state(database, "large", "draining", who="ada", reason="new disk")
    machines.gone(database, "small")
    assert jobs.grant_pass(database) == []
    reasons = {job.waits_for for job in database.query(PendingJob)}
    assert len(reasons) == 1 and "large (draining), small (not heard of) could hold it" in str(reasons.pop())
    machines.seen(database, "small")
    assert {g.machine for g in jobs.grant_pass(database)} == {"small"}


def test_a_job_that_fits_no_machine_says_so(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    first = min(j.job_id for j in database.query(PendingJob))
    database.update(PendingJob, {"memory_gb": 64.0}, job_id=first)
    assert first not in {g.job_id for g in jobs.grant_pass(database)}
    (job,) = database.query(PendingJob, job_id=first)
    assert job.waits_for == (
        "needs 1 CPU cores, 64 GB of memory, 25 units of disk: no machine is so large "
        "(the largest, large, has 4 CPU cores, 16 GB of memory, 100 units of disk)"
    )


def test_only_claimed_frames_get_machines(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    assert jobs.frames_to_start(database) == []
    assert runs.holder(database, FRAME) == "the test" and runs.live(database) == {FRAME: "the test"}
    assert not runs.claim_frame(database, FRAME, "another")
    assert not runs.release_frame(database, FRAME, "another")
    assert runs.release_frame(database, FRAME, "the test")
    assert jobs.grant_pass(database) == []
    assert jobs.frames_to_start(database) == [FRAME]
    assert runs.claim_frame(database, FRAME, "another")
    assert not runs.beat_frame(database, FRAME, "the test")
    assert jobs.grant_pass(database)
    with pytest.raises(RequestError, match="expected a frame"):
        runs.claim_frame(database, "999A_NONE", "x")


def test_no_machine_is_given_more_than_it_has(database: Database) -> None:
    make_frame(database, 12)
    plan(database)
    while jobs.grant_pass(database):
        pass
    used: dict[str, list[float]] = {}
    for job in database.query(RunningJob):
        amounts = used.setdefault(job.machine, [0.0, 0.0, 0.0])
        for place, amount in enumerate((job.cpu, job.memory_gb, job.disk)):
            amounts[place] += amount
    assert used == {"small": [2.0, 4.0, 50.0], "large": [4.0, 8.0, 100.0]}


def test_the_first_stages_of_frames_go_by_priority_then_age(database: Database) -> None:
    make_frame(database, 4)
    make_frame(database, 4, frame_id="132A_LATER")
    plan(database)
    first = [job.frame_id for job in sorted(database.query(PendingJob), key=lambda j: j.job_id)]
    assert first == [FRAME] * 4 + ["132A_LATER"] * 4
    database.update(PendingJob, {"priority": 5}, frame_id="132A_LATER")
    assert [g.job.frame_id for g in jobs.grant_pass(database)] == ["132A_LATER"] * 4 + [FRAME] * 2


def test_stage_input_needs_the_lease(database: Database) -> None:
    from satdaemon.db import inputs

    make_frame(database, 4)
    grant = begin(database)
    with pytest.raises(LeaseLost):
        inputs.stage_input(database, grant.job_id, 99, database.settings.parameters.processing_path)
    given = inputs.stage_input(database, grant.job_id, 1, database.settings.parameters.processing_path / "o")
    assert (given.stage, given.date1, len(given.frame.bursts), len(given.scenes)) == (Stage.DOWNLOAD, grant.job.date1, 6, 1)
    assert given.settings["min_coverage"] == 0.8 and "archives" in given.settings and "cpu" not in given.settings
