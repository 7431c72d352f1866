"""Many rows moved at once: what is legal is done, what is not is told."""

from __future__ import annotations

import pytest
from frames_made import FRAME, make_frame, start
from sqlalchemy import text

from satdaemon.db import Database, FailedJob, Frame, Ifg, JobEvent, PendingJob, jobs
from satdaemon.db.bulk import Move, set_statuses
from satdaemon.db.planning import plan
from satdaemon.domain import Failure, Usage
from satdaemon.errors import DataError, RequestError
from satdaemon.status import LEGAL_MOVES, ProcStatus, RowKind


def test_every_move_is_done_or_told_as_the_table_of_moves_says(database: Database) -> None:
    make_frame(database, 50)
    rows = database.query(Ifg)
    wanted = [(old, new) for old in ProcStatus for new in ProcStatus]
    assert len(rows) >= len(wanted)
    with database.session_scope() as session:
        for row, (old, _) in zip(rows, wanted, strict=False):
            session.execute(text("UPDATE ifg SET proc_status = :s WHERE id = :i"), {"s": int(old), "i": row.id})
    moves = [Move(row.id, new, reason="a\\b\tc\n'd'") for row, (_, new) in zip(rows, wanted, strict=False)]
    done = set_statuses(database, RowKind.IFG, moves)
    legal = {(o, n) for o, n in wanted if n in LEGAL_MOVES[o] and ProcStatus.RUNNING not in (o, n)}
    after = {row.id: row for row in database.query(Ifg)}
    for row, (old, new) in zip(rows, wanted, strict=False):
        assert after[row.id].status is (new if (old, new) in legal else old)
        assert after[row.id].reason == ("a\\b\tc\n'd'" if (old, new) in legal else None)
    assert done.rows == len(legal)
    assert {(r.status, r.wanted) for r in done.refused} == set(wanted) - legal
    assert all(r.why for r in done.refused)


def test_rows_that_a_job_holds_and_rows_that_are_not_there_stay(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    (grant, *_) = [g for g in jobs.grant_pass(database) if g.job.kind == "ifg"]
    (row,) = database.query(Ifg, date=grant.job.date1)
    done = set_statuses(database, RowKind.IFG, [Move(row.id, ProcStatus.WAITING), Move(10**9, ProcStatus.WAITING)], running=True)
    assert done.rows == 0
    assert [(r.row_id, r.status) for r in done.refused] == [(row.id, ProcStatus.RUNNING), (10**9, None)]
    assert f"running job {grant.job_id} holds it" in done.refused[0].why and "no such row" in done.refused[1].why


def test_a_row_running_without_a_job_may_be_put_back(database: Database) -> None:
    make_frame(database, 4)
    (row, *_) = database.query(Ifg)
    with database.session_scope() as session:
        session.execute(text("UPDATE ifg SET proc_status = 1 WHERE id = :i"), {"i": row.id})
    assert set_statuses(database, RowKind.IFG, [Move(row.id, ProcStatus.DONE, stage=3)]).rows == 0
    assert set_statuses(database, RowKind.IFG, [Move(row.id, ProcStatus.DONE, stage=3)], running=True).rows == 1
    (row,) = database.query(Ifg, id=row.id)
    assert (row.stage, row.status) == ("satsar", ProcStatus.DONE)


def test_failed_jobs_of_rows_that_are_failed_no_longer_are_forgotten_and_the_plan_follows(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    (grant, *_) = [g for g in jobs.grant_pass(database) if g.job.kind == "ifg"]
    assert start(database, grant.job_id, grant.attempt)
    jobs.fail(database, grant.job_id, grant.attempt, Failure.from_exception(DataError("bad")), Usage())
    (row,) = database.query(Ifg, date=grant.job.date1)
    plan(database)
    assert database.query(FailedJob) and not database.query(PendingJob, row_id=row.id, kind="ifg")
    assert set_statuses(database, RowKind.IFG, [Move(row.id, ProcStatus.STALE)]).refused[0].status is ProcStatus.FAILED
    assert database.query(FailedJob)
    done = set_statuses(database, RowKind.IFG, [Move(row.id, ProcStatus.WAITING)], who="ada", what="again")
    assert done.rows == 1 and not database.query(FailedJob)
    assert database.query(JobEvent, who="ada")[0].message == "again: 1 ifg rows"
    plan(database)
    assert len(database.query(PendingJob, row_id=row.id, kind="ifg")) == 1
    assert database.query(Frame, id=FRAME)


def test_what_makes_no_sense_is_refused_whole(database: Database) -> None:
    for moves, message in (
        ([Move(1, ProcStatus.DONE), Move(1, ProcStatus.STALE)], "each row once, got twice: 1"),
        ([Move(1, ProcStatus.DONE, stage=4)], "a stage from 1 to 3, got 4"),
        ([Move(1, ProcStatus.STALE, stale_from=0)], "a stage from 1 to 3, got 0"),
    ):
        with pytest.raises(RequestError, match=message):
            set_statuses(database, RowKind.IFG, moves)
    assert set_statuses(database, RowKind.IFG, []).rows == 0
