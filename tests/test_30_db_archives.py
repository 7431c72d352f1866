"""Scenes of several archives in the database: who has what, which bursts, what one failing archive means."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_stand_ins import at_stand_ins
from frames_made import add_orbit, make_frame
from simulated import index_of, small_archive, small_truth, zip_of

from satdaemon.db import Database, File, FileSource, Frame, Ifg, Master, Message, PendingJob, RunningJob, inputs, jobs, runs
from satdaemon.db.arrived import read_arrived, take
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.dates import days_of_frame
from satdaemon.db.frames import frame_of
from satdaemon.db.models import files2bursts, frames2files
from satdaemon.db.planning import plan
from satdaemon.db.scene_rows import scene_of, sources_of
from satdaemon.db.scenes import fill_files, search_archives
from satdaemon.domain import Failure, StageInput, Usage
from satdaemon.errors import ArchiveError, ConfigError, CredentialsError, DataError, RequestError, Throttled
from satdaemon.insar.safe import read_product
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble

FRAME = "132A_FETCH"


def use(db: Database, *archives: str, path: Path | None = None, **stand_ins) -> Database:
    """These archives, at stand-ins."""
    download = db.settings.download.model_copy(update={"archives": archives, "archive_path": path})
    db.settings = at_stand_ins(db.settings.model_copy(update={"download": download}), **stand_ins)
    return db


@pytest.fixture
def frame(database: Database) -> str:
    """All six bursts of the simulated archive."""
    product = read_product(zip_of(0))
    insert_bursts(database, product.domain_bursts())
    database.make_new_frame_using_burstlist([burst.id for burst in product.domain_bursts()], FRAME)
    return FRAME


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(small_archive() / "archive")


def ties(db: Database) -> dict[str, dict]:
    with db.read_scope() as session:
        rows = session.execute(files2bursts.select()).all()
    found: dict[str, dict] = {}
    for file_id, burst, start in rows:
        found.setdefault(file_id, {})[burst] = start
    return found


def dump(db: Database) -> list:
    """All that a search may change."""
    sources = [(s.file_id, s.archive, s.url, s.size, s.checksum, s.published_utc) for s in db.query(FileSource)]
    files = [(f.id, f.state, f.url, f.size, f.checksum, f.abspath, f.proc_utc, f.reason) for f in db.query(File)]
    return [sorted(sources), sorted(files, key=str), ties(db), [f.files_changed_utc for f in db.query(Frame)]]


def test_scenes_of_two_archives_with_the_bursts_that_they_show(database: Database, frame: str, shelf: Shelf) -> None:
    items = shelf.items()
    with AsfStandIn(shelf, duplicates=True) as asf, CdseStandIn(shelf) as cdse:
        use(database, "asf", "cdse", asf=asf, cdse=cdse)
        report = database.fill_files_table(frame)
        assert (report.found, report.added, report.bad, report.warnings) == (len(items), len(items), {}, ())
        assert report.listed == {"asf": len(items), "cdse": len(items)}
        rows = {f.id: f for f in database.query(File)}
        for item in items:
            row = rows[item.name]
            assert (row.state, row.abspath, row.size, row.checksum) == ("remote", None, item.size, f"md5:{item.md5}")
            assert row.url.startswith(asf.base) and row.url.endswith(f"/{item.name}.zip") and row.footprint is not None
            if item.proc_utc is not None:
                assert row.proc_utc is not None, "NASA does not tell it, Copernicus does"
        sources = database.query(FileSource)
        assert {(s.file_id, s.archive) for s in sources} == {(i.name, a) for i in items for a in ("asf", "cdse")}
        before, searches = dump(database), asf.tally.of("search")
        again = fill_files(database, frame)
        assert (again.found, again.added, again.renewed) == (len(items), 0, 0)
        assert dump(database) == before and asf.tally.of("search") <= 2 * searches
    shown = ties(database)
    for path in sorted((small_archive() / "archive").rglob("*.zip")):
        try:
            product = read_product(path)
        except DataError:
            continue  # the simulator's corrupt zip: an archive does not know
        starts = {b.id: b.sensing_time_utc for b in product.bursts}
        assert len(shown[path.stem]) == len(starts), path.stem
        assert all(min(abs(s - t) for t in starts.values()) < timedelta(seconds=2) for s in shown[path.stem].values())


def test_both_products_of_a_reissued_date_are_known_and_the_newest_counts(database: Database, frame: str, shelf: Shelf) -> None:
    record = small_truth().document["dates"][index_of("duplicate")]
    with AsfStandIn(shelf) as asf, CdseStandIn(shelf) as cdse:
        for archives in (("cdse",), ("asf",)):
            use(database, *archives, asf=asf, cdse=cdse)
            database.fill_files_table(frame)
            assert set(record["products"]) <= {f.id for f in database.query(File)}
            database.update_procdates(frame)
            newest = max(range(2), key=lambda k: read_product(zip_of(index_of("duplicate"), k)).proc_utc)
            with database.read_scope() as session:
                rows = session.execute(frames2files.select().where(frames2files.c.file_id.in_(record["products"]))).all()
            assert {row.file_id: row.valid for row in rows} == {n: int(k == newest) for k, n in enumerate(record["products"])}


def test_where_no_time_of_processing_is_told_the_last_published_counts(database: Database, frame: str, tmp_path: Path) -> None:
    record = small_truth().document["dates"][index_of("duplicate")]
    one, two = sorted(record["products"])
    place = tmp_path / "shelf"
    place.mkdir()
    for name in (one, two):
        shutil.copy(zip_of(index_of("duplicate"), record["products"].index(name)), place)
    os.utime(place / f"{one}.zip", (2e9, 2e9))
    os.utime(place / f"{two}.zip", (1e9, 1e9))
    with AsfStandIn(Shelf(place)) as asf:
        use(database, "asf", asf=asf)
        database.fill_files_table(frame)
    assert {f.proc_utc for f in database.query(File)} == {None}
    with database.read_scope() as session:
        (day,) = days_of_frame(session, frame_of(session, frame)).values()
    assert ([s.id for s in day.scenes], [s.id for s in day.replaced]) == ([one], [two])


def test_one_archive_that_is_down_is_a_warning_and_all_of_them_an_error(database: Database, frame: str, shelf: Shelf) -> None:
    down = Faults()
    down.expect("search", *[Trouble(Fault.BROKEN)] * 100)
    with AsfStandIn(shelf, down) as asf, CdseStandIn(shelf) as cdse:
        use(database, "asf", "cdse", asf=asf, cdse=cdse)
        report = database.fill_files_table(frame)
        (warning,) = report.warnings
        assert report.added > 0 and warning.startswith("asf did not answer, others did: asf (127.0.0.1:")
        assert {s.archive for s in database.query(FileSource)} == {"cdse"}
        cdse.faults.expect("search", *[Trouble(Fault.BROKEN)] * 100)
        before = dump(database)
        with pytest.raises(ArchiveError, match=r"no archive answers: asf: asf .*HTTP 500.*; cdse: cdse .*HTTP 500"):
            database.fill_files_table(frame)
        with pytest.raises(ArchiveError, match=r"^cdse \(127"):
            search_archives(database, [frame], only=["cdse"])
        assert dump(database) == before
        with pytest.raises(ConfigError, match="expected one of"):
            fill_files(database, frame, only=["local"])


def test_a_directory_and_an_archive_together(database: Database, frame: str, shelf: Shelf, tmp_path: Path) -> None:
    """What can be read here is read; a zip here that is bad is taken from the other archive."""
    here = tmp_path / "archive"
    here.mkdir()
    whole, cut = zip_of(0), zip_of(1)
    shutil.copy(whole, here)
    (here / cut.name).write_bytes(cut.read_bytes()[:4000])
    with CdseStandIn(shelf) as cdse:
        use(database, "local", "cdse", path=here, cdse=cdse)
        report = database.fill_files_table(frame)
        rows = {f.id: f for f in database.query(File)}
        assert (rows[whole.stem].url, rows[whole.stem].state) == ((here / whole.name).as_uri(), "remote")
        assert rows[cut.stem].url.startswith(cdse.base) and rows[cut.stem].state == "remote"
        assert report.bad == {} and any("taken from cdse" in warning for warning in report.warnings)
        has = {(s.file_id, s.archive) for s in database.query(FileSource)}
        assert {(whole.stem, "local"), (whole.stem, "cdse"), (cut.stem, "cdse")} <= has and (cut.stem, "local") not in has
        with database.read_scope() as session:
            row = session.get_one(File, whole.stem)
            (sources,) = sources_of(session, database.settings, [whole.stem]).values()
            scene = scene_of(row, sources)
        assert [each.archive for each in scene.sources] == ["local", "cdse"] and scene.sources[0].url == scene.url
        database.settings = database.settings.model_copy(
            update={"download": database.settings.download.model_copy(update={"archives": ("cdse", "local")})}
        )
        database.fill_files_table(frame)
        assert database.query(File, id=whole.stem)[0].url.startswith(cdse.base), "the preferred archive's"


def test_what_is_on_disk_stays_so_and_what_is_missing_can_be_had_again(database: Database, frame: str, shelf: Shelf) -> None:
    first, second, third = (zip_of(k).stem for k in (0, 1, 4))
    with CdseStandIn(shelf) as cdse:
        use(database, "cdse", cdse=cdse)
        database.fill_files_table(frame)
        database.update(File, {"state": "on_disk", "checksum": "sha256:aa", "size": 5, "abspath": "/x"}, id=first)
        database.update(File, {"state": "missing", "reason": "was on disk, is not now"}, id=second)
        database.update(File, {"state": "bad", "reason": "spoilt"}, id=third)
        database.fill_files_table(frame)
    rows = {f.id: f for f in database.query(File)}
    assert (rows[first].state, rows[first].checksum, rows[first].size, rows[first].abspath) == ("on_disk", "sha256:aa", 5, "/x")
    assert (rows[second].state, rows[second].reason) == ("remote", None)
    assert rows[third].state == "bad", "the archive has nothing new"


def test_a_job_carries_the_sources_of_its_scenes_and_what_arrives_is_read(
    database: Database, frame: str, shelf: Shelf, tmp_path: Path
) -> None:
    missing = index_of("missing_burst")
    with AsfStandIn(shelf) as asf, CdseStandIn(shelf) as cdse:
        use(database, "cdse", "asf", asf=asf, cdse=cdse)
        database.fill_files_table(frame)
    for file in database.query(File):
        add_orbit(database, file.date, str(file.platform))
    database.update_procdates(frame)
    database.update(Frame, {"processing": True}, id=frame)
    assert runs.claim_frame(database, frame, "the test")
    plan(database, [frame])
    grant, *_ = jobs.grant_pass(database)
    assert jobs.start(database, grant.job_id, grant.attempt, pid=1, host="x", log_path=None)
    job = inputs.stage_input(database, grant.job_id, grant.attempt, tmp_path / "out")
    assert StageInput.from_json(job.to_json()) == job
    for scene in job.scenes:
        assert [source.archive for source in scene.sources] == ["cdse", "asf"]
        assert scene.sources[0].url == scene.url and scene.sources[1].checksum == scene.checksum
    # A product that shows less than its footprint promises: known once it is here.
    name = zip_of(missing).stem
    with database.session_scope() as session:
        burst = next(iter(set(next(iter(ties(database).values()))) - set(ties(database)[name])))
        session.execute(files2bursts.insert().values(file_id=name, burst_id=burst))
    scene = scene_of(database.query(File, id=name)[0])
    here = [replace(scene, path=zip_of(missing))]
    assert take(database, here) == [] and database.query(File, id=name)[0].state == "on_disk"
    assert burst not in ties(database)[name] and len(ties(database)[name]) == len(read_product(zip_of(missing)).bursts)
    assert read_arrived(database, here).products == [], "it is opened once"
    assert database.query(Ifg, frame_id=frame)


def test_a_frame_without_footprints_is_asked_for_in_a_directory_alone(database: Database, tmp_path: Path) -> None:
    product = read_product(zip_of(0))
    insert_bursts(database, [replace(b, footprint=()) for b in product.domain_bursts()])
    database.make_new_frame_using_burstlist([b.id for b in product.domain_bursts()], FRAME)
    with CdseStandIn(Shelf()) as cdse:
        use(database, "cdse", "local", path=small_archive() / "archive", cdse=cdse)
        with pytest.raises(RequestError, match="expected bursts with footprints, got none"):
            search_archives(database, [FRAME], only=["cdse"])
        report = database.fill_files_table(FRAME)
    (warning,) = report.warnings
    assert report.found > 5 and "cdse did not answer, others did" in warning and "load the burst map" in warning
    assert fill_files(database, FRAME, only=["local"]).added == 0, "the zips told the footprints"


def remote_frame(db: Database, *, archive: str = "cdse", size: int = 2_000_000_000) -> None:
    """Three dates that are to be had from an archive, and three that are on disk."""
    download = db.settings.download.model_copy(
        update={"archives": ("cdse", "asf"), "archive_sessions": ("cdse 1", "asf 5"), "disk": 5.0}
    )
    db.settings = db.settings.model_copy(update={"download": download})
    days = make_frame(db, 6)
    for day in days[:3]:
        url = "https://datapool.asf.alaska.edu/SLC/SA/x.zip"
        db.update(File, {"state": "remote", "url": url, "size": size}, date=day)
        (file,) = db.query(File, date=day)
        for name in ("asf", archive):
            db.insert([FileSource(file_id=file.id, archive=name, url=f"https://{name}", last_seen_utc=file.start_utc)])


def test_sessions_count_by_the_preferred_archive_and_space_by_known_sizes(database: Database) -> None:
    remote_frame(database)
    plan(database)
    space = sorted(j.space_gb for j in database.query(PendingJob))
    assert space[-3:] == [2.0, 2.0, 2.0] and space[:3] == [pytest.approx(database.settings.download.space_gb * 6)] * 3
    jobs.grant_pass(database)
    assert Counter(j.archive for j in database.query(RunningJob)) == {"cdse": 1, "local": 3}
    assert all("1 downloads from cdse" in str(j.waits_for) for j in database.query(PendingJob))


@pytest.mark.parametrize(
    ("error", "least_s", "most_s"),
    [(Throttled("busy", retry_after_s=1234.0), 1200, 1240), (CredentialsError("cdse: refused: correct them"), 880, 910)],
)
def test_what_an_archive_says_to_one_download_holds_for_the_others(
    database: Database, error: Exception, least_s: float, most_s: float
) -> None:
    """No try is lost, the reason is on the rows, and none asks before it may."""
    remote_frame(database)
    plan(database)
    jobs.grant_pass(database)
    (live,) = (j for j in database.query(RunningJob) if j.archive == "cdse")
    assert jobs.start(database, live.job_id, live.attempt, pid=1, host="x", log_path=None)
    outcome = jobs.fail(database, live.job_id, live.attempt, Failure.from_exception(error), Usage(1, 1, 0.1))
    assert outcome.kind == "waiting"
    pending = {j.job_id: j for j in database.query(PendingJob)}
    assert len(pending) == 3 and pending[live.job_id].tries == 0 and pending[live.job_id].reason == str(error)
    assert all(least_s <= (j.not_before - datetime.now(UTC)).total_seconds() <= most_s for j in pending.values())
    assert all(str(error) in str(j.reason) for j in pending.values()) and jobs.grant_pass(database) == []
    told = [m.title for m in database.query(Message)]
    assert told == (["cdse: login missing or refused"] if isinstance(error, CredentialsError) else [])
    (row,) = (row for row in database.query(Ifg) if row.id == live.row_id) if live.kind == "ifg" else database.query(Master)
    assert str(error) in str(row.reason) and int(row.proc_status) == 0
