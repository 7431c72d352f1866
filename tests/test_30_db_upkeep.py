"""What maintenance does to the database: history goes by age, dead space is told of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from frames_made import FRAME, make_frame
from sqlalchemy import insert, text

from satdaemon.db import Database, JobEvent, PendingJob, Product, history, planning
from satdaemon.db.vacuum import vacuum_hints


def add(database: Database, event: str, *, days: float, **columns: object) -> None:
    with database.session_scope() as session:
        at_utc = datetime.now(UTC) - timedelta(days=days)
        session.execute(insert(JobEvent).values(event=event, at_utc=at_utc, frame_id=FRAME, **columns))


def test_events_go_by_age_and_what_tells_of_what_is_there_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "CHUNK", 2)
    assert history.prune(database) == 0
    make_frame(database, 3)
    planning.plan(database)
    own = len(database.query(JobEvent))
    record = {"frame_id": FRAME, "stage": "slc", "key": "20230101", "kind": "ifg", "path": "/p", "files": 1, "bytes": 1}
    record |= {"checksum": "c", "processor": "p", "processor_version": "1", "fingerprint": "f", "inputs": {}, "attempt": 1}
    database.insert(Product(job_id=70, **record))
    live = database.query(PendingJob)[0].job_id
    for event, job_id in (("granted", 70), ("finished", 70), ("finished", 71), ("granted", live), ("changed", None)):
        add(database, event, days=400, job_id=job_id, stage="slc")
    add(database, "granted", days=300, job_id=71, stage="slc")
    assert history.prune(database) == 3
    left = [(row.event, row.job_id) for row in database.query(JobEvent)][own:]
    assert left == [("finished", 70), ("granted", live), ("granted", 71)]
    assert history.prune(database) == 0


def test_dead_space_is_told_of(database: Database) -> None:
    with database.session_scope() as session:
        rows = [{"event": "changed", "message": "x" * 1000} for _ in range(2000)]
        session.execute(insert(JobEvent), rows)
    assert vacuum_hints(database) == [], "too little to speak of"
    with database.session_scope() as session:
        session.execute(text("DELETE FROM job_events"))
        if database.on_postgresql:  # else its counters are seen some time later
            session.execute(text("SELECT pg_stat_force_next_flush()"))
    (hint,) = vacuum_hints(database, least_rows=1000, least_free_mb=0.5)
    assert "VACUUM" in hint.mend
    assert ("job_events has 2000 dead rows" if database.on_postgresql else "MB of the SQLite file are empty") in hint.found
