"""Perpendicular baselines at the choice of the master and where dates are listed, against the simulator's known orbits."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from databases import DIALECTS, make_settings
from frames_made import FRAME, add_dates, bursts
from real_products import pair_t108
from simulated import SMALL, small_archive, small_truth, zip_of
from sqlalchemy import delete, func, select
from typer.testing import CliRunner

from satdaemon.cli import application
from satdaemon.db import Database, FileOrbit, Ifg, Master, file_orbits, files
from satdaemon.db.baselines import baselines
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.date_list import dates_of
from satdaemon.db.dates import days_of_frame
from satdaemon.db.frames import frame_of
from satdaemon.db.preview import preview_bursts, preview_frame
from satdaemon.db.what_if import FrameChange, change_frame, what_if
from satdaemon.insar.safe import read_product
from satdaemon.planning.master import MasterCandidate, choose_master

SIMULATED = "132A_SIMULATED"
WITHIN_M = 1.0
"""The truth is of the middle of the frame as the simulator counts it, at 150 m; ours is on the ellipsoid."""


@pytest.fixture(scope="module", params=DIALECTS)
def simulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The small archive, entered, with a frame on it; made once a dialect. Tests leave it as it is."""
    root = tmp_path_factory.mktemp("baselines")
    if request.param == "postgresql":
        with request.getfixturevalue("postgres_cluster").database() as url:
            yield from _entered(root, url)
    else:
        shutil.copy(request.getfixturevalue("sqlite_template"), root / "satdaemon.sqlite")
        yield from _entered(root, f"sqlite:///{root / 'satdaemon.sqlite'}")


def _entered(root: Path, url: str) -> Iterator[Database]:
    settings = make_settings(root, url, data_path=small_archive() / "archive", orbit_path=small_archive() / "orbits")
    db = Database(settings)
    files.ingest_files(db, checksum=False)
    db.make_new_frame_using_burstlist([b.id for b in read_product(zip_of(0)).bursts], SIMULATED)
    db.update_procdates(SIMULATED)
    yield db
    db.close()


def master_of(db: Database) -> Master:
    (row,) = db.query(Master, frame_id=SIMULATED)
    return row


def test_baselines_of_every_date_are_those_of_the_known_orbits(simulated: Database) -> None:
    truth, master = small_truth(), master_of(simulated)
    rows = simulated.query(Ifg, frame_id=SIMULATED)
    known = {row.date: row.bperp_m for row in rows if row.bperp_m is not None}
    assert len(known) >= SMALL.dates - 2, "all but the corrupt date"
    for day, value in known.items():
        assert value == pytest.approx(truth.bperp_m(day, master.date), abs=WITHIN_M), day
    assert max(known.values()) - min(known.values()) > 50
    assert "time and perpendicular baseline" in str(master.choice_reason)


def test_the_choice_is_that_of_the_rule_on_the_known_orbits_whatever_the_order(simulated: Database) -> None:
    truth = small_truth()
    with simulated.read_scope() as session:
        frame = frame_of(session, SIMULATED)
        days = days_of_frame(session, frame)
        shuffled = list(days.items())
        random.Random(4).shuffle(shuffled)
        one, other = baselines(session, frame, days).to_first(), baselines(session, frame, dict(shuffled)).to_first()
    assert one == other
    first = min(one)
    preview = {day.date: day for day in preview_frame(simulated, SIMULATED).dates}
    candidates = [
        MasterCandidate(day, len(preview[day].present), len(frame.bursts), not {"resorb_only", "no_orbit"} & _cases(day),
                        truth.bperp_m(day, first))
        for day in days if preview[day].usable
    ]  # fmt: skip
    assert choose_master(candidates, date(2030, 1, 1)).date == master_of(simulated).date


def _cases(day: date) -> set[str]:
    return next(set(d["cases"]) for d in small_truth().document["dates"] if d["date"] == day.isoformat())


def test_dates_preview_and_what_if_show_baselines(simulated: Database) -> None:
    truth, master = small_truth(), master_of(simulated).date
    listed = {entry.date: entry for entry in dates_of(simulated, SIMULATED)}
    assert listed[master].bperp_m == 0
    other = next(day for day, entry in listed.items() if entry.bperp_m and not entry.missing_bursts and not _cases(day))
    for found in (preview_frame(simulated, SIMULATED), preview_bursts(simulated, [b.id for b in _bursts(simulated)])):
        assert found.master == found.bperp_to == master, "the one would choose what the other has"
        (shown,) = [day for day in found.dates if day.date == other]
        assert shown.bperp_m == pytest.approx(truth.bperp_m(other, master), abs=WITHIN_M)
    plan = what_if(simulated, SIMULATED, FrameChange(master=other))
    assert plan.dates.master == other and plan.dates.bperp_m.keys() == listed.keys() - {other}
    assert plan.dates.bperp_m[master] == pytest.approx(truth.bperp_m(master, other), abs=WITHIN_M)
    assert master_of(simulated).date == master
    assert {e.date: e.bperp_m for e in dates_of(simulated, SIMULATED)} == {d: e.bperp_m for d, e in listed.items()}


def _bursts(db: Database):
    with db.read_scope() as session:
        return frame_of(session, SIMULATED).bursts


def test_the_commands_say_which_sign(simulated: Database, tmp_path: Path) -> None:
    application.load_commands()
    parameters = simulated.settings.parameters
    config = tmp_path / "satdaemon.cfg"
    places = {name: getattr(parameters, name) for name in ("data_path", "processing_path", "log_path", "orbit_path", "database")}
    config.write_text("[PARAMETERS]\n" + "".join(f"{name} = {value}\n" for name, value in places.items()))

    def run(*arguments: str) -> str:
        return CliRunner().invoke(application.app, ["frame", *arguments, "-d", str(config)], env={"COLUMNS": "250"}).output

    dates = run("dates", SIMULATED)
    assert "positive where the date's satellite is higher" in dates
    preview = run("preview", SIMULATED, "--dates")
    assert f"perpendicular baseline to {master_of(simulated).date}, positive where" in preview
    found = json.loads(run("plan", SIMULATED, "--json"))
    assert found["bperp_m"].keys() == {row.date.isoformat() for row in simulated.query(Ifg, frame_id=SIMULATED)}


def test_files_of_an_older_database_are_opened_once_more_for_their_orbits(simulated: Database) -> None:
    """By the next ingest, each once; and by a frame that needs them before that."""
    with simulated.session_scope() as session:
        before = {row.file_id: (row.vectors, row.problem) for row in session.scalars(select(FileOrbit))}
        session.execute(delete(FileOrbit))
    opened: list[Path] = []

    def read(path: Path):
        opened.append(path)
        return read_product(path)

    files.ingest_files(simulated, checksum=False, read=read)
    orbits = {row.file_id: (row.vectors, row.problem) for row in simulated.query(FileOrbit)}
    assert orbits == before and all(vectors for vectors, _ in before.values())
    assert len(opened) == len(set(opened)) == len(before)
    files.ingest_files(simulated, checksum=False, read=read)
    assert len(opened) == len(before), "a second walk opens nothing"
    with simulated.session_scope() as session:
        session.execute(delete(FileOrbit))
    assert preview_frame(simulated, SIMULATED).bperp_to == master_of(simulated).date
    with simulated.read_scope() as session:
        assert session.scalar(select(func.count()).select_from(FileOrbit)) == len(before)
    assert file_orbits.complete(simulated, file_orbits.of_frame(SIMULATED)) == 0


def test_a_users_choice_wins_and_without_orbits_time_alone_decides(database: Database) -> None:
    insert_bursts(database, bursts())
    days = add_dates(database, [bursts()] * 5)
    database.make_new_frame_using_burstlist([b.id for b in bursts()], FRAME)
    report = database.update_procdates(FRAME)
    assert report.master == days[2]
    assert "time alone (perpendicular baselines of 5 dates, 2023-01-01 .. 2023-02-18, are not known)" in report.master_reason
    assert set(report.bperp_m.values()) == {None}
    plan = change_frame(database, FRAME, FrameChange(master=days[4]), who="the test", confirm=True)
    assert plan.dates.master == days[4]


@pytest.mark.realdata
def test_the_real_pair_through_the_database_has_the_baselines_of_isce2(database: Database) -> None:
    first, second = (read_product(path) for path in pair_t108())
    with database.session_scope() as session:
        for product in (first, second):
            files.enter(session, product, state="on_disk")
    database.make_new_frame_using_burstlist([b.id for b in first.bursts], "108A_REAL")
    report = database.update_procdates("108A_REAL", first.start_utc.date())
    assert report.master == first.start_utc.date() and report.master_reason.startswith("chosen by the user")
    # ISCE2 in the middle of IW2, where the middle of the frame is: -121.76 m in the first burst, -121.18 m in the last
    assert report.bperp_m[second.start_utc.date()] == pytest.approx((121.756 + 121.178) / 2, abs=0.4)
