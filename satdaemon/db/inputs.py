"""What a processor is given: frame, scenes, the products it reads, its settings."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from satdaemon.config import NetworkSettings
from satdaemon.db.frames import frame_of, network_settings
from satdaemon.db.jobs.moves import locked
from satdaemon.db.jobs.queue import to_job
from satdaemon.db.models import File, Frame, Ifg, Master, Product, RsarIfg, frames2files
from satdaemon.db.models.products import LEFT_BEHIND
from satdaemon.db.scene_rows import scene_of, sources_of
from satdaemon.db.staleness.conditions import recorded, stage_settings
from satdaemon.db.store import Store
from satdaemon.domain import Frame as FrameValue
from satdaemon.domain import Job, Scene, StageInput, product_key, product_path
from satdaemon.errors import DataError, LeaseLost
from satdaemon.status import RowKind, Stage

COREGISTERED = (Ifg.proc_stage == 3, Ifg.proc_status.in_((2, 3, 6)))
NEIGHBOURS = 2
"""Coregistered dates nearest in time that a new date's coregistration may lean on."""


def stage_input(db: Store, job_id: int, attempt: int, out_dir: Path) -> StageInput:
    """All that the processor of a running job gets, read at one moment, and kept with the job for its fingerprint.

    Raises LeaseLost where (job_id, attempt) does not hold the job, DataError where a product that it needs is not there.
    """
    with db.session_scope() as session:
        row = locked(session, job_id, attempt)
        if row is None:
            raise LeaseLost(f"job {job_id} attempt {attempt}: another attempt holds it, or it has ended")
        job = to_job(row, attempt)
        frame = session.get_one(Frame, job.frame_id)
        master_date = session.scalars(select(Master.date).where(Master.frame_id == job.frame_id)).one()
        network = network_settings(db.settings, frame)
        roles = _roles(session, job, master_date, network)
        paths, prints = _resolve(db, session, job.frame_id, roles)
        scenes = _scenes(db, session, job)
        value = frame_of(session, job.frame_id)
        settings = stage_settings(db.settings, frame, job.stage, network)
        if job.stage is Stage.DOWNLOAD:
            settings["sites"] = db.settings.archives.model_dump(mode="json")
        row.newest_input = session.scalar(select(func.max(Product.id)).where(Product.frame_id == job.frame_id)) or 0
        row.inputs = _kept(db, job, settings, scenes, prints, value, master_date)
        return StageInput(
            job_id=job_id,
            attempt=attempt,
            stage=job.stage,
            kind=job.kind,
            frame=value,
            master_date=master_date,
            date1=job.date1,
            date2=job.date2,
            out_dir=out_dir,
            inputs=paths,
            scenes=scenes,
            settings=settings,
            paths=_paths(db, out_dir),
            polarisation=db.settings.parameters.polarisation,
            cores=math.ceil(job.resources.cpu),
            memory_gb=max(job.resources.memory_gb, db.settings.stage(job.stage).memory_gb),
            memory_limit_gb=job.resources.memory_gb,
        )


def _roles(session: Session, job: Job, master: date, network: NetworkSettings) -> dict[str, tuple[Stage, str]]:
    """Role -> (stage, key) of the product, as docs/products.md lists them."""
    day, geometry = job.date1, (Stage.SATSAR, f"{master:%Y%m%d}")
    match job.stage, job.kind:
        case Stage.SLC, _:
            return {"download": (Stage.DOWNLOAD, job.key)}
        case Stage.SATSAR, RowKind.MASTER:
            return {"slc": (Stage.SLC, job.key)}
        case Stage.SATSAR, _:
            assert day is not None
            near = {f"neighbour/{d:%Y%m%d}": (Stage.SATSAR, f"{d:%Y%m%d}") for d in _neighbours(session, job.frame_id, day)}
            return {"slc": (Stage.SLC, job.key), "master": geometry, **near}
        case Stage.COHERENCE, RowKind.MASTER:
            stack = initial_stack(session, job.frame_id, master, network.initial_stack)
            return {"geometry": geometry, **_satsar([*stack, master])}
        case Stage.COHERENCE, _:
            assert day is not None and job.date2 is not None
            return {"siblings": (Stage.COHERENCE, "frame"), **_satsar([day, job.date2])}
        case Stage.UNWRAP, _:
            return {"coherence": (Stage.COHERENCE, job.key), "geometry": geometry}
        case Stage.TIMESERIES, _:
            return {"geometry": geometry, **_unwraps(session, job.frame_id)}
        case Stage.INGEST, _:
            return {"timeseries": (Stage.TIMESERIES, "frame")}
        case _:
            return {}


def initial_stack(session: Session, frame_id: str, master: date, size: int) -> list[date]:
    """The coregistered secondary dates nearest to the master, so many that with it they are `size`."""
    frame = session.get_one(Frame, frame_id)
    found = session.scalars(select(Ifg.date).where(Ifg.frame_id == frame_id, *COREGISTERED))
    dates = [d for d in found if (frame.start_date or d) <= d <= (frame.end_date or d)]
    return sorted(sorted(dates, key=lambda d: (abs((d - master).days), d))[: size - 1])


def _neighbours(session: Session, frame_id: str, day: date) -> list[date]:
    done = session.scalars(select(Ifg.date).where(Ifg.frame_id == frame_id, Ifg.date != day, *COREGISTERED))
    return sorted(done, key=lambda d: (abs((d - day).days), d))[:NEIGHBOURS]


def _satsar(dates: list[date]) -> dict[str, tuple[Stage, str]]:
    return {f"satsar/{d:%Y%m%d}": (Stage.SATSAR, f"{d:%Y%m%d}") for d in sorted(dates)}


def _unwraps(session: Session, frame_id: str) -> dict[str, tuple[Stage, str]]:
    done = (RsarIfg.frame_id == frame_id, RsarIfg.proc_stage == 2, RsarIfg.proc_status.in_((2, 3, 6)))
    pairs = session.execute(select(RsarIfg.date1, RsarIfg.date2).where(*done).order_by(RsarIfg.date1, RsarIfg.date2)).all()
    keys = [product_key(RowKind.RSAR_IFG, Stage.UNWRAP, one, two) for one, two in pairs]
    roles = {f"unwrap/{key}": (Stage.UNWRAP, key) for key in keys}
    roles |= _satsar(sorted({day for pair in pairs for day in pair}))
    before = session.scalar(select(Product.inputs).where(Product.frame_id == frame_id, Product.stage == Stage.TIMESERIES.value))
    if before is not None and LEFT_BEHIND not in before:
        roles["previous"] = (Stage.TIMESERIES, "frame")
    return roles


def _resolve(
    db: Store, session: Session, frame_id: str, roles: dict[str, tuple[Stage, str]]
) -> tuple[dict[str, Path], dict[str, str]]:
    wanted = {(stage.value, key) for stage, key in roles.values()}
    known = {
        (p.stage, p.key): p
        for p in session.scalars(select(Product).where(Product.frame_id == frame_id, Product.stage.in_({s for s, _ in wanted})))
        if (p.stage, p.key) in wanted and p.removed_utc is None
    }
    paths, prints = {}, {}
    for role, (stage, key) in roles.items():
        product = known.get((stage.value, key))
        if product is not None:
            paths[role], prints[role] = Path(product.path), product.fingerprint
            continue
        path = product_path(db.settings.parameters.processing_path, frame_id, stage, key)
        if not path.is_dir():
            raise DataError(
                f"{role}: expected the product {stage.value} {key} of frame {frame_id} at {path}, found none; "
                f"its row says that it is done: retry that stage"
            )
        paths[role], prints[role] = path, "unknown"
    return paths, prints


def _scenes(db: Store, session: Session, job: Job) -> tuple[Scene, ...]:
    if job.stage not in (Stage.DOWNLOAD, Stage.SLC):
        return ()
    link = frames2files.c
    found = session.scalars(
        select(File)
        .join(frames2files, link.file_id == File.id)
        .where(link.frame_id == job.frame_id, link.date == job.date1, or_(link.valid == 1, link.valid.is_(None)))
        .order_by(File.start_utc, File.id)
    )
    files = found.all()
    sources = sources_of(session, db.settings, [file.id for file in files]) if job.stage is Stage.DOWNLOAD else {}
    return tuple(scene_of(file, sources.get(file.id, ())) for file in files)


def _paths(db: Store, out_dir: Path) -> dict[str, Path]:
    parameters = db.settings.parameters
    paths = {"data": parameters.data_path, "orbits": parameters.orbit_path, "scratch": out_dir.parent / "scratch"}
    if parameters.dem is not None:
        paths["dem"] = parameters.dem
    if parameters.geoid is not None:
        paths["geoid"] = parameters.geoid
    if db.settings.download.archive_path is not None:
        paths["archive"] = db.settings.download.archive_path
    return paths


def _kept(
    db: Store, job: Job, settings: dict[str, Any], scenes: tuple[Scene, ...], prints: dict[str, str], frame: FrameValue,
    master: date,
) -> dict[str, Any]:  # fmt: skip
    """What the fingerprint is made of."""
    kept: dict[str, Any] = {"inputs": {role: print_ for role, print_ in prints.items() if role != "previous"}}
    kept |= recorded(db.settings, job.kind, job.stage, settings, master, [burst.id for burst in frame.bursts])
    if job.stage in (Stage.DOWNLOAD, Stage.SLC):
        kept["scenes"] = sorted([scene.id, scene.checksum] for scene in scenes)
    return kept
