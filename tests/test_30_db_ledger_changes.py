"""What changed is written down whoever writes, and taken away only by the plan that has looked at it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from frames_made import FRAME, add_file, bursts, make_frame, plan, run_all
from sqlalchemy import text, update

from satdaemon.db import Database, Frame, Ifg, PendingJob, RunningJob, changes, jobs, planning
from satdaemon.db.changes import Changes
from satdaemon.db.clock import now_utc
from satdaemon.db.models import FrameChange
from satdaemon.db.queueing import Queueing
from satdaemon.status import ProcStatus

WRITES = {
    "master": "UPDATE master SET reason = 'x'",
    "ifg": "UPDATE ifg SET proc_status = 4 WHERE date = (SELECT min(date) FROM ifg)",
    "rsar_ifg": "DELETE FROM rsar_ifg",
    "frames": "UPDATE frames SET priority = 3",
    "frames2files": "UPDATE frames2files SET valid = 0",
    "frames2bursts": "DELETE FROM frames2bursts",
    "pending_jobs": "DELETE FROM pending_jobs",
    "running_jobs": "DELETE FROM running_jobs",
    "products": "UPDATE products SET fingerprint = 'x'",
}


def write(db: Database, sql: str) -> None:
    with db.session_scope() as session:
        session.execute(text(sql))


def settle(db: Database) -> None:
    """Plan until a plan leaves nothing to look at."""
    for _ in range(5):
        plan(db)
        if not planning.is_due(db):
            return
    raise AssertionError("plans go on changing frames")


@pytest.mark.parametrize("table", sorted(WRITES))
def test_a_write_of_any_program_to_any_table_that_matters_is_seen(database: Database, table: str) -> None:
    make_frame(database, 4)
    if table == "products":
        run_all(database, product=True)
    settle(database)
    if table == "running_jobs":
        assert jobs.grant_pass(database)
        settle(database)
    write(database, WRITES[table])
    assert {(c.frame_id, c.what) for c in database.query(FrameChange)} >= {(FRAME, table)}
    assert plan(database).frames == 1


def test_beats_progress_and_notes_are_no_change(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    (grant, *_) = jobs.grant_pass(database)
    settle(database)
    jobs.beat(database, grant.job_id, grant.attempt, progress=0.5)
    database.update(Frame, {"notes": "dark"}, id=FRAME)
    write(database, "UPDATE files SET checksum = 'x'")
    assert database.query(FrameChange) == [] and plan(database).frames == 0


def test_only_the_frames_that_changed_are_looked_at(database: Database) -> None:
    for name in ("132A_ONE", "132A_TWO", "132A_THREE"):
        make_frame(database, 3, frame_id=name)
    assert plan(database).frames == 3
    database.update(Ifg, {"reason": "looked at"}, frame_id="132A_TWO")
    done = plan(database)
    assert (done.frames, done.ready, done.everything) == (1, 3, False)
    database.delete(PendingJob, frame_id="132A_ONE")
    assert (plan(database, ["132A_TWO"]).added, plan(database).added) == (0, 3)
    assert plan(database, everything=True).frames == 3


def test_what_is_written_while_a_plan_looks_is_left_to_the_next(database: Database) -> None:
    make_frame(database, 4)
    with database.read_scope() as session:
        seen = changes.look(session)
    assert seen.frames == [FRAME]
    database.update(Frame, {"priority": 3}, id=FRAME)
    with database.session_scope() as session:
        changes.take(session, seen.ids())
    assert [c.what for c in database.query(FrameChange)] == ["frames"]
    assert Changes({"a": [1], "b": [2, 3]}).ids(["b", "c"]) == [2, 3]


def test_a_plan_that_fails_takes_nothing_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    make_frame(database, 4)

    def fails(_self: Queueing) -> None:
        raise OSError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(Queueing, "run", fails)
        with pytest.raises(OSError, match="no luck"):
            plan(database)
    assert database.query(FrameChange)
    assert plan(database).added == 4


def test_a_row_whose_job_was_deleted_waits_again_and_is_queued_again(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    granted = jobs.grant_pass(database)
    write(database, "DELETE FROM running_jobs")
    settle(database)
    assert {row.status for row in database.query(Ifg)} == {ProcStatus.WAITING}
    assert len(database.query(PendingJob)) == 4 and granted and database.query(RunningJob) == []


def test_every_frame_is_due_at_first_after_an_hour_and_when_programs_change(database: Database) -> None:
    from satdaemon.db import DaemonTools
    from satdaemon.status import Stage

    programs = {stage: ("builtin", "1") for stage in Stage}
    make_frame(database, 3)
    assert planning.everything_is_due(database, programs)
    assert planning.plan(database, everything=True, processors=programs).everything
    assert not planning.everything_is_due(database, programs)
    assert planning.everything_is_due(database, {**programs, Stage.SLC: ("builtin", "2")})
    with database.session_scope() as session:
        session.execute(update(DaemonTools).values(everything_utc=now_utc(-planning.EVERYTHING_S - 1)))
    assert planning.everything_is_due(database, programs)


def test_a_new_file_reaches_the_queue_through_its_frame(database: Database) -> None:
    from datetime import UTC, datetime, timedelta

    dates = make_frame(database, 3)
    settle(database)
    day = dates[-1] + timedelta(days=12)
    add_file(database, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), bursts())
    database.update_procdates(FRAME)
    assert plan(database).added == 1
    assert day in {job.date1 for job in database.query(PendingJob)}


def test_looking_at_the_dates_of_a_frame_that_stands_wakes_no_plan(database: Database) -> None:
    make_frame(database, 4)
    settle(database)
    database.update_procdates(FRAME)
    assert [c.what for c in database.query(FrameChange) if c.what == "frames"] == []


def test_a_pair_that_a_rule_left_out_and_that_stays_out_is_not_looked_at_for_ever(database: Database) -> None:
    make_frame(database, 5)
    settle(database)
    last = max(row.date for row in database.query(Ifg))
    with database.session_scope() as session:
        session.execute(update(Ifg).where(Ifg.date == last).values(proc_status=int(ProcStatus.EXCLUDED), automatic=False))
    settle(database)
    with database.session_scope() as session:
        session.execute(update(Frame).values(end_date=last - timedelta(days=1)))
        session.execute(update(Ifg).where(Ifg.date == last).values(proc_status=int(ProcStatus.WAITING)))
    settle(database)
