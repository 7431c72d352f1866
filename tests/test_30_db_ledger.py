"""The view `ledger`: every stage of every row has one state, and the planner's queue is what it says is owed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from frames_made import FRAME, make_frame, master_date, plan, run_all, start, step
from sqlalchemy import text, update

from satdaemon.db import Database, Frame, PendingJob, RsarIfg, jobs, ledger, machines, runs, summary
from satdaemon.db.clock import now_utc
from satdaemon.db.frame_overview import overviews
from satdaemon.db.ledger import Entry
from satdaemon.db.models import MODEL_OF, stage_id
from satdaemon.domain import Failure, Usage
from satdaemon.errors import DataError, NotUsable, RequestError
from satdaemon.status import STAGES_OF, LedgerState, ProcStatus, RowKind, Stage

S = LedgerState
WAITING = {S.READY, S.BLOCKED, S.OFF}


def by_stage(db: Database, kind: RowKind, row_id: int) -> dict[Stage, Entry]:
    return {e.stage: e for e in ledger.entries(db, FRAME, kind=kind) if e.row_id == row_id}


def write(db: Database, sql: str, **values: Any) -> None:
    with db.session_scope() as session:
        session.execute(text(sql), values)


def expected(kind: RowKind, at: int, status: ProcStatus, stage: int) -> set[LedgerState]:
    """What a stage of a row may be that nothing is queued for, told in another way than the view tells it."""
    if stage < at or (stage == at and status.is_done):
        return {S.DONE}
    if status is ProcStatus.EXCLUDED:
        return {S.EXCLUDED}
    if stage == at and status in (ProcStatus.RUNNING, ProcStatus.FAILED):
        return {S.RUNNING if status is ProcStatus.RUNNING else S.FAILED}
    if stage == at and status is ProcStatus.STALE:
        # Where nothing was made from it yet it is made again without leave.
        early = at < 3 if kind is RowKind.MASTER else at < len(STAGES_OF[kind])
        return WAITING if early or (kind is RowKind.MASTER and at > 4) else {S.STALE}
    return WAITING


def check_whole(db: Database) -> list[Entry]:
    """What holds of every ledger, whatever state a frame is in."""
    found = ledger.entries(db, FRAME)
    rows = {(kind, row.id): row for kind in RowKind for row in db.query(MODEL_OF[kind], frame_id=FRAME)}
    assert Counter((e.kind, e.row_id, e.stage) for e in found) == {(k, i, s): 1 for k, i in rows for s in STAGES_OF[k]}
    assert Counter((e.kind, e.row_id) for e in found if e.is_current) == dict.fromkeys(rows, 1)
    assert max(Counter((e.kind, e.row_id) for e in found if e.is_next).values(), default=0) <= 1
    assert all(e.reason for e in found if e.state not in (S.DONE, S.EXCLUDED, S.FAILED))
    counts = Counter((e.kind, e.stage, e.state, e.with_warnings) for e in found)
    assert counts == {(c.kind, c.stage, c.state, c.with_warnings): c.rows for c in ledger.counts(db, FRAME)}
    check_progress(db, found)
    return found


def check_progress(db: Database, found: list[Entry]) -> None:
    """What lists of frames show, told without the view, is the same."""
    told = Counter((e.stage, e.state) for e in found)
    (overview,) = overviews(db, [FRAME], counts=False)
    progress = overview.stages
    assert set(progress) == {e.stage for e in found}
    for stage, one in progress.items():
        assert one.rows == sum(told[stage, state] for state in S)
        assert (one.done, one.running, one.failed, one.excluded) == tuple(
            told[stage, state] for state in (S.DONE, S.RUNNING, S.FAILED, S.EXCLUDED)
        ), stage
        # A stale row that is to be made again is ready or blocked in the view.
        assert one.waiting + one.stale == sum(told[stage, state] for state in (S.READY, S.BLOCKED, S.OFF, S.STALE))
        assert one.stale >= told[stage, S.STALE]


def test_every_code_at_every_stage_has_its_state(database: Database) -> None:
    make_frame(database, 6)
    for kind in RowKind:
        (row, *_) = database.query(MODEL_OF[kind], frame_id=FRAME)
        for at in range(1, len(STAGES_OF[kind]) + 1):
            for status in ProcStatus:
                write(
                    database,
                    f"UPDATE {kind.value} SET proc_stage = :at, proc_status = :s, stale_from = :f, reason = 'so' WHERE id = :i",
                    at=at, s=int(status), f=at if status is ProcStatus.STALE else None, i=row.id,
                )  # fmt: skip
                entries = by_stage(database, kind, row.id)
                assert len(entries) == len(STAGES_OF[kind])
                assert [e.is_current for e in entries.values()].count(True) == 1
                for number, stage in enumerate(STAGES_OF[kind], start=1):
                    assert entries[stage].state in expected(kind, at, status, number), (kind, at, status, stage, entries[stage])
                here = entries[STAGES_OF[kind][at - 1]]
                assert here.with_warnings == (status is ProcStatus.DONE_WITH_WARNINGS)
                if status in (ProcStatus.FAILED, ProcStatus.EXCLUDED, ProcStatus.DONE_WITH_WARNINGS):
                    assert here.reason == "so"
        check_whole(database)


def test_the_queue_is_what_is_owed_all_along_the_chain(database: Database) -> None:
    make_frame(database, 6)
    for _ in range(100):
        plan(database, [FRAME])
        owed = {(e.kind, e.row_id, e.stage) for e in check_whole(database) if e.state is S.READY}
        assert owed == {(j.kind, j.row_id, j.stage) for j in database.query(PendingJob)}
        if not step(database):
            break
    assert {c.state for c in ledger.counts(database)} == {S.DONE}
    assert [e.with_warnings for e in ledger.entries(database, FRAME, stage=Stage.INGEST)] == [True]


def test_reasons_say_by_what_and_where(database: Database) -> None:
    dates = make_frame(database, 6)
    plan(database)
    runs.release_frame(database, FRAME, "the test")
    download = ledger.entries(database, FRAME, stage=Stage.DOWNLOAD)
    assert {(e.state, e.reason) for e in download} == {(S.READY, "waits for a flow run of the frame")}
    later = ledger.entries(database, FRAME, kind=RowKind.IFG, stage=Stage.SATSAR)
    assert {(e.state, e.reason) for e in later} == {(S.BLOCKED, "waits for its download (waiting)")}
    runs.claim_frame(database, FRAME, "the test")
    (grant, failing, excluded, *_) = [g for g in jobs.grant_pass(database) if g.job.kind == "ifg"]
    for one in (grant, failing, excluded):
        assert start(database, one.job_id, one.attempt)
    jobs.beat(database, grant.job_id, grant.attempt, progress=0.25, message="half a scene")
    for one, error in ((failing, DataError("torn")), (excluded, NotUsable("too dark"))):
        jobs.fail(database, one.job_id, one.attempt, Failure.from_exception(error), Usage())
    now = {e.date1: e for e in ledger.entries(database, FRAME, stage=Stage.DOWNLOAD)}
    running = now[grant.job.date1]
    assert (running.state, running.reason, running.progress) == (S.RUNNING, f"on {grant.machine}: half a scene", 0.25)
    assert (now[failing.job.date1].state, now[failing.job.date1].reason) == (S.FAILED, "DataError: torn")
    assert (now[excluded.job.date1].state, now[excluded.job.date1].reason) == (S.EXCLUDED, "too dark")
    (slc,) = [e for e in ledger.entries(database, FRAME, stage=Stage.SLC) if e.date1 == failing.job.date1]
    assert (slc.state, slc.reason) == (S.BLOCKED, "waits for its download (failed)")
    plan(database)
    (waiting, *_) = [e for e in now.values() if e.state is S.READY] or [None]
    if waiting is not None:
        assert waiting.reason == "waits for a machine"
    assert len(dates) == len(now)


def test_held_delayed_and_too_large_jobs_are_blocked_with_the_reason(database: Database) -> None:
    make_frame(database, 6)
    plan(database)
    held, late, large = sorted(database.query(PendingJob), key=lambda j: j.job_id)[:3]
    jobs.cancel(database, job_id=held.job_id, who="ada", reason="wrong DEM")
    with database.session_scope() as session:
        session.execute(
            update(PendingJob).where(PendingJob.job_id == late.job_id).values(not_before=now_utc(3600), reason="no orbit")
        )
    database.update(PendingJob, {"memory_gb": 64.0}, job_id=large.job_id)
    jobs.grant_pass(database)
    found = {e.job_id: e for e in ledger.entries(database, FRAME, states=[S.BLOCKED], current_only=True, stage=Stage.DOWNLOAD)}
    assert set(found) == {held.job_id, late.job_id, large.job_id}
    assert found[held.job_id].reason == "cancelled by ada: wrong DEM"
    assert found[late.job_id].reason.startswith("no orbit; again after 20") and found[late.job_id].reason.endswith(" UTC")
    assert "no machine is so large" in found[large.job_id].reason
    machines.set_state(database, "large", "enabled", who="ada")
    database.update(PendingJob, {"memory_gb": 1.0}, job_id=large.job_id)
    jobs.grant_pass(database)
    (again,) = [e for e in ledger.entries(database, FRAME) if e.job_id == large.job_id]
    assert again.state in (S.READY, S.RUNNING), "what fits again is blocked no more"


def test_what_is_off_says_why(database: Database) -> None:
    from datetime import UTC, datetime

    dates = make_frame(database, 6)
    for values, words in (
        ({"do_download": False}, "download is switched off for the frame"),
        ({"processing": False}, "the frame is switched off"),
        ({"processing": True, "retired_utc": datetime(2023, 1, 1, tzinfo=UTC)}, "the frame is retired"),
    ):
        database.update(Frame, {"do_download": True, **values}, id=FRAME)
        entries = ledger.entries(database, FRAME, stage=Stage.DOWNLOAD)
        assert {(e.state, e.reason) for e in entries} == {(S.OFF, words)}
        assert plan(database).ready == 0
    database.update(Frame, {"retired_utc": None, "start_date": dates[1]}, id=FRAME)
    out = [e for e in ledger.entries(database, FRAME, kind=RowKind.IFG) if e.date1 < dates[1]]
    assert {(e.state, e.reason) for e in out} <= {(S.OFF, "out of the frame's range")}
    counts = {c.stage: c for c in summary.summary(database, FRAME) if c.kind is RowKind.IFG}
    assert counts[Stage.DOWNLOAD].off == (0 if master_date(database) == dates[0] else 1)


def make_stale(database: Database, master_from: Stage | None = Stage.SATSAR) -> None:
    """A finished frame whose master has another orbit now: all that depends on it is stale, as staleness marks it."""
    write(database, "UPDATE ifg SET proc_status = 6, stale_from = 3, reason = 'orbit'")
    write(database, "UPDATE rsar_ifg SET proc_status = 6, stale_from = 1, reason = 'orbit'")
    if master_from is not None:
        number = stage_id(RowKind.MASTER, master_from)
        write(database, "UPDATE master SET proc_status = 6, stale_from = :n, reason = 'orbit'", n=number)


def test_what_is_stale_serves_until_it_may_be_made_again_and_is_then_made_once(database: Database) -> None:
    make_frame(database, 6)
    first = run_all(database)
    make_stale(database)
    plan(database)
    assert database.query(PendingJob) == []
    check_whole(database)
    assert {(e.state, e.reason) for e in ledger.entries(database, FRAME, current_only=True)} == {(S.STALE, "orbit")}
    database.update(Frame, {"reprocess": True}, id=FRAME)
    again = run_all(database)
    assert max(Counter(again).values()) == 1, "nothing is made twice"
    assert sorted(again) == sorted(t for t in first if t.split()[0] not in ("download", "slc"))
    order = {title: place for place, title in enumerate(again)}
    master, siblings = order[f"satsar {FRAME} {master_date(database):%Y%m%d}"], order[f"coherence {FRAME}"]
    for title, place in order.items():
        if title.startswith("satsar") and place != master:
            assert master < place < siblings
        if title.startswith(("unwrap", "coherence")) and place != siblings:
            assert siblings < place < order[f"timeseries {FRAME}"]
    check_whole(database)


def test_a_pair_waits_for_its_stale_date_and_a_date_for_its_stale_master(database: Database) -> None:
    make_frame(database, 6)
    run_all(database)
    make_stale(database)
    database.update(Frame, {"reprocess": True}, id=FRAME)
    reasons = {e.kind: e.reason for e in ledger.entries(database, FRAME, current_only=True) if e.kind is not RowKind.MASTER}
    assert reasons[RowKind.IFG] == "waits for the master's satsar (stale)"
    assert reasons[RowKind.RSAR_IFG].startswith("waits for satsar of 2023-")
    assert [e.stage for e in ledger.entries(database, FRAME, states=[S.READY])] == [Stage.SATSAR]


def test_a_stage_that_is_off_keeps_nothing_waiting_for_what_it_would_make_again(database: Database) -> None:
    make_frame(database, 6)
    run_all(database)
    make_stale(database, None)
    write(database, "UPDATE rsar_ifg SET proc_status = 2, stale_from = NULL")
    write(database, "UPDATE master SET proc_status = 6, stale_from = 5")
    database.update(Frame, {"reprocess": True, "do_satsar": False}, id=FRAME)
    assert [e.stage for e in ledger.entries(database, FRAME, states=[S.READY])] == [Stage.TIMESERIES]
    dates = ledger.entries(database, FRAME, kind=RowKind.IFG, current_only=True)
    assert {(e.state, e.stage) for e in dates} == {(S.OFF, Stage.SATSAR)}


def test_new_pairs_reach_the_series_of_a_frame_that_is_stale_and_may_not_be_made_again(database: Database) -> None:
    make_frame(database, 6)
    run_all(database, product=True)
    write(database, "UPDATE master SET proc_status = 6, stale_from = 3, reason = 'another version'")
    assert {e.state for e in ledger.entries(database, FRAME, kind=RowKind.MASTER) if e.stage == "timeseries"} == {S.STALE}
    write(database, "UPDATE products SET newest_input = 0 WHERE stage = 'timeseries'")
    (series,) = ledger.entries(database, FRAME, kind=RowKind.MASTER, current_only=True)
    assert (series.stage, series.state) == (Stage.TIMESERIES, S.READY)


def test_defaults_of_the_file_are_in_the_database_for_whoever_reads_the_view(database: Database) -> None:
    make_frame(database, 6)
    network = database.settings.network.model_copy(update={"initial_stack": 3})
    database.settings = database.settings.model_copy(update={"network": network})
    write(database, "UPDATE master SET proc_stage = 3, proc_status = 2")
    assert plan(database).everything, "another default may change any frame"
    (siblings,) = ledger.entries(database, FRAME, kind=RowKind.MASTER, stage=Stage.COHERENCE)
    assert siblings.reason == "waits for the initial stack: 0 of 2 dates coregistered"
    assert not plan(database).everything


def test_an_unknown_frame_is_refused(database: Database) -> None:
    with pytest.raises(RequestError, match="expected a frame of the database"):
        ledger.entries(database, "132A_NONE")
    assert ledger.counts(database) == []
    assert all(counts.total == 0 for counts in summary.summary(database))


def test_too_many_failed_pairs_hold_the_series_until_the_share_allows_them(database: Database) -> None:
    make_frame(database, 6)
    done: list[str] = []
    while not any(title.startswith("unwrap") for title in done):
        done = step(database)
        assert done
    pairs = database.query(RsarIfg)
    write(database, "UPDATE rsar_ifg SET proc_status = 4, proc_stage = 2, reason = 'no' WHERE id <= :i", i=pairs[3].id)
    write(database, "UPDATE rsar_ifg SET proc_status = 2, proc_stage = 2 WHERE id > :i", i=pairs[3].id)
    failed = sum(row.status is ProcStatus.FAILED for row in database.query(RsarIfg))
    (series,) = ledger.entries(database, FRAME, stage=Stage.TIMESERIES)
    assert (series.state, series.reason) == (
        S.BLOCKED, f"waits for {failed} failed pairs: more than accept_failed_share allows; retry or exclude them"
    )  # fmt: skip
    database.update(Frame, {"accept_failed_share": failed / len(pairs)}, id=FRAME)
    (series,) = ledger.entries(database, FRAME, stage=Stage.TIMESERIES)
    assert series.state is S.READY
