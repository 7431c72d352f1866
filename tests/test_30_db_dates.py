"""From files to dates, master and pairs: the domain's rules, on database rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from frames_made import FRAME, add_file, add_orbit, bursts, ifg, make_frame, master_date, plan, run_all, step
from sqlalchemy import select

from satdaemon.db import Burst, Database, File, Frame, Ifg, JobEvent, Master, PendingJob, RsarIfg, frames, jobs, rows, summary
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.models import frames2files
from satdaemon.domain import Pair
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.planning.network import components
from satdaemon.status import ProcStatus, RowKind, Stage


def at(day: date, hour: int = 6, minute: int = 14, second: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)


def open_pairs(db: Database) -> set[Pair]:
    return {Pair(r.date1, r.date2) for r in db.query(RsarIfg, frame_id=FRAME) if r.proc_status != ProcStatus.EXCLUDED}


def connected(db: Database) -> bool:
    dates = [r.date for r in db.query(Ifg, frame_id=FRAME) if r.proc_status not in (4, 5)] + [master_date(db)]
    return len(components(dates, open_pairs(db))) == 1


def links(db: Database) -> dict[str, tuple[date, int]]:
    with db.read_scope() as session:
        return {row.file_id: (row.date, row.valid) for row in session.execute(select(frames2files))}


def test_rows_of_a_frame(database: Database) -> None:
    dates = make_frame(database, 6)
    assert master_date(database) == dates[2]
    assert [r.date for r in database.query(Ifg)] == [d for d in dates if d != dates[2]]
    assert {Pair(r.date1, r.date2) for r in database.query(RsarIfg)} == {
        Pair(dates[i], dates[j]) for j in range(6) for i in range(max(j - 3, 0), j)
    }
    (master,) = database.query(Master)
    assert master.chosen_by == "rule" and "nearest to the middle" in str(master.choice_reason)
    again = database.update_procdates(FRAME)
    assert (again.added, again.pairs_added, again.pairs_excluded, again.stale) == ([], [], [], [])
    assert frames.to_update(database) == []


def test_no_master_without_a_precise_orbit_and_dates_all_the_same(database: Database) -> None:
    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist([b.id for b in bursts()], FRAME)
    add_file(database, at(date(2023, 1, 1)), bursts())
    report = database.update_procdates(FRAME)
    assert report.master is None and "POEORB" in report.master_reason
    assert report.dates == [date(2023, 1, 1)] and len(database.query(Ifg)) == 1
    database.update(Frame, {"processing": True}, id=FRAME)
    assert plan(database).ready == 1
    add_orbit(database, date(2023, 1, 1))
    assert database.update_procdates(FRAME).master == date(2023, 1, 1)
    assert database.query(Ifg) == []


def test_the_users_master_wins_and_is_not_silently_changed(database: Database) -> None:
    dates = make_frame(database, 3)
    with pytest.raises(RequestError, match="set_master_for_frame"):
        database.update_procdates(FRAME, user_master_date=dates[0])
    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist([b.id for b in bursts()], "132A_OTHER")
    report = database.update_procdates("132A_OTHER", user_master_date=dates[0])
    assert report.master == dates[0] and "chosen by the user" in report.master_reason
    with pytest.raises(RequestError, match=r"no.* date|date of the frame"):
        database.set_master_for_frame("132A_OTHER", date(1999, 1, 1), confirm=True)


def test_another_master_says_what_it_costs_and_starts_over(database: Database) -> None:
    dates = make_frame(database, 4)
    run_all(database, product=True)
    old = master_date(database)
    new = next(d for d in dates if d != old)
    with pytest.raises(NeedsConfirmation, match=r"making again: 4 satsar .*7 coherence .*6 unwrap .*confirm=True") as caught:
        database.set_master_for_frame(FRAME, new)
    redo = {(e.stage, e.kind): e for e in caught.value.effects.redo}
    assert redo[(Stage.SATSAR, RowKind.MASTER)].keys == (f"{new:%Y%m%d}",)
    assert redo[(Stage.SATSAR, RowKind.IFG)].keys == tuple(f"{d:%Y%m%d}" for d in dates if d != new)
    assert [redo[(Stage.COHERENCE, kind)].bytes for kind in (RowKind.MASTER, RowKind.RSAR_IFG)] == [10, 60]
    assert sum(len(e.keys) for e in redo.values()) == 4 + 7 + 6 + 2
    assert master_date(database) == old
    database.set_master_for_frame(FRAME, new, confirm=True)
    assert master_date(database) == new
    titles = run_all(database, product=True)
    assert not any(t.startswith(("download", "slc")) for t in titles)
    assert len(titles) == 4 + 7 + 6 + 2


def test_a_master_is_not_changed_under_running_jobs(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    jobs.grant_pass(database)
    other = database.query(Ifg)[0].date
    with pytest.raises(RequestError, match="expected no running jobs"):
        database.set_master_for_frame(FRAME, other, confirm=True)


def test_a_date_that_lacks_a_burst_at_the_end_is_used_and_says_so(database: Database) -> None:
    dates = make_frame(database, 4)
    new = dates[-1] + timedelta(days=12)
    lacking = [b for b in bursts() if b.id != bursts()[2].id]
    add_file(database, at(new), lacking)
    database.update_procdates(FRAME)
    row = ifg(database, new)
    assert (row.status, row.missing_bursts, round(row.coverage or 0, 2)) == (ProcStatus.WAITING, bursts()[2].id, 0.83)


def test_a_date_that_misses_the_coverage_is_excluded_and_returns_with_its_pairs(database: Database) -> None:
    dates = make_frame(database, 4)
    new = dates[-1] + timedelta(days=12)
    inner = bursts()[1]
    add_file(database, at(new), [b for b in bursts() if b.id != inner.id])
    report = database.update_procdates(FRAME)
    assert inner.id in report.excluded[new] and "interior" in report.excluded[new]
    row = ifg(database, new)
    assert (row.status, row.automatic) == (ProcStatus.EXCLUDED, True)
    assert not any(new in pair for pair in open_pairs(database))
    add_file(database, at(new, second=25), [inner], crc="BBBB")
    report = database.update_procdates(FRAME)
    assert report.returned == [new] and ifg(database, new).status is ProcStatus.WAITING
    assert sum(new in pair for pair in open_pairs(database)) == 3


def test_a_newer_product_of_an_acquisition_replaces_the_older_and_makes_the_date_stale(database: Database) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    day = database.query(Ifg)[0].date
    (old,) = database.query(File, date=day)
    newer = add_file(database, at(day), bursts(), crc="CCCC", proc_utc=at(day) + timedelta(days=400))
    report = database.update_procdates(FRAME)
    assert links(database)[old.id] == (day, 0) and links(database)[newer] == (day, 1)
    assert report.stale == [day]
    row = ifg(database, day)
    assert (row.status, row.stale_from) == (ProcStatus.STALE, 1) and newer in str(row.reason)
    assert plan(database).ready == 0
    database.update(Frame, {"reprocess": True}, id=FRAME)
    assert run_all(database, product=True)[0] == f"download {FRAME} {day:%Y%m%d}"


def test_a_pass_over_midnight_is_one_date(database: Database) -> None:
    dates = make_frame(database, 3)
    day = dates[-1] + timedelta(days=12)
    first, second = bursts()[:2], bursts()[2:]
    one = add_file(database, at(day, 23, 59, 45), first)
    two = add_file(database, at(day + timedelta(days=1), 0, 0, 10), second)
    database.update_procdates(FRAME)
    assert links(database)[one] == links(database)[two] == (day, 1)
    assert ifg(database, day).coverage == 1.0
    assert database.query(Ifg, date=day + timedelta(days=1)) == []


def test_a_bad_file_leaves_its_date_out_with_the_reason(database: Database) -> None:
    dates = make_frame(database, 3)
    day = dates[-1] + timedelta(days=12)
    name = add_file(database, at(day), [], state="bad", reason="File is not a zip file")
    with database.session_scope() as session:
        session.execute(frames2files.insert().values(frame_id=FRAME, file_id=name))
    report = database.update_procdates(FRAME)
    assert report.excluded[day] == f"{name} cannot be used: File is not a zip file"
    (entry,) = [r for r in summary.blocked(database, FRAME) if r.date1 == day]
    assert (entry.state, entry.reason) == ("excluded", report.excluded[day])
    add_file(database, at(day), bursts(), crc="DDDD")
    assert database.update_procdates(FRAME).returned == [day]


def test_pairs_of_a_failed_date_are_left_out_and_the_network_is_joined_again(database: Database) -> None:
    make_frame(database, 8)
    database.update(Frame, {"previous": 1, "annual_pairs": 0}, id=FRAME)
    with database.session_scope() as session:
        for row in session.scalars(select(RsarIfg)):
            session.delete(row)
    database.update_procdates(FRAME)
    dates = sorted([r.date for r in database.query(Ifg)] + [master_date(database)])
    assert open_pairs(database) == {Pair(a, b) for a, b in pairwise(dates)}
    gone = dates[5]
    rows.exclude(database, FRAME, gone, reason="ESA disclaimer", who="ada")
    plan(database)
    left = database.query(RsarIfg, proc_status=5)
    assert {(r.automatic, r.reason) for r in left} == {(True, f"see {gone} (excluded)")}
    assert Pair(dates[4], dates[6]) in open_pairs(database) and connected(database)
    rows.include(database, FRAME, gone, who="ada")
    plan(database)
    assert open_pairs(database) == {Pair(a, b) for a, b in pairwise(dates)}, "nobody had begun the pair that stood in"
    assert {e.who for e in database.query(JobEvent, event="changed") if "clud" in str(e.message)} == {"ada"}


def test_a_pair_left_out_by_hand_stays_out(database: Database) -> None:
    dates = make_frame(database, 5)
    rows.exclude(database, FRAME, dates[0], dates[1], reason="snow", who="ada")
    plan(database)
    database.update_procdates(FRAME)
    (row,) = database.query(RsarIfg, date1=dates[0], date2=dates[1])
    assert (row.status, row.automatic) == (ProcStatus.EXCLUDED, False)


def test_a_pair_that_falls_out_of_a_finished_series_makes_it_stale(database: Database) -> None:
    dates = make_frame(database, 6)
    run_all(database, product=True)
    gone = next(d for d in dates if d != master_date(database))
    rows.exclude(database, FRAME, gone, reason="ESA disclaimer", who="ada")
    assert step(database, product=True) == [f"timeseries {FRAME}"]
    assert step(database, product=True) == [f"ingest {FRAME}"]
    assert step(database, product=True) == []


def test_failed_pairs_are_accepted_up_to_a_share(database: Database) -> None:
    from satdaemon.domain import Failure, Usage
    from satdaemon.errors import DataError

    make_frame(database, 4)
    failing = 0
    for _ in range(200):
        plan(database)
        grants = jobs.grant_pass(database)
        if not grants:
            break
        for grant in grants:
            from frames_made import start

            assert start(database, grant.job_id, grant.attempt)
            if grant.job.stage == "unwrap" and failing < 2:
                failing += 1
                jobs.fail(database, grant.job_id, 1, Failure.from_exception(DataError("noise")), Usage())
            else:
                from satdaemon.domain import StageResult

                jobs.finish(database, grant.job_id, grant.attempt, StageResult(()), Usage(), None)
    (entry,) = [r for r in summary.frame_report(database, FRAME) if r.kind == "master"]
    assert entry.state == "blocked" and "2 failed pairs" in entry.reason
    database.update(Frame, {"accept_failed_share": 0.4}, id=FRAME)
    assert run_all(database) == [f"timeseries {FRAME}", f"ingest {FRAME}"]


def test_without_updates_nothing_new_is_made_after_the_first_series(database: Database) -> None:
    dates = make_frame(database, 4)
    run_all(database, product=True)
    database.update(Frame, {"do_update": False}, id=FRAME)
    new = dates[-1] + timedelta(days=12)
    add_file(database, at(new), bursts())
    assert frames.to_update(database) == []
    database.update_procdates(FRAME)
    assert run_all(database, product=True) == []
    assert {r.state for r in summary.frame_report(database, FRAME) if new in (r.date1, r.date2)} == {"off"}
    database.update(Frame, {"do_update": True}, id=FRAME)
    assert f"download {FRAME} {new:%Y%m%d}" in run_all(database, product=True)


def test_what_is_blocked_says_by_what(database: Database) -> None:
    make_frame(database, 6)
    plan(database)
    reasons = {(r.kind, r.stage, r.reason) for r in summary.frame_report(database, FRAME) if r.state == "blocked"}
    assert ("rsar_ifg", "coherence") in {r[:2] for r in reasons}
    assert all("waits for satsar of 2023-" in r[2] for r in reasons)
    database.update(Frame, {"initial_stack": 3}, id=FRAME)
    for _ in range(3):
        step(database)
    (entry,) = [r for r in summary.frame_report(database, FRAME) if r.kind == "master"]
    assert entry.reason == "waits for the initial stack: 0 of 2 dates coregistered"


def test_counts_of_the_summary_add_up(database: Database) -> None:
    make_frame(database, 6)
    for _ in range(4):
        step(database)
        for counts in summary.summary(database, FRAME):
            assert counts.total == {"master": 1, "ifg": 5, "rsar_ifg": 12}[counts.kind]
            assert counts.ready + counts.blocked == counts.waiting
    assert {c.stage: c.done for c in summary.summary(database) if c.kind == "ifg"} == {"download": 5, "slc": 5, "satsar": 5}


def test_frames_are_refused_with_what_is_wrong(database: Database) -> None:
    ids = [b.id for b in bursts()]
    insert_bursts(database, [*bursts(), *bursts(1, ("IW1",), track=95)])
    for burst_list, name, message in [
        (ids, "132_X", "frame id: expected TRACK"),
        ([], FRAME, "at least one burst"),
        ([*ids, "132_1_IW1", "132_2_IW2"], FRAME, "unknown ones: 132_1_IW1, 132_2_IW2"),
        ([*ids, "95_8566_IW1"], FRAME, r"bursts of track 132 only.*95_8566_IW1 \(95\)"),
        (ids, "132D_TEST", "bursts of pass D only"),
        ([ids[0], ids[0]], FRAME, "got twice"),
        (["nonsense"], FRAME, "burst id: expected"),
    ]:
        with pytest.raises(RequestError, match=message):
            database.make_new_frame_using_burstlist(burst_list, name)
    assert database.query(Frame) == []
    report = database.make_new_frame_using_burstlist([ids[0], ids[2], "132_8577_IW2"], FRAME)
    assert report.bursts == (ids[0], "132_8575_IW2", ids[2])
    assert any("1 burst(s) missing between" in w for w in report.warnings)
    assert any("132_8577_IW2 taken as 132_8575_IW2" in w for w in report.warnings)
    with pytest.raises(RequestError, match="exists already"):
        database.make_new_frame_using_burstlist(ids, FRAME)
    (frame,) = database.query(Frame)
    assert len(frame.bursts) == 3 and frame.geometry.area > 0.3
    assert [b.frames[0].id for b in database.query(Burst, id=ids[0])] == [FRAME]
    assert database.query(PendingJob) == []
