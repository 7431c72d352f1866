"""A frame goes through all stages in the order of its needs."""

from __future__ import annotations

from datetime import date

from frames_made import FRAME, make_frame, master_date, run_all, step

from satdaemon.db import Database, Ifg, JobEvent, Master, PendingJob, Product, RsarIfg, RunningJob, jobs
from satdaemon.db.planning import plan
from satdaemon.status import ProcStatus


def test_a_frame_goes_from_download_to_ingest(database: Database) -> None:
    dates = make_frame(database, 6)
    titles = run_all(database, product=True)
    pairs = len(database.query(RsarIfg))
    assert len(titles) == len(set(titles)) == 6 + (len(dates) - 1) * 3 + 2 * pairs
    order = {title: place for place, title in enumerate(titles)}
    master = f"{master_date(database):%Y%m%d}"
    siblings = order[f"coherence {FRAME}"]
    for title, place in order.items():
        if title.startswith("satsar") and not title.endswith(master):
            assert place > order[f"satsar {FRAME} {master}"]
            assert place < siblings
        if title.startswith("unwrap"):
            assert siblings < order[title.replace("unwrap", "coherence")] < place
    assert titles[-2:] == [f"timeseries {FRAME}", f"ingest {FRAME}"]
    (row,) = database.query(Master)
    assert (row.stage, row.status) == ("ingest", ProcStatus.DONE_WITH_WARNINGS)
    assert "no points were loaded" in str(row.reason)
    assert {r.status for r in [*database.query(Ifg), *database.query(RsarIfg)]} == {ProcStatus.DONE}
    assert database.query(PendingJob) == database.query(RunningJob) == []
    assert len(database.query(Product)) == len(titles)
    assert len(database.query(JobEvent, event="finished")) == len(titles)


def test_planning_again_changes_nothing(database: Database) -> None:
    make_frame(database, 6)
    first = plan(database)
    assert first.added == first.ready == 6
    before = [(j.job_id, j.created_utc) for j in database.query(PendingJob)]
    again = plan(database)
    assert (again.added, again.removed, again.frames) == (0, 0, 0), "nothing changed, so nothing is looked at"
    for again in (plan(database, [FRAME]), plan(database, everything=True)):
        assert (again.added, again.removed, again.ready) == (0, 0, 6)
    assert [(j.job_id, j.created_utc) for j in database.query(PendingJob)] == before


def test_a_new_date_makes_the_series_again_and_nothing_else(database: Database) -> None:
    from datetime import UTC, datetime, timedelta

    from frames_made import add_file, add_orbit, bursts

    dates = make_frame(database, 6)
    run_all(database, product=True)
    new = dates[-1] + timedelta(days=12)
    add_file(database, datetime(new.year, new.month, new.day, 6, 14, tzinfo=UTC), bursts())
    add_orbit(database, new)
    report = database.update_procdates(FRAME)
    assert report.added == [new]
    assert {pair.date2 for pair in report.pairs_added} == {new}
    titles = run_all(database, product=True)
    assert sum(t.startswith("timeseries") for t in titles) == sum(t.startswith("ingest") for t in titles) == 1
    assert len(titles) == 3 + 2 * len(report.pairs_added) + 2
    assert all(f"{new:%Y%m%d}" in t for t in titles[:-2])
    assert plan(database).ready == 0


def test_stages_that_are_off_are_not_planned(database: Database) -> None:
    from satdaemon.db import Frame

    make_frame(database, 6)
    database.update(Frame, {"do_slc": False}, id=FRAME)
    assert {t.split()[0] for t in run_all(database)} == {"download"}
    database.update(Frame, {"do_slc": True}, id=FRAME)
    assert plan(database).ready == 6
    database.update(Frame, {"processing": False}, id=FRAME)
    off = plan(database)
    assert (off.removed, off.ready) == (6, 0)


def test_only_dates_in_the_range_are_planned(database: Database) -> None:
    from satdaemon.db import Frame

    dates = make_frame(database, 6)
    keep = {d for d in dates if dates[1] <= d <= dates[4]} | {master_date(database)}
    database.update(Frame, {"start_date": dates[1], "end_date": dates[4]}, id=FRAME)
    plan(database)
    assert {j.date1 for j in database.query(PendingJob)} == keep


def test_a_new_priority_reaches_the_queue(database: Database) -> None:
    from satdaemon.db import Frame

    make_frame(database, 4)
    plan(database)
    database.update(Frame, {"priority": 7}, id=FRAME)
    plan(database)
    assert {j.priority for j in database.query(PendingJob)} == {7}


def test_the_queue_of_a_frame_starts_with_what_was_granted(database: Database) -> None:
    make_frame(database, 6)
    plan(database)
    granted = {g.job_id for g in jobs.grant_pass(database)}
    queue = jobs.pending_of_frame(database, FRAME, 100)
    assert len(queue) == 6
    assert {j.id for j in queue[: len(granted)]} == granted
    assert all(j.machine and j.attempt == 1 for j in queue[: len(granted)])
    assert all(j.machine is None and j.attempt == 1 for j in queue[len(granted) :])
    assert jobs.pending_of_frame(database, FRAME, 2) == queue[:2]


def test_one_step_after_another(database: Database) -> None:
    make_frame(database, 6)
    assert {t.split()[0] for t in step(database)} == {"download"}
    assert isinstance(master_date(database), date)
