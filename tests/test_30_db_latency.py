"""How late the dates of a finished frame were, before and after its events are gone."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from frames_made import FRAME
from sqlalchemy import delete, select, update
from stale_frames import DATES, at

from satdaemon.db import Database, File, FileSource, Ifg, JobEvent, latency
from satdaemon.db.models import DateLatency
from satdaemon.errors import RequestError
from satdaemon.planning.latency import ORBIT

LAST = DATES[-1]


def after(hours: float) -> datetime:
    return at(LAST) + timedelta(seconds=27, hours=hours)


def lived(db: Database) -> None:
    """The last date's story: published after 3 h, known after 5, its orbit awaited until 66 h, in the points after 74."""
    with db.session_scope() as session:
        (file_id,) = session.scalars(select(File.id).where(File.date == LAST))
        for archive, hours in (("cdse", 3), ("asf", 8)):
            values = {"url": "https://x/y", "published_utc": after(hours), "last_seen_utc": after(9)}
            session.add(FileSource(file_id=file_id, archive=archive, **values))
        session.execute(update(Ifg).where(Ifg.date == LAST).values(created_utc=after(5)))
        mine = (JobEvent.frame_id == FRAME, JobEvent.job_id.is_not(None))
        latest = select(JobEvent.id).where(*mine, JobEvent.stage.in_(("timeseries", "ingest")))
        ends = {"download": 67, "slc": 68, "satsar": 70, "coherence": 71, "unwrap": 72, "timeseries": 73, "ingest": 74}
        for event in session.scalars(select(JobEvent).where(*mine)):
            day = event.date2 or event.date1
            if day == LAST or event.stage in ("timeseries", "ingest"):
                hours = ends[event.stage]
                event.at_utc = after(hours if event.event == "finished" else hours - 0.5)
                job = event if event.stage == "download" and event.event == "started" else None
                if job is not None:
                    same = {"frame_id": FRAME, "kind": job.kind, "stage": "download", "date1": LAST, "job_id": job.job_id}
                    session.add(JobEvent(event="started", at_utc=after(5.5), **same))
                    session.add(JobEvent(event="waiting", at_utc=after(6), message="waits for an orbit of S1A from ...", **same))
            elif day is not None:
                event.at_utc = after(-500)
        assert session.scalars(latest).all()


def test_a_date_that_waited_for_its_orbit(db: Database) -> None:
    lived(db)
    found = latency.of_frame(db, FRAME)
    assert list(found) == sorted(DATES, reverse=True)
    one = found[LAST]
    assert one.is_whole and str(one) == "3.1 d: 2.5 d waiting for the orbit"
    assert {name: round((moment - after(0)).total_seconds() / 3600, 2) for name, moment in one.moments.items()} == {
        "sensed": 0, "published": 3, "known": 5, "download": 67, "slc": 68, "satsar": 70, "coherence": 71, "unwrap": 72,
        "timeseries": 73, "ingest": 74,
    }  # fmt: skip
    assert one.parts[ORBIT] == pytest.approx(60.5 * 3600) and one.parts["until it was found"] == 2 * 3600
    assert one.parts["download running"] == 3600 and one.parts["satsar queued"] == 1.5 * 3600
    assert one.total_s == pytest.approx(74 * 3600)


def test_what_was_told_stays_when_the_events_are_gone(db: Database) -> None:
    lived(db)
    before = latency.of_frame(db, FRAME)[LAST]
    assert latency.keep(db) >= 1 and latency.keep(db) == 0, "once a date"
    with db.session_scope() as session:
        session.execute(delete(JobEvent))
    found = latency.of_frame(db, FRAME)
    assert (found[LAST].moments, found[LAST].parts) == (before.moments, before.parts)
    (row,) = db.query(DateLatency, frame_id=FRAME, date=LAST)
    assert (row.late_part, round(row.total_s)) == (ORBIT, 74 * 3600)
    with db.session_scope() as session:
        session.execute(delete(DateLatency))
    again = latency.of_frame(db, FRAME)[LAST]
    assert again.is_whole and set(again.moments) == set(before.moments), "products tell when they were made"


def test_a_frame_that_is_not_there(db: Database) -> None:
    with pytest.raises(RequestError):
        latency.of_frame(db, "999A_NONE")


def test_the_command(db: Database, tmp_path: Path) -> None:
    from commands import run

    lived(db)
    url = db.settings.parameters.database
    config = tmp_path / "cli.cfg"
    config.write_text(f"[PARAMETERS]\ndatabase = {url}\n")
    shown = json.loads(run("frame", "latency", FRAME, "--json", "--last", "2", "-d", config).stdout)
    assert [one["date"] for one in shown] == [str(DATES[-1]), str(DATES[-2])]
    assert shown[0]["late_part"] == ORBIT and shown[0]["is_whole"] and shown[0]["total_s"] == pytest.approx(74 * 3600)
    assert "3.1 d: 2.5 d waiting" in " ".join(run("frame", "latency", FRAME, "-d", config).stdout.split())
