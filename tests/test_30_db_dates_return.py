"""Dates that lose files, get other ones, fail and return; networks that cannot be joined; five hundred dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from frames_made import FRAME, add_file, bursts, ifg, make_frame, master_date, plan, run_all, start
from sqlalchemy import delete, select, update

from satdaemon.db import Database, FailedJob, File, Frame, Ifg, JobEvent, Master, RsarIfg, jobs, rows
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.date_list import dates_of
from satdaemon.db.models import files2bursts, frames2files
from satdaemon.domain import Failure, Usage
from satdaemon.errors import DataError, RequestError
from satdaemon.planning.network import components
from satdaemon.status import LedgerState, ProcStatus


def at(day: date, hour: int = 6, minute: int = 14, second: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)


def secondary(db: Database) -> date:
    return db.query(Ifg)[0].date


def fail_download(db: Database, day: date) -> None:
    plan(db)
    for grant in jobs.grant_pass(db):
        assert start(db, grant.job_id, grant.attempt)
        if grant.job.date1 == day:
            jobs.fail(db, grant.job_id, grant.attempt, Failure.from_exception(DataError("a broken zip")), Usage())


def test_zips_that_are_removed_after_use_take_nothing_away(database: Database) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    with database.session_scope() as session:
        session.execute(update(File).values(state="missing", reason="was on disk, is not now"))
    report = database.update_procdates(FRAME)
    assert (report.excluded, report.stale, report.warnings) == ({}, [], [])
    assert {r.status for r in database.query(Ifg)} == {ProcStatus.DONE}
    assert run_all(database, product=True) == []


def test_a_zip_that_is_removed_before_use_leaves_its_date_out_until_it_is_back(database: Database) -> None:
    make_frame(database, 4)
    day = secondary(database)
    database.update(File, {"state": "missing", "reason": "was on disk, is not now"}, date=day)
    assert "was on disk, is not now" in database.update_procdates(FRAME).excluded[day]
    assert ifg(database, day).automatic
    database.update(File, {"state": "on_disk", "reason": None}, date=day)
    assert database.update_procdates(FRAME).returned == [day]


def test_one_of_two_slices_removed_is_no_change_of_a_made_date(database: Database) -> None:
    dates = make_frame(database, 3)
    day = dates[-1] + timedelta(days=12)
    add_file(database, at(day), bursts()[:4])
    second = add_file(database, at(day, second=25), bursts()[4:], crc="BBBB")
    database.update_procdates(FRAME)
    run_all(database, product=True)
    database.update(File, {"state": "missing"}, id=second)
    report = database.update_procdates(FRAME)
    assert (report.stale, report.excluded) == ([], {}) and ifg(database, day).coverage == 1.0


def test_a_date_that_failed_is_tried_again_when_its_product_is_reissued(database: Database) -> None:
    make_frame(database, 4)
    day = secondary(database)
    fail_download(database, day)
    assert ifg(database, day).status is ProcStatus.FAILED and len(database.query(FailedJob, date1=day)) == 1
    assert database.update_procdates(FRAME).returned == [], "the same files fail again"
    plan(database)
    assert {r.reason for r in database.query(RsarIfg, proc_status=5)} == {f"see {day} (failed)"}
    add_file(database, at(day), bursts(), crc="CCCC", proc_utc=at(day) + timedelta(days=400))
    report = database.update_procdates(FRAME)
    assert report.returned == [day] and day in {d for pair in report.pairs_returned for d in pair}
    row = ifg(database, day)
    assert (row.status, row.proc_stage, row.reason) == (ProcStatus.WAITING, 1, None)
    assert database.query(FailedJob, date1=day) == [] and database.query(RsarIfg, proc_status=5) == []


def test_a_date_without_any_file_is_left_out_and_a_made_one_stays(database: Database) -> None:
    dates = make_frame(database, 4)
    waits = secondary(database)
    database.delete(File, date=waits)
    assert database.update_procdates(FRAME).excluded == {waits: "no file of the frame is of this date any more"}
    run_all(database, product=True)
    made = next(d for d in dates if d not in (waits, master_date(database)))
    database.delete(File, date=made)
    database.update_procdates(FRAME)
    assert ifg(database, made).status is ProcStatus.DONE


def test_a_pass_that_is_found_to_begin_before_midnight_moves_to_its_date(database: Database) -> None:
    dates = make_frame(database, 3)
    late = dates[-1] + timedelta(days=12)
    name = add_file(database, at(late, 0, 0, 10), bursts())
    database.update_procdates(FRAME)
    assert ifg(database, late).status is ProcStatus.WAITING
    with database.session_scope() as session:  # annotation that tells more than the name
        link = files2bursts.c
        first = select(link.burst_id).where(link.file_id == name).limit(1).scalar_subquery()
        early = at(late - timedelta(days=1), 23, 59, 58)
        session.execute(update(files2bursts).where(link.burst_id == first, link.file_id == name).values(start_utc=early))
    report = database.update_procdates(FRAME)
    assert report.added == [late - timedelta(days=1)]
    assert report.excluded == {late: "no file of the frame is of this date any more"}


def test_the_reason_of_a_date_left_out_by_a_rule_is_the_present_one(database: Database) -> None:
    dates = make_frame(database, 4)
    day = dates[-1] + timedelta(days=12)
    add_file(database, at(day), bursts()[:1])
    first = database.update_procdates(FRAME).excluded[day]
    add_file(database, at(day, second=30), bursts()[1:3], crc="BBBB")
    second = database.update_procdates(FRAME).excluded[day]
    assert first != second and ifg(database, day).reason == second
    with pytest.raises(RequestError, match=r"left out by a rule: .*it returns by itself when that changes"):
        rows.include(database, FRAME, day, who="ada")
    rows.exclude(database, FRAME, day, reason="never", who="ada")
    add_file(database, at(day, minute=15), bursts()[3:], crc="DDDD")
    database.update_procdates(FRAME)
    assert (ifg(database, day).status, ifg(database, day).reason) == (ProcStatus.EXCLUDED, "never")


def test_a_master_whose_coverage_falls_stays_and_is_told(database: Database) -> None:
    make_frame(database, 4)
    day = master_date(database)
    inner = bursts()[1].id
    with database.session_scope() as session:
        (name,) = session.scalars(select(File.id).where(File.date == day))
        session.execute(delete(files2bursts).where(files2bursts.c.file_id == name, files2bursts.c.burst_id == inner))
    report = database.update_procdates(FRAME)
    assert report.master == day and any(str(day) in w and inner in w for w in report.warnings)


def test_a_network_that_no_pair_may_join_says_what_would(database: Database) -> None:
    dates = make_frame(database, 4)
    database.update(Frame, {"previous": 1}, id=FRAME)
    with database.session_scope() as session:
        rest = [*dates[:1]]
        others = dates[1:]
        for row in session.scalars(select(RsarIfg)):
            if (row.date1 in rest) != (row.date2 in rest):
                row.proc_status, row.reason = int(ProcStatus.EXCLUDED), "snow"
        assert others
    report = database.update_procdates(FRAME)
    assert report.parts == 2
    (warning,) = report.warnings
    assert f"{dates[0]} .. {dates[0]} (1 dates)" in warning and f"the shortest are {dates[0]} {dates[1]}" in warning
    assert database.query(JobEvent, event="network") == [], "nothing changed that would be news"
    rows.exclude(database, FRAME, dates[3], reason="snow", who="ada")
    plan(database)
    assert len(database.query(JobEvent, event="network")) == 1


def test_dates_of_a_frame_as_listed(database: Database) -> None:
    dates = make_frame(database, 4)
    gone = secondary(database)
    rows.exclude(database, FRAME, gone, reason="ESA disclaimer", who="ada")
    plan(database)
    found = {entry.date: entry for entry in dates_of(database, FRAME)}
    assert sorted(found) == dates
    assert (found[gone].state, found[gone].reason, found[gone].pairs) == (LedgerState.EXCLUDED, "ESA disclaimer", 0)
    assert [d for d, entry in found.items() if entry.is_master] == [master_date(database)]
    assert all(len(entry.scenes) == 1 for entry in found.values())
    with pytest.raises(RequestError, match="expected a frame of the database"):
        dates_of(database, "132A_NONE")


def test_five_hundred_dates(database: Database) -> None:
    values = bursts()
    insert_bursts(database, values)
    database.make_new_frame_using_burstlist([b.id for b in values], FRAME)
    days = [date(2014, 10, 3) + timedelta(days=6 * i + i % 3) for i in range(500)]
    with database.session_scope() as session:
        for day in days:
            name = f"S1A_IW_SLC__1SDV_{day:%Y%m%d}T061400_{day:%Y%m%d}T061427_012345_0ABCDE_AAAA"
            session.add(File(id=name, track=132, orbit_direction="A", date=day, start_utc=at(day), stop_utc=at(day, second=27),
                             platform="S1A", absolute_orbit=1, proc_utc=at(day), state="on_disk"))  # fmt: skip
        session.flush()
        files = session.scalars(select(File.id)).all()
        links = [{"file_id": f, "burst_id": b.id, "start_utc": None} for f in files for b in values]
        session.execute(files2bursts.insert(), links)
        session.execute(frames2files.insert(), [{"file_id": f, "frame_id": FRAME} for f in files])
    first = database.update_procdates(FRAME, user_master_date=days[250])
    assert len(first.added) == 499 and len(first.pairs_added) > 3 * 497
    assert first.parts == 1 and len(components(days, first.pairs_added)) == 1
    again = database.update_procdates(FRAME)
    assert (again.added, again.pairs_added, again.pairs_excluded) == ([], [], [])
    database.update(Frame, {"start_date": days[100], "end_date": days[200]}, id=FRAME)
    rows.exclude(database, FRAME, days[150], reason="snow", who="ada")
    inside = database.update_procdates(FRAME)
    assert inside.parts == 1 and len(inside.pairs_excluded) >= 6
    assert len(database.query(Master)) == 1
