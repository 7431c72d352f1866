"""Zips that were fetched go by policy, never while something needs them, and come back by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame, plan, run_all, start
from sqlalchemy import Date, bindparam, text
from typer.testing import CliRunner

from satdaemon.cli import application as cli
from satdaemon.db import Database, File, FileSource, Frame, Ifg, Master, PendingJob, RunningJob, jobs, retention
from satdaemon.db.scene_rows import scene_of
from satdaemon.domain import StageResult, Usage

SLC_FAILED = text("UPDATE ifg SET proc_status = 4, proc_stage = 2 WHERE date = :day").bindparams(bindparam("day", type_=Date))
NOW = datetime.now(UTC)


def use(db: Database, keep: str) -> None:
    download = db.settings.download.model_copy(update={"keep": keep, "archives": ("cdse",), "disk": 1.0})
    db.settings = db.settings.model_copy(update={"download": download})


def fetch(db: Database) -> dict[str, Path]:
    """All files of the database as downloads leave them: zip -> path."""
    places = {}
    for k, file in enumerate(db.query(File)):
        path = db.settings.parameters.data_path / "T132" / f"{file.id}.zip"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"z" * (1000 + k))
        values = {"abspath": str(path), "state": "on_disk", "size": 1000 + k, "fetched_utc": NOW + timedelta(hours=k)}
        db.update(File, values, id=file.id)
        if not db.query(FileSource, file_id=file.id):
            db.insert([FileSource(file_id=file.id, archive="cdse", url=f"https://cdse/{file.id}", last_seen_utc=NOW)])
        places[file.id] = path
    return places


def gone(places: dict[str, Path]) -> set[str]:
    return {name for name, path in places.items() if not path.exists()}


@pytest.fixture
def done(database: Database) -> dict[str, Path]:
    """A frame of six dates, all in points, whose zips were fetched."""
    use(database, "until_ingested")
    make_frame(database, 6)
    run_all(database, product=True)
    (master,) = database.query(Master)
    assert master.proc_stage == 6 and int(master.proc_status) in (2, 3)
    return fetch(database)


def test_kept_always_or_until_all_is_in_points(database: Database, done: dict[str, Path]) -> None:
    use(database, "always")
    assert retention.removable(database) == [] and retention.apply(database, who="the test") == []
    use(database, "until_ingested")
    assert {one.file_id for one in retention.removable(database)} == set(done)
    assert len(retention.apply(database, who="the test")) == 6 and gone(done) == set(done)
    rows = database.query(File)
    assert {(f.state, f.abspath, f.reason) for f in rows} == {("remote", None, None)} and all(f.size for f in rows)
    assert list((database.settings.parameters.data_path / "T132").iterdir()) == []
    plan(database)
    assert database.query(PendingJob) == [], "nothing needs them"
    assert retention.apply(database, who="the test") == []


@pytest.mark.parametrize(
    "keep_it",
    [
        lambda db, file: db.update(Ifg, {"proc_status": 0, "proc_stage": 2}, date=file.date),
        lambda db, file: db.update(Ifg, {"proc_status": 6, "stale_from": 2}, date=file.date),
        lambda db, file: db.write(lambda session: session.execute(SLC_FAILED, {"day": file.date})),
        lambda db, file: db.update(File, {"fetched_utc": None}, id=file.id),
        lambda db, file: db.delete(FileSource, file_id=file.id),
        lambda db, file: Path(str(file.abspath)).rename(Path(str(file.abspath)).with_suffix(".x")),
    ],
    ids=["slc to be made", "slc stale", "slc failed", "put there by others", "no archive has it", "not at its place"],
)
def test_what_is_needed_or_not_ours_stays(
    database: Database, done: dict[str, Path], keep_it: Callable[[Database, File], object]
) -> None:
    ifg_date = database.query(Ifg)[2].date
    (file,) = database.query(File, date=ifg_date)
    keep_it(database, file)
    for policy in ("until_ingested", "space"):
        use(database, policy)
        assert file.id not in {one.file_id for one in retention.removable(database)}


def test_another_frame_that_shares_the_zips_keeps_them(database: Database, done: dict[str, Path]) -> None:
    make_frame(database, 6, frame_id="132A_OTHER")
    assert retention.removable(database) == []
    plan(database)
    granted = jobs.grant_pass(database)
    assert granted and {j.frame_id for j in database.query(RunningJob)} == {"132A_OTHER"}
    use(database, "space")
    assert retention.removable(database) == [], "rows that wait, and jobs that run"
    database.update(Frame, {"processing": False}, id="132A_OTHER")
    assert retention.removable(database) == [], "a frame that is off may go on"


def test_a_new_frame_keeps_them_before_it_is_planned(database: Database, done: dict[str, Path]) -> None:
    bursts = [burst.id for burst in database.query(Frame, id=FRAME)[0].bursts]
    database.make_new_frame_using_burstlist(bursts, "132A_NEW")
    assert retention.removable(database) == []


def test_a_low_disk_lets_the_one_go_first_that_was_needed_least_recently(
    database: Database, done: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(database, "space")
    database.update(Ifg, {"proc_status": 0, "proc_stage": 3}, date=database.query(Ifg)[0].date)  # satsar needs no zip
    found = retention.removable(database)
    assert len(found) == 6 and [one.last_needed for one in found] == sorted(one.last_needed for one in found)
    usage = retention.shutil.disk_usage("/")
    plenty = usage._replace(total=10**13, free=9 * 10**12)
    monkeypatch.setattr(retention.shutil, "disk_usage", lambda _: plenty)
    assert retention.due(database) == [] and retention.apply(database, who="the test") == []
    low = plenty._replace(free=10**12 - found[0].bytes - 1)
    monkeypatch.setattr(retention.shutil, "disk_usage", lambda _: low)
    assert retention.due(database) == found[:2]
    assert retention.make_room(database, who="the planner") == found[:2]
    assert gone(done) == {one.file_id for one in found[:2]}
    for other in ("always", "until_ingested"):  # these do not look at the disk
        use(database, other)
        assert retention.make_room(database, who="the planner") == []
    assert gone(done) == {one.file_id for one in found[:2]}


def test_a_removed_zip_is_fetched_again_where_its_slc_is_made_again(database: Database, done: dict[str, Path]) -> None:
    retention.apply(database, who="the test")
    day = database.query(Ifg)[1].date
    database.update(Ifg, {"proc_status": 6, "stale_from": 2}, date=day)
    database.update(Frame, {"reprocess": True}, id=FRAME)
    plan(database)
    (job,) = database.query(PendingJob)
    assert (job.stage, job.date1) == ("download", day)
    (grant,) = jobs.grant_pass(database)
    assert start(database, grant.job_id, grant.attempt)
    (file,) = database.query(File, date=day)
    scene = scene_of(file)
    place = done[file.id]
    place.write_bytes(b"z" * 1000)
    fetched = replace(scene, path=place, url="https://cdse/again")
    result = StageResult((), scenes=(fetched,), processor="test", processor_version="1")
    assert jobs.finish(database, grant.job_id, grant.attempt, result, Usage(1, 1, 0.1), None)
    (file,) = database.query(File, date=day)
    assert (file.state, file.abspath, file.url) == ("on_disk", str(place), "https://cdse/again") and file.fetched_utc is not None
    plan(database)
    (job,) = database.query(PendingJob)
    assert (job.stage, job.date1) == ("slc", day)
    assert retention.removable(database) == []


def test_what_a_crash_left_aside_is_put_back(database: Database, done: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    use(database, "until_ingested")
    first = next(iter(done.values()))
    aside = first.with_name(f".{first.name}.removed.part")
    first.rename(aside)
    assert retention.put_back(database) == 1 and first.exists()

    rename = Path.rename

    def crash(path: Path, target: Path) -> Path:
        rename(path, target)
        if target.name.endswith(".removed.part"):
            raise OSError("the disk goes away")
        return target

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(OSError, match="goes away"):
            retention.apply(database, who="the test")
    assert gone(done) == set() and {f.state for f in database.query(File)} == {"on_disk"}


def test_the_command_shows_what_will_go(database: Database, done: dict[str, Path], tmp_path: Path) -> None:
    cli.load_commands("space")
    config = tmp_path / "satdaemon.cfg"
    parameters = database.settings.parameters
    keys = {name: getattr(parameters, name) for name in ("database", "data_path", "processing_path", "orbit_path", "log_path")}
    lines = [f"{name} = {value}" for name, value in keys.items()]
    config.write_text("\n".join(["[PARAMETERS]", *lines, "[DOWNLOAD]", "archives = cdse", "keep = until_ingested", ""]))
    shown = CliRunner().invoke(cli.app, ["space", "-d", str(config)])
    assert "fetched zips that nothing needs: 6, " in shown.output and "keep = until_ingested, 6 (" in shown.output, shown.output
    found = json.loads(CliRunner().invoke(cli.app, ["space", "--json", "-d", str(config)]).output)["zips"]
    assert found["keep"] == "until_ingested" and set(found["due"]) == {str(path) for path in done.values()}
    assert gone(done) == set(), "it only shows"
