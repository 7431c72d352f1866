"""Downloads that hold only bursts: recorded as such, made again where they do not serve, let go by policy, brought back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from burst_site import burst_site, day_of
from frames_made import FRAME, bursts, ifg, make_frame, plan, start
from sqlalchemy import select

from satdaemon.db import (
    Database,
    File,
    FileSource,
    Ifg,
    PendingJob,
    Product,
    frame_edit,
    inputs,
    jobs,
    partial_removal,
    retention,
    runs,
    space,
)
from satdaemon.db.arrived import enter_arrived, read_arrived
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.clock import now_utc
from satdaemon.db.models import FileOrbit, files2bursts
from satdaemon.db.products import fingerprint
from satdaemon.domain import BURSTS_ONLY, StageResult, Usage
from satdaemon.insar.safe import read_product
from satdaemon.status import Stage


def use(db: Database, **download: object) -> None:
    given = db.settings.download.model_copy(update={"archives": ("asf",), "bursts_only": True, "disk": 1.0, **download})
    db.settings = db.settings.model_copy(update={"download": given})


def far(db: Database) -> None:
    """All files are in the archive alone."""
    for file in db.query(File):
        url = f"https://datapool.asf.alaska.edu/SLC/SA/{file.id}.zip"
        db.update(File, {"state": "remote", "url": url, "size": 4_000_000_000, "abspath": None}, id=file.id)
        if not db.query(FileSource, file_id=file.id):
            db.insert([FileSource(file_id=file.id, archive="asf", url=url, size=4_000_000_000, last_seen_utc=now_utc())])


def step(db: Database, only: bool = True) -> list[str]:
    """Whatever can go now, its downloads of bursts alone; the titles."""
    plan(db, [FRAME])
    runs.beat_frame(db, FRAME, "the test")
    titles = []
    for grant in jobs.grant_pass(db):
        assert start(db, grant.job_id, grant.attempt)
        job = inputs.stage_input(db, grant.job_id, grant.attempt, db.settings.parameters.processing_path / "out")
        place = db.settings.parameters.processing_path / FRAME / grant.job.stage / grant.job.key
        place.mkdir(parents=True, exist_ok=True)
        (place / "a.bin").write_bytes(b"x" * 10)
        result = StageResult((), processor="test", processor_version="1")
        if grant.job.stage is Stage.DOWNLOAD and only:
            ids = [scene.id for scene in job.scenes]
            for scene_id in ids:
                (place / f"{scene_id}.zip").write_bytes(b"z" * 1000)
            held = {"scenes": ids, "bursts": [b.id for b in job.frame.bursts], "polarisation": job.polarisation}
            listed = [{"id": scene_id, "path": f"{scene_id}.zip", "size": 1000, "checksum": None} for scene_id in ids]
            document = {"scenes": listed, "orbit": {"paths": [], "type": "POEORB"}, BURSTS_ONLY: held}
            (place / "download.json").write_text(json.dumps(document))
            result = StageResult((), processor="test", processor_version="1", partial=job.scenes)
        assert jobs.finish(db, grant.job_id, grant.attempt, result, Usage(1, 1, 0.1), place)
        titles.append(grant.job.title)
    return titles


def run_all(db: Database) -> list[str]:
    titles: list[str] = []
    while done := step(db):
        titles += done
    return titles


def downloads(titles: list[str]) -> list[str]:
    return [title for title in titles if title.startswith("download ")]


@pytest.fixture
def done(database: Database) -> Database:
    """A frame of four dates, all through, of downloads that hold its bursts alone."""
    use(database)
    make_frame(database, 4)
    far(database)
    assert len(downloads(run_all(database))) == 4
    return database


def test_recorded_as_what_it_is(done: Database) -> None:
    assert {file.state for file in done.query(File)} == {"remote"}, "nobody else may take it for the whole"
    for product in done.query(Product, stage="download"):
        (file,) = [f for f in done.query(File) if f"{f.date:%Y%m%d}" == product.key]
        assert product.inputs["scenes"] == [[file.id, file.checksum]] and product.inputs[BURSTS_ONLY]["scenes"] == [file.id]
    assert run_all(done) == [] and done.query(PendingJob) == [], "nothing is made again"


def test_fingerprint_is_that_of_the_whole(done: Database) -> None:
    (product, *_) = done.query(Product, stage="download")
    whole = {name: value for name, value in product.inputs.items() if name != BURSTS_ONLY}
    assert product.fingerprint == fingerprint(whole)


def test_switching_it_makes_nothing_stale(done: Database) -> None:
    for on in (False, True):
        use(done, bursts_only=on)
        plan(done, [FRAME], everything=True)
        assert run_all(done) == [] and all(int(row.proc_status) in (2, 3) for row in done.query(Ifg))


def test_another_burst_of_the_frame_is_fetched(done: Database) -> None:
    last = bursts()[-1].id
    dropped, _ = frame_edit.edit_bursts(done, FRAME, drop=[last], confirm=True)
    assert Stage.DOWNLOAD not in {redo.stage for redo in dropped.redo}
    titles = run_all(done)
    assert downloads(titles) == [] and any(title.startswith("slc ") for title in titles), "it holds more than is wanted"
    for product in done.query(Product, stage="download"):  # as of a frame that never had it
        held = {**product.inputs[BURSTS_ONLY], "bursts": [b.id for b in bursts()[:-1]]}
        done.update(Product, {"inputs": {**product.inputs, BURSTS_ONLY: held}}, id=product.id)
    added, _ = frame_edit.edit_bursts(done, FRAME, add=[last], confirm=True)
    assert Stage.DOWNLOAD in {redo.stage for redo in added.redo}
    assert len(downloads(run_all(done))) == 4 and run_all(done) == []


def test_another_polarisation_is_fetched(done: Database) -> None:
    done.settings = done.settings.model_copy(
        update={"parameters": done.settings.parameters.model_copy(update={"polarisation": "vh"})}
    )
    day = done.query(Ifg)[0].date
    done.update(Ifg, {"proc_status": 0, "proc_stage": 2}, date=day)
    titles = step(done)
    assert f"download {FRAME} {day:%Y%m%d}" in titles and not any(title.startswith("slc ") for title in titles)


def test_goes_by_policy_and_comes_back(done: Database) -> None:
    place = done.settings.parameters.processing_path / FRAME / "download"
    assert partial_removal.removable(done) == [] and partial_removal.apply(done, who="the test") == []
    use(done, keep="until_ingested")
    assert len(partial_removal.due(done)) == 4
    day = done.query(Ifg)[0].date
    done.update(Ifg, {"proc_status": 6, "stale_from": 2}, date=day)
    assert len(partial_removal.due(done)) == 3, "a row that is to cut its bursts again keeps it"
    assert len(partial_removal.apply(done, who="the test")) == 3
    assert [path.name for path in place.iterdir()] == [f"{day:%Y%m%d}"]
    run_all(done)
    other = done.query(Ifg)[1].date
    done.update(Ifg, {"proc_status": 0, "proc_stage": 2}, date=other)
    assert f"download {FRAME} {other:%Y%m%d}" in downloads(run_all(done)) and (place / f"{other:%Y%m%d}").is_dir()
    assert ifg(done, other).proc_stage == 3


def test_a_whole_zip_that_went_does_not_make_it_again(done: Database) -> None:
    """Another frame had the zip, and let it go: the bursts of this one are still there."""
    for file in done.query(File):
        done.update(File, {"fetched_utc": now_utc()}, id=file.id)
    day = done.query(Ifg)[0].date
    done.update(Ifg, {"proc_status": 0, "proc_stage": 2}, date=day)
    assert downloads(run_all(done)) == []
    assert retention.removable(done) == []


def test_cut_outs_may_go_while_the_bursts_are_there(done: Database) -> None:
    assert {one.stage for one in space.removable(done)} >= {Stage.SLC}
    use(done, keep="until_ingested")
    partial_removal.apply(done, who="the test")
    assert Stage.SLC not in {one.stage for one in space.removable(done)}


@pytest.mark.parametrize(("only", "least", "most"), [(True, 1.0, 2.0), (False, 3.9, 4.1)])
def test_asks_for_the_space_of_what_it_fetches(database: Database, only: bool, least: float, most: float) -> None:
    use(database, bursts_only=only)
    make_frame(database, 3)
    far(database)
    plan(database, [FRAME])
    found = {job.space_gb for job in database.query(PendingJob) if job.stage == "download"}
    assert found and all(least < gb < most for gb in found), "six bursts at 0.3 GB, not the zip"


def test_the_session_is_that_of_the_archive_with_the_bursts(database: Database) -> None:
    use(database, archives=("cdse", "asf"), archive_sessions=("asf 1",))
    make_frame(database, 3)
    far(database)
    for file in database.query(File):
        database.insert([FileSource(file_id=file.id, archive="cdse", url=f"https://cdse/{file.id}", last_seen_utc=now_utc())])
    plan(database, [FRAME])
    runs.beat_frame(database, FRAME, "the test")
    granted = jobs.grant_pass(database)
    assert len(granted) == 1 and {job.archive for job in database.query(PendingJob)} == {"asf"}


def test_what_its_annotation_tells_is_entered(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of all swaths and the orbit, as of the whole product; it is in the archive alone all the same."""
    day = day_of("plain")
    with burst_site(tmp_path / "site", monkeypatch) as site:
        (found,) = site.download(day, frame=replace(site.frame, bursts=site.frame.bursts[:1])).partial
        whole = read_product(next(site.asf.shelf.folder.rglob(f"{found.id}.zip")))  # type: ignore[union-attr]
    insert_bursts(database, [replace(burst, footprint=burst.footprint) for burst in whole.domain_bursts()])
    columns = {"track": whole.track, "date": day, "state": "remote", "url": found.url, "size": found.size}
    database.insert([File(id=found.id, **columns)])
    arrived = read_arrived(database, [], [found])
    assert [product.bursts for product in arrived.products] == [whole.bursts]
    assert database.write(partial(enter_arrived, found=arrived)) == []
    (file,) = database.query(File)
    assert (file.state, file.abspath, file.proc_utc) == ("remote", None, whole.proc_utc)
    with database.read_scope() as session:
        shown = session.scalars(select(files2bursts.c.burst_id).where(files2bursts.c.file_id == found.id)).all()
        assert len(shown) == len(whole.bursts) > 1 and session.get(FileOrbit, found.id) is not None
