"""What a grant pass gives, and what it says of those that wait: limits, space, turns, room that is kept, lost leases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from frames_made import FRAME, make_frame, plan, start
from sqlalchemy import text, update

from satdaemon.db import DaemonTools, Database, File, Frame, PendingJob, RunningJob, jobs, runs, summary
from satdaemon.db import daemon as daemon_row
from satdaemon.db.clock import now_utc
from satdaemon.db.jobs import budgets, candidates
from satdaemon.domain import StageResult, Usage

RESULT = StageResult((), processor="test", processor_version="1")


def set_stage(db: Database, stage: str, **values: object) -> None:
    section = getattr(db.settings, stage).model_copy(update=values)
    db.settings = db.settings.model_copy(update={stage: section})


def reasons(db: Database, frame_id: str = FRAME) -> Counter[tuple[str, str]]:
    """State and reason of the rows that are not done, by the ledger."""
    report = summary.frame_report(db, frame_id)
    return Counter((row.state.value, row.reason) for row in report if row.stage == "download" and row.state != "running")


def end_one(db: Database) -> None:
    live = db.query(RunningJob)[0]
    assert start(db, live.job_id, live.attempt)
    assert jobs.finish(db, live.job_id, live.attempt, RESULT, Usage(), None)


@contextmanager
def free_disk(monkeypatch: pytest.MonkeyPatch, gb: float) -> Iterator[None]:
    """The disk of the products has so much room: a test cannot fill a real one."""
    with monkeypatch.context() as patch:
        usage = type("Usage", (), {"free": gb * 1e9})
        patch.setattr(budgets.shutil, "disk_usage", lambda place: usage)
        yield


def test_a_stage_has_no_more_jobs_at_once_than_it_may_and_the_others_say_so(database: Database) -> None:
    set_stage(database, "download", at_once=2)
    make_frame(database, 6)
    plan(database)
    assert len(jobs.grant_pass(database)) == 2 and jobs.grant_pass(database) == []
    ((state, reason), count) = reasons(database).popitem()
    assert (state, count) == ("ready", 4) and "no more at once ([DOWNLOAD] at_once)" in reason
    set_stage(database, "download", at_once=0)
    assert len(jobs.grant_pass(database)) == 4
    assert {j.waits_for for j in database.query(PendingJob)} <= {None}


def test_an_archive_has_no_more_sessions_than_it_may_over_all_frames(database: Database) -> None:
    set_stage(database, "download", archive_sessions=("cdse 1", "local 2"), disk=5.0)
    days = make_frame(database, 6)
    for day in days[:3]:
        url = "https://zipper.dataspace.copernicus.eu/odata/v1/Products(1)/$value"
        database.update(File, {"state": "remote", "url": url}, date=day)
    make_frame(database, 6, frame_id="132A_OTHER")
    plan(database)
    jobs.grant_pass(database)
    assert Counter(j.archive for j in database.query(RunningJob)) == {"cdse": 1, "local": 2}
    waiting = {j.waits_for for j in database.query(PendingJob)}
    assert len(waiting) == 2 and all("[DOWNLOAD] archive_sessions" in str(why) for why in waiting)


def test_jobs_wait_for_disk_space_and_say_how_much(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    set_stage(database, "download", space_gb=0.5, disk=5.0)  # six bursts: 3 GB a job
    make_frame(database, 6)
    plan(database)
    with free_disk(monkeypatch, 8.9):  # 2 GB are left alone: two jobs fit
        assert len(jobs.grant_pass(database)) == 2
        ((state, reason), count) = reasons(database).popitem()
        place = database.settings.parameters.data_path
        assert (state, count) == ("blocked", 4) and f"no space: needs 3 GB on {place}, 0.9 GB are free" in reason
        live = database.query(RunningJob)[0]
        jobs.start(database, live.job_id, 1, pid=1, host="x", log_path=None)
        jobs.beat(database, live.job_id, live.attempt, progress=0.8)  # of what it writes, so much is on the disk already
        assert len(jobs.grant_pass(database)) == 1
    assert len(jobs.grant_pass(database)) == 3, "there is room again"
    assert database.query(PendingJob) == []


def test_space_of_downloads_and_of_products_is_one_where_it_is_one_disk(database: Database) -> None:
    volumes = budgets.volumes(database.settings)
    assert len(set(volume.name for volume in volumes.values())) == 1
    assert all(volume.free_gb > 0 for volume in volumes.values())


def test_frames_of_equal_priority_take_turns_and_a_higher_one_goes_first(database: Database) -> None:
    set_stage(database, "download", disk=25.0)
    for frame in ("132A_A", "132A_B", "132A_C"):
        make_frame(database, 8, frame_id=frame)
    database.update(Frame, {"priority": 9}, id="132A_C")
    plan(database)
    database.update(PendingJob, {"priority": 9}, frame_id="132A_C")
    jobs.grant_pass(database)
    assert Counter(j.frame_id for j in database.query(RunningJob)) == {"132A_C": 6}
    for _ in range(6):
        end_one(database)
    jobs.grant_pass(database)
    assert Counter(j.frame_id for j in database.query(RunningJob)) == {"132A_A": 2, "132A_B": 2, "132A_C": 2}


def test_a_job_that_was_passed_over_long_gets_a_machine_kept_free(database: Database) -> None:
    make_frame(database, 12)
    plan(database)
    big = min(j.job_id for j in database.query(PendingJob))
    jobs.grant_pass(database)
    if database.query(RunningJob, job_id=big):
        big = min(j.job_id for j in database.query(PendingJob))
    database.update(PendingJob, {"memory_gb": 15.0}, job_id=big)
    end_one(database)
    jobs.grant_pass(database)
    (job,) = database.query(PendingJob, job_id=big)
    assert job.passed_over_utc is not None
    with database.session_scope() as session:
        session.execute(update(PendingJob).where(PendingJob.job_id == big).values(passed_over_utc=now_utc(-700)))
    for _ in range(20):
        jobs.grant_pass(database)
        if database.query(RunningJob, job_id=big):
            break
        (job,) = database.query(PendingJob, job_id=big)
        assert job.waits_for == "waits for room on large, which is kept free for it"
        end_one(database)
    (live,) = database.query(RunningJob, machine="large")
    assert live.job_id == big


def test_a_lost_lease_is_free_again_with_the_next_pass(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    lost = {g.job_id: g.attempt for g in jobs.grant_pass(database)}
    with database.session_scope() as session:
        session.execute(update(RunningJob).values(heartbeat_utc=now_utc(-1000)))
    again = {g.job_id: g.attempt for g in jobs.grant_pass(database)}
    assert again == {job_id: attempt + 1 for job_id, attempt in lost.items()}


def test_a_pass_serves_all_and_need_not_be_done_again_at_once(database: Database) -> None:
    make_frame(database, 12)
    plan(database)
    assert jobs.grant_pass(database, unless_within_s=600)
    end_one(database)
    assert jobs.grant_pass(database, unless_within_s=600) == []
    with database.session_scope() as session:
        session.execute(update(DaemonTools).values(last_grants_utc=now_utc(-700)))
    assert jobs.grant_pass(database, unless_within_s=600)


def test_of_each_frame_only_what_its_flow_run_attends_to_is_looked_at(database: Database) -> None:
    parameters = database.settings.parameters.model_copy(update={"frame_concurrency": 3})
    database.settings = database.settings.model_copy(update={"parameters": parameters})
    make_frame(database, 8)
    make_frame(database, 8, frame_id="132A_OTHER")
    plan(database)
    runs.release_frame(database, "132A_OTHER", "the test")
    make_frame(database, 8, frame_id="132A_THIRD")
    plan(database)
    with database.read_scope() as session:
        found = candidates.candidates(database, session)
    assert Counter(c.frame_id for c in found) == {FRAME: 3, "132A_THIRD": 3}
    assert [c.job_id for c in found] == sorted(c.job_id for c in found)


def test_a_paused_daemon_says_so(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    with database.session_scope() as session:
        daemon_row.command(session, "pause", who="ada")
    assert reasons(database) == {("ready", "the daemon is paused"): 4}
    with database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM pending_jobs")).scalar() == 4
