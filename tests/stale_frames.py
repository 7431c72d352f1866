"""A finished frame with all that its products were made from, and the work that goes on with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from databases import DIALECTS, make_settings
from frames_made import FRAME, add_file, bursts, days, start
from orbit_files import write_orbit
from postgres import Cluster

from satdaemon.archive import orbits
from satdaemon.config import NetworkSettings, Settings
from satdaemon.db import Database, Frame, Ifg, Master, RsarIfg, inputs, jobs, runs
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.jobs.grant import Grant
from satdaemon.db.planning import plan
from satdaemon.domain import StageResult, Usage
from satdaemon.status import ProcStatus, RowKind, Stage

DATES = days(6)
VERSIONS = {stage: (stage.value, "1.0") for stage in Stage}
STALE, DONE = ProcStatus.STALE, ProcStatus.DONE
CPU_S = {stage: 60.0 * (place + 1) for place, stage in enumerate(Stage)}


def settings_in(place: Path, url: str) -> Settings:
    """A small initial stack, so that not every date is in it; a DEM."""
    place.mkdir(parents=True, exist_ok=True)
    dem = place / "dem.tif"
    if not dem.exists():
        dem.write_bytes(b"heights")
    made = make_settings(place, url, dem=dem)
    return made.model_copy(update={"network": NetworkSettings(initial_stack=3, previous=2, annual_pairs=0)})


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC)


def orbit(db: Database, day: date, kind: str = "POEORB", created_days: int = 21) -> Path:
    """A short orbit file around a date's acquisition."""
    folder, moment = db.settings.parameters.orbit_path, at(day)
    created = moment + timedelta(days=created_days)
    return write_orbit(folder, moment - timedelta(minutes=110), moment + timedelta(minutes=10), kind=kind, created=created)


def make(db: Database) -> None:
    """Six dates, the last with a restituted orbit, all done."""
    begin(db)
    work(db)


def begin(db: Database) -> None:
    """The same six dates before any work; switched on and claimed."""
    values = bursts()
    insert_bursts(db, values)
    db.make_new_frame_using_burstlist([b.id for b in values], FRAME)
    for day in DATES:
        add_file(db, at(day), values)
        orbit(db, day, "RESORB" if day == DATES[-1] else "POEORB")
    db.update_procdates(FRAME, DATES[2])
    db.update(Frame, {"processing": True}, id=FRAME)
    assert runs.claim_frame(db, FRAME, "the test")


def work(
    db: Database,
    versions: Mapping[Stage, tuple[str, str]] = VERSIONS,
    planner: Mapping[Stage, tuple[str, str]] = VERSIONS,
) -> list[str]:
    """Everything that is owed, as real jobs of these versions would do it; `stage key` of each."""
    done: list[str] = []
    for _ in range(300):
        plan(db, [FRAME], processors=planner)
        runs.beat_frame(db, FRAME, "the test")
        grants = jobs.grant_pass(db)
        if not grants:
            return done
        for grant in grants:
            finish(db, grant, versions)
            done.append(f"{grant.job.stage.value} {grant.job.key}")
    raise AssertionError("the frame never ends")


def finish(db: Database, grant: Grant, versions: Mapping[Stage, tuple[str, str]] = VERSIONS) -> None:
    """A granted job is done and its product published."""
    job, root = grant.job, db.settings.parameters.processing_path
    assert start(db, grant.job_id, grant.attempt)
    given = inputs.stage_input(db, grant.job_id, grant.attempt, root / "out")
    place = root / FRAME / job.stage / job.key
    place.mkdir(parents=True, exist_ok=True)
    (place / "a.bin").write_bytes(b"x" * 10)
    if job.stage is Stage.DOWNLOAD:
        choice = orbits.choose(db.settings.parameters.orbit_path, "S1A", given.scenes[0].start_utc, given.scenes[0].stop_utc)
        found = {"paths": [str(p) for p in choice.paths], "type": choice.kind}
        (place / "download.json").write_text(json.dumps({"orbit": found}))
    name, version = versions[job.stage]
    scenes = given.scenes if job.stage is Stage.DOWNLOAD else ()
    result = StageResult((), processor=name, processor_version=version, scenes=scenes)
    assert jobs.finish(db, grant.job_id, grant.attempt, result, Usage(1, CPU_S[job.stage], 0.1), place)


def standing(db: Database) -> dict[str, tuple[ProcStatus, int | None]]:
    """(status, stale_from) of every row, by `master`, `20230101` or `20230101_20230113`. Warnings count as done."""
    rows: dict[str, tuple[ProcStatus, int | None]] = {}
    for model in (Master, Ifg, RsarIfg):
        for row in db.query(model, frame_id=FRAME):
            status = DONE if row.status.is_done else row.status
            rows[_name(row)] = (status, row.stale_from)
    return rows


def _name(row: Master | Ifg | RsarIfg) -> str:
    if row.kind is RowKind.MASTER:
        return "master"
    return f"{row.date:%Y%m%d}" if row.kind is RowKind.IFG else f"{row.date1:%Y%m%d}_{row.date2:%Y%m%d}"


def stale_names(db: Database) -> set[str]:
    """The rows that are STALE."""
    return {name for name, (status, _) in standing(db).items() if status is STALE}


def pairs_of(db: Database, day: date) -> set[str]:
    """The pairs that a date is in."""
    return {name for name in standing(db) if "_" in name and f"{day:%Y%m%d}" in name}


def key(day: date) -> str:
    return f"{day:%Y%m%d}"


@contextmanager
def copy_of(place: Path, url: str, to: Path, cluster: Cluster | None) -> Iterator[Database]:
    """The database and the places of a finished frame, copied."""
    for part in ("orbit", "processing", "data", "log"):
        shutil.copytree(place / part, to / part)
    shutil.copy2(place / "dem.tif", to / "dem.tif")
    if cluster is None:
        shutil.copy(place / "satdaemon.sqlite", to / "satdaemon.sqlite")
        db = Database(settings_in(to, f"sqlite:///{to}/satdaemon.sqlite"))
        yield db
        db.close()
        return
    with cluster.database(template=url.partition("@/")[2].partition("?")[0]) as copied:
        db = Database(settings_in(to, copied))
        yield db
        db.close()


@pytest.fixture(scope="module", params=DIALECTS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(places, URL) of a finished frame, made once for each dialect."""
    place = tmp_path_factory.mktemp("finished")
    if request.param == "postgresql":
        with request.getfixturevalue("postgres_cluster").database() as url:
            yield place, _made(place, url)
    else:
        shutil.copy(request.getfixturevalue("sqlite_template"), place / "satdaemon.sqlite")
        yield place, _made(place, f"sqlite:///{place}/satdaemon.sqlite")


@pytest.fixture
def db(request: pytest.FixtureRequest, finished: tuple[Path, str], tmp_path: Path) -> Iterator[Database]:
    """A copy of the finished frame, of which the test is free to change what it likes."""
    place, url = finished
    cluster = request.getfixturevalue("postgres_cluster") if url.startswith("postgresql") else None
    with copy_of(place, url, tmp_path, cluster) as copied:
        yield copied


def _made(place: Path, url: str) -> str:
    db = Database(settings_in(place, url))
    make(db)
    db.close()
    return url
