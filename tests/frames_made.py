"""Frames, files and dates without any zip: what the database needs to know of them, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from satdaemon.db import Database, File, Frame, Ifg, Master, inputs, jobs, runs
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.links import tie_file
from satdaemon.db.planning import plan
from satdaemon.domain import Burst as BurstValue
from satdaemon.domain import StageResult, Usage

FRAME = "132A_TEST"
STEP_DAYS = 12
FIRST = date(2023, 1, 1)


def bursts(count: int = 3, swaths: Sequence[str] = ("IW1", "IW2"), track: int = 132) -> list[BurstValue]:
    """Neighbouring bursts, each 0.2 degrees high."""
    made = []
    for k, swath in enumerate(swaths):
        for i in range(count):
            anx, lon, lat = 8566 + 9 * k + round(27.58 * i), -2.0 + 0.9 * k, 52.0 + 0.18 * i
            corners = ((lon, lat), (lon + 0.95, lat), (lon + 0.95, lat + 0.2), (lon, lat + 0.2))
            made.append(BurstValue(f"{track}_{anx}_{swath}", track, "A", anx, swath, None, corners))
    return made


def days(count: int, first: date = FIRST, step: int = STEP_DAYS) -> list[date]:
    return [first + timedelta(days=step * i) for i in range(count)]


def scene_name(start: datetime, platform: str = "S1A", crc: str = "AAAA", length_s: int = 27, orbit: int = 12345) -> str:
    stop = start + timedelta(seconds=length_s)
    return f"{platform}_IW_SLC__1SDV_{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}_{orbit:06d}_0ABCDE_{crc}"


def add_file(
    db: Database,
    start: datetime,
    shown: Sequence[BurstValue],
    *,
    crc: str = "AAAA",
    proc_utc: datetime | None = None,
    platform: str = "S1A",
    state: str = "on_disk",
    **columns: object,
) -> str:
    """A row of files, tied to bursts."""
    name = scene_name(start, platform, crc)
    with db.session_scope() as session:
        session.add(
            File(
                id=name, track=132, orbit_direction="A", date=start.date(), start_utc=start,
                stop_utc=start + timedelta(seconds=27), platform=platform, absolute_orbit=12345,
                proc_utc=proc_utc or start + timedelta(hours=3), state=state,
                size=1000, checksum=f"md5:{crc}", **columns,
            )
        )  # fmt: skip
        session.flush()
        tie_file(session, name, {b.id: start + timedelta(seconds=2.7 * i) for i, b in enumerate(shown)})
    return name


def add_orbit(db: Database, day: date, platform: str = "S1A") -> Path:
    """A precise orbit, by name."""
    start, stop = day - timedelta(days=1), day + timedelta(days=1)
    made = day + timedelta(days=21)
    name = f"{platform}_OPER_AUX_POEORB_OPOD_{made:%Y%m%d}T120000_V{start:%Y%m%d}T225942_{stop:%Y%m%d}T005942.EOF"
    path = db.settings.parameters.orbit_path / name
    path.write_text("")
    return path


def add_dates(db: Database, shown: Sequence[Sequence[BurstValue]]) -> list[date]:
    """A file and an orbit for each date, which shows the bursts given; the dates."""
    found = days(len(shown))
    for day, some in zip(found, shown, strict=True):
        add_file(db, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), some)
        add_orbit(db, day)
    return found


def make_frame(db: Database, dates: int = 6, *, on: bool = True, frame_id: str = FRAME) -> list[date]:
    """A frame of six bursts with so many dates, its rows made, switched on and claimed."""
    values, found = bursts(), days(dates)
    insert_bursts(db, values)
    db.make_new_frame_using_burstlist([b.id for b in values], frame_id)
    for day in found:
        if db.query(File, date=day):
            continue
        add_file(db, datetime(day.year, day.month, day.day, 6, 14, 0, tzinfo=UTC), values)
        add_orbit(db, day)
    db.update_procdates(frame_id)
    db.update(Frame, {"processing": on}, id=frame_id)
    assert runs.claim_frame(db, frame_id, "the test")
    return found


def master_date(db: Database, frame_id: str = FRAME) -> date:
    (row,) = db.query(Master, frame_id=frame_id)
    return row.date


def ifg(db: Database, day: date, frame_id: str = FRAME) -> Ifg:
    (row,) = db.query(Ifg, frame_id=frame_id, date=day)
    return row


def step(db: Database, *, result: StageResult | None = None, product: bool = False, frame_id: str = FRAME) -> list[str]:
    """Plan, grant, start and finish whatever can go now; the titles of the jobs."""
    plan(db, [frame_id])
    runs.beat_frame(db, frame_id, "the test")
    titles = []
    for grant in jobs.grant_pass(db):
        assert start(db, grant.job_id, grant.attempt)
        place = None
        if product:
            inputs.stage_input(db, grant.job_id, grant.attempt, db.settings.parameters.processing_path / "out")
            place = db.settings.parameters.processing_path / frame_id / grant.job.stage / grant.job.key
            place.mkdir(parents=True, exist_ok=True)
            (place / "a.bin").write_bytes(b"x" * 10)
        assert jobs.finish(db, grant.job_id, grant.attempt, result or StageResult((), processor="test", processor_version="1"),
                           Usage(1, 1, 0.1), place)  # fmt: skip
        titles.append(grant.job.title)
    return titles


def run_all(db: Database, *, product: bool = False, frame_id: str = FRAME, most: int = 500) -> list[str]:
    """Everything that the frame owes, without a failure."""
    titles: list[str] = []
    for _ in range(most):
        done = step(db, product=product, frame_id=frame_id)
        if not done:
            return titles
        titles += done
    raise AssertionError("the frame never ends")


def start(db: Database, job_id: int, attempt: int) -> bool:
    return jobs.start(db, job_id, attempt, pid=1, host="here", log_path=None, flow_run_id=None, task_run_id=None)
