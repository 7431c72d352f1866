"""The operator's calls: what each does to the frame, that it is recorded, and that the planner hears of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from frames_made import FRAME, ifg, make_frame, run_all, start

from satdaemon.control import SatDaemonController
from satdaemon.db import Database, FailedJob, Frame, Ifg, JobEvent, Machine, PendingJob, RunningJob, daemon, jobs, machines
from satdaemon.db.planning import plan
from satdaemon.domain import Failure, Usage
from satdaemon.errors import DataError, RequestError
from satdaemon.status import ProcStatus, Stage

ON = {f"do_{stage.value}": True for stage in Stage}
UP_TO = {last: {f"do_{stage.value}": list(Stage).index(stage) <= list(Stage).index(last) for stage in Stage} for last in Stage}
OFF = dict.fromkeys(ON, False)


@pytest.fixture
def control(database: Database) -> SatDaemonController:
    make_frame(database, 6, on=False)
    return SatDaemonController(database, who="ann@desk")


def switches(control: SatDaemonController) -> dict[str, bool]:
    (frame,) = control.database.query(Frame, id=FRAME)
    return {name: getattr(frame, name) for name in ON}


def frame(control: SatDaemonController) -> Frame:
    return control.database.query(Frame, id=FRAME)[0]


# the specification's example, line by line


def test_full_processing(control: SatDaemonController) -> None:
    control.set_frame_noupdate(FRAME, True)
    control.set_frame_full_proc(FRAME, True)
    assert switches(control) == ON and frame(control).processing and frame(control).do_update
    control.set_frame_full_proc(FRAME, False)
    assert switches(control) == OFF and not frame(control).processing


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("set_frame_download", Stage.DOWNLOAD),
        ("set_frame_satsar", Stage.SATSAR),
        ("set_frame_process_til_timeseries", Stage.UNWRAP),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_til_a_stage(control: SatDaemonController, name: str, last: Stage, before: bool) -> None:
    control.set_frame_full_proc(FRAME, before)
    getattr(control, name)(FRAME, True)
    assert switches(control) == UP_TO[last] and frame(control).processing


def test_a_stage_off_takes_the_later_ones_with_it(control: SatDaemonController) -> None:
    control.set_frame_full_proc(FRAME, True)
    control.set_frame_process_til_timeseries(FRAME, False)
    assert switches(control) == UP_TO[Stage.COHERENCE] and frame(control).processing
    control.set_frame_satsar(FRAME, False)
    assert switches(control) == UP_TO[Stage.SLC] and frame(control).processing
    control.set_frame_download(FRAME, False)
    assert switches(control) == OFF and not frame(control).processing


def test_a_stage_off_does_not_turn_a_frame_on(control: SatDaemonController) -> None:
    assert not frame(control).processing and switches(control) == ON
    control.set_frame_satsar(FRAME, False)
    assert not frame(control).processing


def test_no_updates(control: SatDaemonController) -> None:
    control.set_frame_download(FRAME, True)
    control.set_frame_noupdate(FRAME, True)
    assert frame(control).processing and switches(control) == ON and not frame(control).do_update
    control.set_frame_noupdate(FRAME, False)
    assert frame(control).processing and frame(control).do_update


def test_the_range(control: SatDaemonController) -> None:
    control.set_frame_full_proc(FRAME, True)
    days = [row.date for row in control.database.query(Ifg)]
    control.set_frame_proc_range(FRAME, days[1], days[2])
    plan(control.database)
    owed = {job.date1 for job in control.database.query(PendingJob, kind="ifg")}
    assert owed == set(days[1:3])
    control.set_frame_proc_range(FRAME, None, None)
    plan(control.database)
    assert {job.date1 for job in control.database.query(PendingJob, kind="ifg")} == set(days)


def test_the_priority_reaches_waiting_jobs(control: SatDaemonController) -> None:
    control.set_frame_full_proc(FRAME, True)
    plan(control.database)
    control.set_frame_priority(FRAME, 10)
    plan(control.database)
    assert {job.priority for job in control.database.query(PendingJob)} == {10}


def test_power_down(control: SatDaemonController) -> None:
    db = control.database
    control.set_frame_full_proc(FRAME, True)
    control.set_machine_state("large", "quarantined")
    plan(db)
    granted = jobs.grant_pass(db)
    assert granted and all(start(db, g.job_id, g.attempt) for g in granted)
    waiting = len(db.query(PendingJob))
    assert control.power_down_daemon() == waiting > 0
    assert db.query(PendingJob) == []
    assert {job.job_id for job in db.query(RunningJob)} == {g.job_id for g in granted}
    for grant in granted:
        assert jobs.beat(db, grant.job_id, grant.attempt) is jobs.Orders.CONTINUE, "running jobs complete"
    assert jobs.grant_pass(db) == [] and not daemon.read(db).grants
    control.resume()
    assert plan(db).ready == waiting and daemon.read(db).grants


def test_pause_and_resume(control: SatDaemonController) -> None:
    db = control.database
    control.set_frame_full_proc(FRAME, True)
    ready = plan(db).ready
    control.pause()
    assert jobs.grant_pass(db) == [] and len(db.query(PendingJob)) == ready
    control.resume()
    assert len(jobs.grant_pass(db)) > 0


# every action


ACTIONS: dict[str, Callable[[SatDaemonController], object]] = {
    "full processing on": lambda c: c.set_frame_full_proc(FRAME, True),
    "full processing off": lambda c: c.set_frame_full_proc(FRAME, False),
    "til download": lambda c: c.set_frame_download(FRAME, True),
    "til satsar": lambda c: c.set_frame_satsar(FRAME, True),
    "til unwrap": lambda c: c.set_frame_process_til_timeseries(FRAME, True),
    "satsar and later off": lambda c: c.set_frame_satsar(FRAME, False),
    "no updates": lambda c: c.set_frame_noupdate(FRAME, True),
    "updates on": lambda c: c.set_frame_noupdate(FRAME, False),
    "reprocessing on": lambda c: c.set_frame_reprocess(FRAME, True),
    "range 2019-01-01 to 2020-01-01": lambda c: c.set_frame_proc_range(FRAME, date(2019, 1, 1), date(2020, 1, 1)),
    "range open to open": lambda c: c.set_frame_proc_range(FRAME, None, None),
    "priority -3": lambda c: c.set_frame_priority(FRAME, -3),
    "network {'previous': 5}": lambda c: c.set_frame_network(FRAME, previous=5),
    "daemon: pause": lambda c: c.pause(),
    "daemon: run": lambda c: c.resume(),
    "daemon: power_down": lambda c: c.power_down_daemon(),
}


def test_each_action_is_counted_and_recorded_with_who(control: SatDaemonController) -> None:
    for what, act in ACTIONS.items():
        before = daemon.read(control.database)
        act(control)
        after = daemon.read(control.database)
        assert (after.change_counter, after.replan) == (before.change_counter + 1, True), what
        assert (after.changed_by, after.changed_what) == ("ann@desk", what)
        last = control.database.query(JobEvent, event="changed")[-1]
        assert (last.who, last.message) == ("ann@desk", what)
        assert last.frame_id == (None if what.startswith("daemon") else FRAME)


BAD: dict[str, Callable[[SatDaemonController, str], object]] = {
    "full": lambda c, f: c.set_frame_full_proc(f, True),
    "satsar": lambda c, f: c.set_frame_satsar(f, True),
    "range": lambda c, f: c.set_frame_proc_range(f, None, None),
    "retry": lambda c, f: c.retry(frame_id=f),
    "cancel": lambda c, f: c.cancel(frame_id=f),
}


def test_an_unknown_frame_is_refused_with_the_nearest(control: SatDaemonController) -> None:
    before = daemon.read(control.database).change_counter
    for act in BAD.values():
        with pytest.raises(RequestError, match=rf"frame '132A_TSET': expected a frame .* did you mean {FRAME}\?"):
            act(control, "132A_TSET")
        with pytest.raises(RequestError, match="found none; the database has 1 frames"):
            act(control, "zzz")
    assert daemon.read(control.database).change_counter == before


REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.set_frame_full_proc(FRAME, "no"), "expected True or False, got 'no'"),
    (lambda c: c.set_frame_download(FRAME, 1), "expected True or False, got 1"),
    (lambda c: c.set_frame_priority(FRAME, "high"), "expected a whole number from"),
    (lambda c: c.set_frame_priority(FRAME, True), "got True"),
    (lambda c: c.set_frame_priority(FRAME, 2**40), "got 1099511627776"),
    (lambda c: c.set_frame_proc_range(FRAME, date(2020, 1, 2), date(2020, 1, 1)), "expected a start that is not after"),
    (lambda c: c.set_frame_proc_range(FRAME, "2019-01-01", None), "expected a date or None as start, got '2019-01-01'"),
    (lambda c: c.set_frame_proc_range(FRAME, None, datetime(2020, 1, 1)), "expected a date or None as end"),
    (lambda c: c.set_frame_network(FRAME, previus=3), r"expected keys of \[NETWORK\] \(previous, .*\), got previus"),
    (lambda c: c.set_frame_network(FRAME), "got none"),
    (lambda c: c.set_frame_network(FRAME, previous=0), "previous: expected: Input should be greater than or equal to 1"),
    (lambda c: c.retry(), "retry: expected either job_id or frame_id, got neither"),
    (lambda c: c.cancel(job_id=1, frame_id=FRAME), "cancel: expected either job_id or frame_id, got both"),
    (lambda c: c.retry(frame_id=FRAME, stage="unrwap"), "stage: expected one of download, slc"),
    (lambda c: c.exclude(FRAME, date(2023, 1, 13), reason=" "), "expected a reason, got an empty one"),
    (lambda c: c.exclude(FRAME, date(1999, 1, 1), reason="x"), "expected a secondary date 1999-01-01, found none"),
    (lambda c: c.set_machine_state("small", "asleep"), "expected a state of enabled, draining, quarantined"),
    (lambda c: c.set_machine_state("tiny", "draining"), "machine 'tiny': expected one of"),
]


def test_what_cannot_be_done_is_refused(control: SatDaemonController) -> None:
    before = daemon.read(control.database).change_counter
    for call, words in REFUSED:
        with pytest.raises(RequestError, match=words):
            call(control)
    assert daemon.read(control.database).change_counter == before


def test_a_retired_frame_is_not_switched_on(control: SatDaemonController) -> None:
    control.database.update(Frame, {"retired_utc": frame(control).created_utc}, id=FRAME)
    with pytest.raises(RequestError, match=f"frame {FRAME}: retired on "):
        control.set_frame_full_proc(FRAME, True)


def test_a_frame_takes_its_own_network_and_gives_it_back(control: SatDaemonController) -> None:
    control.set_frame_network(FRAME, previous=5, min_coverage=0.5)
    assert (frame(control).previous, frame(control).min_coverage, frame(control).network_due) == (5, 0.5, True)
    control.set_frame_network(FRAME, previous=None)
    assert (frame(control).previous, frame(control).min_coverage) == (None, 0.5)


# jobs and rows


def test_cancel_holds_until_retry(control: SatDaemonController) -> None:
    db = control.database
    control.set_frame_full_proc(FRAME, True)
    control.set_machine_state("large", "quarantined")
    ready = plan(db).ready
    (grant, *_) = jobs.grant_pass(db)
    assert start(db, grant.job_id, grant.attempt)
    others = len(db.query(RunningJob)) - 1
    assert control.cancel(job_id=grant.job_id, reason="wrong DEM") == 1
    assert jobs.beat(db, grant.job_id, grant.attempt) is jobs.Orders.CANCEL
    assert control.cancel(frame_id=FRAME) == ready
    held = db.query(PendingJob)
    assert len(held) == ready - 1 - others > 0 and all(j.held and "cancelled by ann@desk" in str(j.reason) for j in held)
    plan(db)
    assert all(j.held for j in db.query(PendingJob)), "a plan does not release them"
    assert control.retry(frame_id=FRAME) == len(held)
    assert not any(j.held for j in db.query(PendingJob))


def test_retry_of_a_failed_job(control: SatDaemonController) -> None:
    db = control.database
    control.set_frame_full_proc(FRAME, True)
    plan(db)
    (grant, *_) = jobs.grant_pass(db)
    assert start(db, grant.job_id, grant.attempt)
    assert jobs.fail(db, grant.job_id, grant.attempt, Failure.from_exception(DataError("bad zip")), Usage()).kind == "failed"
    (failed,) = db.query(FailedJob)
    assert control.retry(job_id=failed.job_id, stage="download") == 1
    assert db.query(FailedJob) == [] and failed.job_id in {j.job_id for j in db.query(PendingJob)}
    assert db.query(JobEvent, event="retried")[-1].who == "ann@desk"
    assert control.retry(job_id=failed.job_id, stage=Stage.UNWRAP) == 0


def test_exclude_and_include(control: SatDaemonController) -> None:
    db = control.database
    day = db.query(Ifg)[1].date
    control.exclude(FRAME, day, reason="ESA disclaimer ")
    assert (ifg(db, day).status, ifg(db, day).reason) == (ProcStatus.EXCLUDED, "ESA disclaimer")
    control.include(FRAME, day)
    assert (ifg(db, day).status, ifg(db, day).reason) == (ProcStatus.WAITING, None)
    assert daemon.read(db).changed_by == "ann@desk"


def test_machines(control: SatDaemonController) -> None:
    control.set_machine_state("small", "draining", "new disk")
    assert {m.name: m.state for m in machines.machines(control.database)} == {"large": "enabled", "small": "draining"}
    assert control.database.query(Machine, name="small")[0].reason == "new disk"


def test_til_satsar_runs_so_far_and_no_farther(control: SatDaemonController) -> None:
    control.set_frame_satsar(FRAME, True)
    done = {title.split()[0] for title in run_all(control.database)}
    assert done == {"download", "slc", "satsar"}
    control.set_frame_process_til_timeseries(FRAME, True)
    assert {title.split()[0] for title in run_all(control.database)} == {"coherence", "unwrap"}


def test_who_is_the_user_where_nobody_says(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "bob")
    monkeypatch.setattr("socket.gethostname", lambda: "desk2")
    assert SatDaemonController(database).who == "bob@desk2"

    def nobody() -> str:
        raise KeyError("uid 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert SatDaemonController(database).who == "unknown@desk2"


def test_made_from_settings(database: Database) -> None:
    made = SatDaemonController(database.settings)
    made.pause()
    assert daemon.read(database).command == "pause"
    made.database.close()


def test_two_people_at_once(control: SatDaemonController) -> None:
    def often(value: int) -> None:
        for _ in range(5):
            control.set_frame_priority(FRAME, value)

    before = daemon.read(control.database).change_counter
    threads = [threading.Thread(target=often, args=(value,)) for value in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemon.read(control.database).change_counter == before + 15
    assert frame(control).priority in (1, 2, 3)
