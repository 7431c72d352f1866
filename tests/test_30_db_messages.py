"""Who writes messages, inside which transactions, and what is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame

from satdaemon.control import SatDaemonController
from satdaemon.db import Condition, Database, Frame, Ifg, Machine, Message, PointsVersion, jobs, machines, messages
from satdaemon.db.messages.late import late_dates
from satdaemon.db.planning import plan
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Disposition
from satdaemon.messages import watch
from satdaemon.status import ProcStatus


def told(db: Database) -> list[tuple[str, str, int]]:
    return [(row.kind, row.title, row.count) for row in messages.listing(db, every=True)]


def fail(db: Database, grant: jobs.Grant, text: str, disposition: Disposition = Disposition.FAIL) -> None:
    jobs.fail(db, grant.job_id, grant.attempt, Failure("ProcessingError", text, "", disposition), Usage())


def test_jobs_that_fail_alike_are_one_message_and_a_retry_is_none(database: Database) -> None:
    make_frame(database)
    plan(database, [FRAME])
    *lost, again = jobs.grant_pass(database)[:4]
    for number, grant in enumerate(lost):
        fail(database, grant, f"expected 3 bursts, got {number}")
    fail(database, again, "may pass", Disposition.RETRY)
    assert told(database) == [("job", "download failed: ProcessingError: expected # bursts, got #", 3)]
    (message,) = messages.listing(database)
    assert (message.level, message.frame_id) == ("error", FRAME)
    assert message.body.count(f"download {FRAME}") == 3 and "got 2" in message.body and "output: " in message.body


def test_what_operators_do_to_the_daemon_and_to_machines_is_told(database: Database) -> None:
    control = SatDaemonController(database, who="ann@desk")
    control.pause()
    control.resume()
    control.set_machine_state("small", "quarantined", "its disk is broken")
    control.set_machine_state("small", "enabled")
    control.power_down_daemon()
    assert [title for _, title, _ in told(database)] == [
        "daemon paused", "daemon told to run", "machine small is quarantined", "daemon powering down",
    ]  # fmt: skip
    assert "ann@desk" in messages.listing(database)[0].body
    assert "its disk is broken" in messages.listing(database)[2].body


def test_a_start_after_a_crash_says_since_when_the_daemon_was_gone(database: Database) -> None:
    messages.daemon_up(database)
    messages.daemon_alive(database)
    with database.session_scope() as session:
        session.get_one(Condition, "daemon").seen_utc -= timedelta(hours=5)
    messages.daemon_up(database)
    messages.daemon_down(database, "SIGTERM")
    messages.daemon_down(database, "SIGTERM")
    messages.daemon_up(database)
    rows = messages.listing(database)
    assert [row.title for row in rows] == ["daemon up", "daemon down"]
    assert [row.count for row in rows] == [3, 1]
    assert rows[0].body.count("gone since") == 1 and "(5.00 h)" in rows[0].body and "SIGTERM" in rows[1].body


def test_a_machine_that_falls_silent_is_told_once_and_one_that_ends_in_order_is_not(database: Database) -> None:
    for name in ("small", "large"):
        machines.seen(database, name)
    assert watch(database) == []
    machines.gone(database, "large")
    lease_s = database.settings.parameters.lease_s
    with database.session_scope() as session:
        session.get_one(Machine, "small").last_seen_utc = datetime.now(UTC) - timedelta(seconds=3 * lease_s)
    assert watch(database) == ["gone/small"]
    assert watch(database) == []
    machines.seen(database, "small")
    watch(database)
    assert database.query(Condition) == []
    assert told(database) == [("machine", "machine small is gone", 1)]


def test_a_disk_that_runs_full_is_told_once_and_when_it_has_room_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(watch.__globals__, "LEAST_FREE", 1.0)
    assert len(watch(database)) == 2
    assert watch(database) == []
    monkeypatch.setitem(watch.__globals__, "LEAST_FREE", 0.0)
    watch(database)
    assert [(kind, title.partition(":")[0]) for kind, title, _ in told(database)] == [
        ("disk", "disk low"), ("disk", "disk low"), ("disk", "disk has room again"), ("disk", "disk has room again"),
    ]  # fmt: skip


def test_a_date_that_lies_on_disk_and_is_in_no_points_is_late_once(database: Database, tmp_path: Path) -> None:
    days = make_frame(database, 4)
    key = f"late/{FRAME}/{days[-1]}"
    assert late_dates(database) == {}, "the frame has its dates only since today"
    with database.session_scope() as session:
        for row in session.query(Ifg):
            row.created_utc -= timedelta(days=8)
    assert watch(database) == [key]
    assert watch(database) == []
    shown = [day.isoformat() for day in days]
    with database.session_scope() as session:
        session.add(PointsVersion(frame_id=FRAME, state="active", points=1, dates=shown[:-1], product="x", job_id=1, attempt=1))
    assert watch(database) == [] and list(late_dates(database)) == [key]
    with database.session_scope() as session:
        session.query(PointsVersion).one().dates = shown
    assert late_dates(database) == {}
    watch(database)
    assert database.query(Condition) == []
    assert [title for _, title, _ in told(database)] == ["dates are late"]


@pytest.mark.parametrize("how", ["off", "no ingest", "out of range", "excluded", "not asked"])
def test_dates_that_nobody_wants_are_not_late(database: Database, how: str) -> None:
    days = make_frame(database, 3)
    with database.session_scope() as session:
        frame = session.get_one(Frame, FRAME)
        for row in session.query(Ifg):
            row.created_utc -= timedelta(days=8)
            if how == "excluded":
                row.proc_status = ProcStatus.EXCLUDED
        frame.processing, frame.do_ingest = how != "off", how != "no ingest"
        frame.end_date = days[0] - timedelta(days=1) if how == "out of range" else None
    if how == "not asked":
        notify = database.settings.notify.model_copy(update={"late_days": 0.0})
        database.settings = database.settings.model_copy(update={"notify": notify})
    assert late_dates(database) == {}


def test_a_frame_without_points_is_told_at_its_end_and_one_with_points_by_its_ingest(database: Database) -> None:
    make_frame(database, 2)
    messages.frame_finished(database, FRAME, "all done")
    assert told(database) == []
    database.update(Frame, {"do_ingest": False}, id=FRAME)
    messages.frame_finished(database, FRAME, "all done")
    (message,) = database.query(Message)
    assert (message.level, message.body) == ("info", f"{FRAME}: all done")
