"""What jobs cost, learned as they end, and what the next ones of their class ask for.

A class is a stage, a kind of row, and the size of the frame; for time also the machine. The configured memory is what a
job asks for at first, and the most; once enough jobs of a class have finished, the next ask for a high quantile of
what those needed, with a margin, and never for less than the most that one needed. Where one runs out of memory all of
its class ask for more, up to the ceiling. Nothing here reads history: each end of a job changes one row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from satdaemon.config import DownloadSettings, Settings
from satdaemon.db.clock import now_utc
from satdaemon.db.models import LearnedCost, Machine, PendingJob, RunningJob
from satdaemon.db.models.learned import ALL_MACHINES
from satdaemon.db.needs import RANK
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.domain import Usage
from satdaemon.planning.quantiles import add, quantile, round_up_gb
from satdaemon.status import Stage

SAMPLES = 8
"""Finished jobs of a class, from which on it counts what they needed."""
MEMORY_SHARE, MEMORY_MARGIN, PEAK_MARGIN = 0.95, 1.25, 1.1
TIME_SHARE = 0.8
SPACE_SHARE, SPACE_MARGIN = 0.95, 1.2
LEAST_GB = 0.25
"""No job asks for less memory: starting a program takes it."""
OOM_FACTOR = 1.5
"""What a job that ran out of memory asks for next, times what it had."""
_GB = 1e9
_FAR_GB = (
    "(SELECT CASE WHEN count(*) > 0 AND count(*) = sum(CASE WHEN w.size > 0 AND substr(w.url, 1, 4) = 'http' THEN 1 ELSE 0 END)"
    " THEN sum(w.size) / 1e9 END FROM frames2files v JOIN files w ON w.id = v.file_id WHERE v.frame_id = o.frame_id"
    " AND v.date = o.date1 AND coalesce(v.valid, 1) = 1 AND w.state <> 'on_disk')"
)
"""SQL: what the zips of a download take, where all that are not on disk come over HTTP and tell their size."""
_CLASSES = 12


def learn(db: Store, session: Session, job: RunningJob, usage: Usage, product_bytes: int) -> None:
    """A job has finished: what it cost counts for the next ones. To be the last thing that its transaction does."""
    if usage.wall_s <= 0.0:
        return
    space_gb = max(product_bytes, usage.written_bytes) / _GB
    for row in _locked(session, job, (ALL_MACHINES, job.machine)):
        before = row.memory_gb
        row.samples += 1
        row.wall_counts = add(row.wall_counts, usage.wall_s)
        row.cpu_counts = add(row.cpu_counts, usage.cpu_s)
        row.memory_counts = add(row.memory_counts, usage.peak_memory_gb)
        row.space_counts = add(row.space_counts, space_gb)
        row.most_memory_gb = max(row.most_memory_gb, usage.peak_memory_gb)
        _conclude(row)
        if row.machine == ALL_MACHINES and row.memory_gb != before:
            _tell_siblings(db, session, row)


def more_memory(db: Store, session: Session, job: RunningJob) -> float:
    """A job has run out of memory: how much it asks for next, GB; its class asks for more from now on, too.

    That is half as much again as it had, at least what is configured, at most the ceiling.
    """
    configured = db.settings.stage(Stage(job.stage))
    largest = session.scalar(select(func.max(Machine.memory_gb))) or job.memory_gb
    ceiling_gb = min(configured.memory_ceiling_gb or largest, largest)
    more_gb = min(round_up_gb(OOM_FACTOR * job.memory_gb), ceiling_gb)
    for row in _locked(session, job, (ALL_MACHINES,)):
        row.ooms += 1
        row.after_oom_gb = max(row.after_oom_gb or 0.0, more_gb)
        _conclude(row)
        _tell_siblings(db, session, row)
    return max(job.memory_gb, more_gb, min(configured.memory_gb, ceiling_gb))


def _locked(session: Session, job: RunningJob, machines: Iterable[str]) -> list[LearnedCost]:
    """The rows that a job counts for, made where they are missing; nobody else writes them meanwhile."""
    found = []
    for machine in machines:
        key = {"stage": job.stage, "kind": job.kind, "size_class": job.size_class, "machine": machine}
        where = [getattr(LearnedCost, name) == value for name, value in key.items()]
        wanted = select(LearnedCost).where(*where).with_for_update().execution_options(populate_existing=True)
        row = session.scalar(wanted)
        if row is None:
            empty: dict[str, Any] = {f"{name}_counts": {} for name in ("memory", "wall", "cpu", "space")}
            numbers = {"samples": 0, "ooms": 0, "most_memory_gb": 0.0, "last_updated": now_utc()}
            insert_ignore(session, LearnedCost, {**key, **empty, **numbers})
            row = session.scalars(wanted).one()
        found.append(row)
    return found


def _conclude(row: LearnedCost) -> None:
    """What follows from what was seen."""
    if row.samples < SAMPLES:
        return
    usual_gb = quantile(row.memory_counts, MEMORY_SHARE) or 0.0
    wanted_gb = max(usual_gb * MEMORY_MARGIN, row.most_memory_gb * PEAK_MARGIN, row.after_oom_gb or 0.0, LEAST_GB)
    row.memory_gb = round_up_gb(wanted_gb)
    row.wall_s = quantile(row.wall_counts, TIME_SHARE)
    row.space_gb = (quantile(row.space_counts, SPACE_SHARE) or 0.0) * SPACE_MARGIN


def _tell_siblings(db: Store, session: Session, row: LearnedCost) -> None:
    """Jobs of the class that are queued and were never granted ask for what is known now."""
    asked_gb = memory_gb(db.settings, Stage(row.stage), row)
    same = (PendingJob.stage == row.stage, PendingJob.kind == row.kind, PendingJob.size_class == row.size_class)
    chosen = select(PendingJob.job_id).where(*same, PendingJob.attempt == 0, PendingJob.memory_gb != asked_gb)
    values: dict[str, Any] = {"memory_gb": asked_gb}
    if row.wall_s is not None:
        values["predicted_s"] = row.wall_s
        if not (row.stage == Stage.DOWNLOAD and db.settings.download.is_far):  # the sizes of its zips are known
            values["space_gb"] = row.space_gb
    # Whoever is at work on such a job goes on with what it asked for: this waits for nobody.
    free = chosen.with_for_update(skip_locked=True).scalar_subquery() if db.on_postgresql else chosen.scalar_subquery()
    session.flush()
    session.execute(
        update(PendingJob).where(PendingJob.job_id.in_(free)).values(**values).execution_options(synchronize_session=False)
    )


def memory_gb(settings: Settings, stage: Stage, row: LearnedCost | None) -> float:
    """What a job of a class asks for now, GB: the same rule as `asked_sql`."""
    configured = settings.stage(stage).memory_gb
    if row is None:
        return configured
    if row.after_oom_gb is not None and row.after_oom_gb > configured:
        return row.after_oom_gb
    if settings.parameters.learn_resources and row.memory_gb is not None:
        return min(row.memory_gb, configured)
    return configured


def asked_sql(settings: Settings, only_frames: str) -> tuple[str, str]:
    """SQL: what a new job of `owed o` asks for (cpu, memory_gb, disk, space_gb, predicted_s, size_class), and its joins.

    `only_frames` is a condition on `b.frame_id`, with AND before it.
    """
    stages = {stage: settings.stage(stage) for stage in RANK}
    cpu, configured_gb, disk = (_by_stage({s: getattr(c, n) for s, c in stages.items()}) for n in ("cpu", "memory_gb", "disk"))
    space_gb = _by_stage({s: 0.0 if _is_linked(c) else c.space_gb for s, c in stages.items()})
    learned_gb = f"WHEN l.memory_gb < {configured_gb} THEN l.memory_gb" if settings.parameters.learn_resources else ""
    memory = f"CASE WHEN l.after_oom_gb > {configured_gb} THEN l.after_oom_gb {learned_gb} ELSE {configured_gb} END"
    bursts = "coalesce(z.bursts, 0)"
    space = f"coalesce(l.space_gb, {space_gb} * {bursts})"
    if settings.download.is_far:
        of_zips = f"coalesce({_FAR_GB}, {space})"
        if settings.download.bursts_only and "asf" in settings.download.archives:
            few = f"{space_gb} * {bursts}"  # what was learned of whole products says nothing
            of_zips = f"CASE WHEN {_FAR_GB} < {few} THEN {_FAR_GB} ELSE {few} END"
        space = f"CASE o.stage WHEN '{Stage.DOWNLOAD}' THEN {of_zips} ELSE {space} END"
    columns = f"{cpu}, {memory}, {disk}, {space}, l.wall_s, {_class_of(bursts)}"
    joins = (
        " LEFT JOIN (SELECT b.frame_id, count(*) AS bursts FROM frames2bursts b WHERE 1 = 1"
        f"{only_frames} GROUP BY b.frame_id) z ON z.frame_id = o.frame_id"
        f" LEFT JOIN learned_costs l ON l.stage = o.stage AND l.kind = o.kind AND l.size_class = {_class_of(bursts)}"
        f" AND l.machine = '{ALL_MACHINES}'"
    )
    return columns, joins


def _is_linked(settings: object) -> bool:
    """A hard link takes no room."""
    return isinstance(settings, DownloadSettings) and settings.transfer == "link"


def _by_stage(values: dict[Stage, float]) -> str:
    return "CASE o.stage " + " ".join(f"WHEN '{stage.value}' THEN {float(value)!r}" for stage, value in values.items()) + " END"


def _class_of(bursts: str) -> str:
    """SQL of satdaemon.planning.quantiles.size_class."""
    steps = " ".join(f"WHEN {bursts} < {2 ** (n + 1)} THEN {n}" for n in range(_CLASSES))
    return f"CASE {steps} ELSE {_CLASSES} END"


def predicted_s(session: Session, jobs: Iterable[PendingJob], machine_of: dict[int, str]) -> dict[int, float]:
    """How long jobs are predicted to run on the machines that they get, s: where jobs of their class ran there."""
    key = (LearnedCost.stage, LearnedCost.kind, LearnedCost.size_class, LearnedCost.machine)
    here = LearnedCost.machine.in_(set(machine_of.values()))
    known = select(*key, LearnedCost.wall_s).where(here, LearnedCost.wall_s.is_not(None))
    seconds: dict[tuple[str, str, int, str], float] = {
        (stage, kind, size, machine): float(wall_s or 0.0) for stage, kind, size, machine, wall_s in session.execute(known)
    }
    return {j.job_id: seconds[found] for j in jobs if (found := (j.stage, j.kind, j.size_class, machine_of[j.job_id])) in seconds}
