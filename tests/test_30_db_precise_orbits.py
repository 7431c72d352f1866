"""Precise orbits of dates that were made with restituted ones: fetched once they exist, and what that makes stale."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from frames_made import FRAME, add_file, bursts, days
from prefect.logging import disable_run_logger
from stale_frames import DATES, VERSIONS, at, key, orbit, pairs_of, stale_names

from flows import maintenance as flow
from satdaemon.db import Database, Master, precise_orbits, staleness
from satdaemon.db.bursts import insert_bursts
from satdaemon.errors import NotReady
from satdaemon.simulator.archives import Fault, Faults, OrbitStandIn

LAST = DATES[-1]


def asking(db: Database, base: str) -> Database:
    """The same database, opened with an archive of orbits."""
    changed = db.settings.download.model_copy(update={"orbit_archives": (f"aws {base}",)})
    return Database(db.settings.model_copy(update={"download": changed}))


def offered(db: Database, folder: Path) -> Path:
    """The precise orbit of the last date, in a bucket instead of here."""
    made = orbit(db, LAST)
    folder.mkdir(exist_ok=True)
    return made.rename(folder / made.name)


def test_the_precise_orbit_is_fetched_and_what_was_made_without_it_is_stale(db: Database, tmp_path: Path) -> None:
    better = offered(db, tmp_path / "bucket")
    with OrbitStandIn(tmp_path / "bucket") as bucket:
        other = asking(db, bucket.base)
        (need,) = precise_orbits.wanted(other)["S1A"]
        assert need[0] < at(LAST) < need[1]
        assert precise_orbits.wanted(other, at(LAST) + timedelta(days=3)) == {}, "it cannot be there yet"
        assert staleness.mark(other, processors=VERSIONS) == [] and stale_names(db) == set()
        with disable_run_logger():
            assert flow.precise_orbits_of(other) == (1, [])
        staleness.mark(other, processors=VERSIONS)
        assert stale_names(db) == {key(LAST), *pairs_of(db, LAST), "master"}
        assert (db.settings.parameters.orbit_path / better.name).read_bytes() == better.read_bytes()
        assert precise_orbits.fetch(other) == ([], [])
        assert bucket.tally.of("search") == 1, "what is here is not asked for again"


def test_an_archive_that_is_down_is_told_and_marks_nothing(db: Database, tmp_path: Path) -> None:
    offered(db, tmp_path / "bucket")
    with OrbitStandIn(tmp_path / "bucket", Faults(share=1.0, kinds=[Fault.FORBIDDEN], most=9, where=["search"])) as bucket:
        other = asking(db, bucket.base)
        with disable_run_logger():
            count, (line,) = flow.precise_orbits_of(other)
        assert count == 0 and line.startswith("precise orbits: aws (127.0.0.1") and "HTTP 403" in line
    assert staleness.mark(db, processors=VERSIONS) == []


def test_nothing_is_asked_without_an_archive_and_a_disk_that_is_gone_is_said(db: Database, tmp_path: Path) -> None:
    assert precise_orbits.fetch(db) == ([], [])
    db.settings.parameters.orbit_path.rename(tmp_path / "gone")
    with pytest.raises(NotReady, match="mount or make it"):
        precise_orbits.fetch(asking(db, "http://127.0.0.1:9"))
    with disable_run_logger():
        assert "mount or make it" in flow.precise_orbits_of(asking(db, "http://127.0.0.1:9"))[1][0]


def test_a_master_is_chosen_before_any_orbit_is_fetched(database: Database) -> None:
    values = bursts()
    insert_bursts(database, values)
    database.make_new_frame_using_burstlist([b.id for b in values], FRAME)
    for day in days(5):
        add_file(database, at(day), values, state="remote")
    database.update_procdates(FRAME)
    assert database.query(Master) == [], "no precise orbit is here"
    asking(database, "http://127.0.0.1:9").update_procdates(FRAME)
    assert [row.date for row in database.query(Master)] == [days(5)[2]], "they are old enough for the archive to have it"
