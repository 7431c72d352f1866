"""Jobs on their way: queued, running, failed; the machines, the claims of frames, the daemon row, the events.

`job_keys` holds the two promises. A live job has one row in it, unique by the piece of work; `place` says in
which table the job is, and both tables refer to (job_id, place) with their own fixed place. So one piece of
work is never in the queue twice, never running twice, and never both, whoever writes.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import NEVER_AGAIN, Base, BigKey, Created, RowId, Time, Updated
from satdaemon.db.models.rows import CASCADE

PENDING, RUNNING = "pending", "running"
SCHEDULED, PAUSED, POWER_DOWN = "run", "pause", "power_down"


class JobKey(Base):
    """A live job: the piece of work that it is, and whether it is pending or running."""

    __tablename__ = "job_keys"
    __table_args__ = (
        UniqueConstraint("kind", "row_id", "stage"),
        UniqueConstraint("job_id", "place"),
        CheckConstraint(f"place IN ('{PENDING}', '{RUNNING}')", "place"),
        NEVER_AGAIN,
    )

    job_id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    row_id: Mapped[int] = mapped_column(BigInteger)
    stage: Mapped[str] = mapped_column(String(12))
    place: Mapped[str] = mapped_column(String(8), default=PENDING)


class _Work:
    """What a job is, in whichever table it stands."""

    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE))
    kind: Mapped[str] = mapped_column(String(10))
    row_id: Mapped[int] = mapped_column(BigInteger)
    stage: Mapped[str] = mapped_column(String(12))
    date1: Mapped[date | None] = mapped_column(Date)
    date2: Mapped[date | None] = mapped_column(Date)
    priority: Mapped[int]
    stage_rank: Mapped[int] = mapped_column(SmallInteger, comment="Place of the stage in the chain: later ones go first.")
    cpu: Mapped[float]
    memory_gb: Mapped[float]
    disk: Mapped[float]
    space_gb: Mapped[float] = mapped_column(
        default=0.0, server_default=text("0"), comment="Predicted to be written, product and scratch."
    )
    predicted_s: Mapped[float | None] = mapped_column(comment="How long it is predicted to run.")
    size_class: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default=text("0"), comment="Of its frame, by number of bursts: what it is compared with."
    )
    archive: Mapped[str | None] = mapped_column(String(60), comment="A download's archive, once somebody asked.")
    attempt: Mapped[int] = mapped_column(default=0, comment="Grants so far; with job_id the fence of every write.")
    tries: Mapped[int] = mapped_column(default=0, comment="Attempts so far that ended with an error.")
    why: Mapped[str | None] = mapped_column(Text, comment="Why the planner owes it.")
    failed_on: Mapped[str | None] = mapped_column(Text, comment="Machines, by comma, where it failed and they may be to blame.")
    created_utc: Mapped[Created]


def _live(place: str) -> tuple[Any, ...]:
    keys = ["job_keys.job_id", "job_keys.place"]
    # Deferred: a move changes three tables, and they agree at its end.
    tie = ForeignKeyConstraint(["job_id", "place"], keys, deferrable=True, initially="DEFERRED")
    return tie, CheckConstraint(f"place = '{place}'", "place"), UniqueConstraint("kind", "row_id", "stage")


class PendingJob(_Work, Base):
    """A job that the planner has produced."""

    __tablename__ = "pending_jobs"
    __table_args__ = (
        *_live(PENDING),
        Index("ix_pending_jobs_order", text("priority DESC"), text("stage_rank DESC"), "job_id"),
        Index("ix_pending_jobs_frame_id_order", "frame_id", text("stage_rank DESC"), "job_id"),
    )

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    place: Mapped[str] = mapped_column(String(8), default=PENDING)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    waiting_since: Mapped[datetime] = mapped_column(UtcDateTime, comment="Since when it could have been granted.")
    held: Mapped[bool] = mapped_column(default=False, comment="Cancelled by a person: stays until released or unwanted.")
    no_machine: Mapped[bool] = mapped_column(
        default=False, server_default=text("false"), comment="It cannot go as things are: no machine is large enough, or no disk."
    )
    reason: Mapped[str | None] = mapped_column(Text, comment="Why it is in the queue again: failed, waits, held.")
    waits_for: Mapped[str | None] = mapped_column(Text, comment="What it lacks, by the last grant pass; empty: free machines.")
    passed_over_utc: Mapped[Time] = mapped_column(comment="Since when others pass it, as it fits nowhere.")


class _Lease:
    """What a job has once a machine was granted to it."""

    machine: Mapped[str] = mapped_column(String(60))
    granted_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    started_utc: Mapped[Time]
    heartbeat_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    progress: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str | None] = mapped_column(Text)
    pid: Mapped[int | None]
    host: Mapped[str | None] = mapped_column(String(100))
    log_path: Mapped[str | None] = mapped_column(Text)
    flow_run_id: Mapped[str | None] = mapped_column(String(60))
    task_run_id: Mapped[str | None] = mapped_column(String(60))


class RunningJob(_Work, _Lease, Base):
    """A job that has been launched: a machine is granted to it."""

    __tablename__ = "running_jobs"
    __table_args__ = (
        *_live(RUNNING),
        CheckConstraint("progress >= 0 AND progress <= 1", "progress"),
        Index("ix_running_jobs_frame_id", "frame_id"),
        Index("ix_running_jobs_heartbeat_utc", "heartbeat_utc"),
    )

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    place: Mapped[str] = mapped_column(String(8), default=RUNNING)
    cancel_by: Mapped[str | None] = mapped_column(String(100), comment="Set: the job is asked to stop.")
    cancel_reason: Mapped[str | None] = mapped_column(Text)
    cancel_hold: Mapped[bool] = mapped_column(default=False)
    newest_input: Mapped[int | None] = mapped_column(BigInteger)
    inputs: Mapped[dict[str, Any] | None] = mapped_column(JSON, comment="What it was given: fingerprints by role, settings.")


class FailedJob(_Work, _Lease, Base):
    """A job that failed for good (`message` says why); gone again when the work is retried or done."""

    __tablename__ = "failed_jobs"
    __table_args__ = (UniqueConstraint("kind", "row_id", "stage"), Index("ix_failed_jobs_frame_id", "frame_id"))

    job_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    error_class: Mapped[str] = mapped_column(String(100))
    traceback: Mapped[str | None] = mapped_column(Text)
    return_code: Mapped[int | None]
    signal: Mapped[int | None]
    finished_utc: Mapped[Created]
    wall_s: Mapped[float | None]
    cpu_s: Mapped[float | None]
    peak_memory_gb: Mapped[float | None]


class JobEvent(Base):
    """Something that happened to a job, a row, a frame or the daemon. Never changed; gone by age alone (satdaemon.db.history)."""

    __tablename__ = "job_events"
    __table_args__ = (
        Index("ix_job_events_frame_id", "frame_id", "id"),
        Index("ix_job_events_job_id", "job_id", "id"),
        NEVER_AGAIN,
    )

    id: Mapped[RowId]
    at_utc: Mapped[Created]
    event: Mapped[str] = mapped_column(String(30))
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    attempt: Mapped[int | None]
    frame_id: Mapped[str | None] = mapped_column(String(60))
    kind: Mapped[str | None] = mapped_column(String(10))
    stage: Mapped[str | None] = mapped_column(String(12))
    date1: Mapped[date | None] = mapped_column(Date)
    date2: Mapped[date | None] = mapped_column(Date)
    machine: Mapped[str | None] = mapped_column(String(60))
    who: Mapped[str | None] = mapped_column(String(100))
    message: Mapped[str | None] = mapped_column(Text)
    wall_s: Mapped[float | None]
    cpu_s: Mapped[float | None]
    peak_memory_gb: Mapped[float | None]
    read_bytes: Mapped[int | None] = mapped_column(BigInteger)
    written_bytes: Mapped[int | None] = mapped_column(BigInteger)


class FrameChange(Base):
    """A frame where something changed that the planner has to look at. Triggers add rows, plans take them away.

    Nothing is unique here, so that writers never wait for each other.
    """

    __tablename__ = "frame_changes"
    __table_args__ = (NEVER_AGAIN,)

    id: Mapped[RowId]
    frame_id: Mapped[str] = mapped_column(String(60))
    what: Mapped[str] = mapped_column(String(20), comment="The table.")


class Machine(Base):
    """A processing machine: what it has, and whether jobs may go there."""

    __tablename__ = "machines"
    __table_args__ = (CheckConstraint("state IN ('enabled', 'draining', 'quarantined')", "state"),)

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    host: Mapped[str] = mapped_column(String(100))
    port: Mapped[int] = mapped_column(default=0)
    cpu: Mapped[float]
    memory_gb: Mapped[float]
    disk: Mapped[float]
    state: Mapped[str] = mapped_column(String(12), default="enabled")
    reason: Mapped[str | None] = mapped_column(Text)
    last_seen_utc: Mapped[Time]
    up_since_utc: Mapped[Time] = mapped_column(comment="When its worker last began.")
    last_updated: Mapped[Updated]


class MachineFailure(Base):
    """A failure that may be its machine's fault; gone at the next job of the stage that succeeds there."""

    __tablename__ = "machine_failures"
    __table_args__ = (Index("ix_machine_failures_machine", "machine"), NEVER_AGAIN)

    id: Mapped[RowId]
    machine: Mapped[str] = mapped_column(String(60))
    job_id: Mapped[int] = mapped_column(BigInteger)
    frame_id: Mapped[str] = mapped_column(String(60))
    stage: Mapped[str] = mapped_column(String(12))
    at_utc: Mapped[Created]
    after_event: Mapped[int] = mapped_column(BigInteger, comment="The newest event before it.")
    tries: Mapped[int] = mapped_column(SmallInteger, comment="What it cost its job.")
    reason: Mapped[str] = mapped_column(Text)


class FrameRun(Base):
    """The claim of a frame by one flow run; lost like a job's lease when it is not renewed."""

    __tablename__ = "frame_runs"

    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    claimed_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_utc: Mapped[datetime] = mapped_column(UtcDateTime)


class DaemonTools(Base):
    """Exactly one row: what users ask of the daemon, and what it last did."""

    __tablename__ = "daemon_tools"
    __table_args__ = (
        CheckConstraint("id = 1", "one_row"),
        CheckConstraint(f"command IN ('{SCHEDULED}', '{PAUSED}', '{POWER_DOWN}')", "command"),
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, default=1, autoincrement=False)
    command: Mapped[str] = mapped_column(String(12), default=SCHEDULED)
    replan: Mapped[bool] = mapped_column(default=False, comment="Trigger: plan again at once.")
    change_counter: Mapped[int] = mapped_column(BigInteger, default=0)
    planned_counter: Mapped[int] = mapped_column(BigInteger, default=0, comment="change_counter when the last plan began.")
    changed_by: Mapped[str | None] = mapped_column(String(100))
    changed_what: Mapped[str | None] = mapped_column(Text)
    last_plan_utc: Mapped[Time]
    last_plan_s: Mapped[float | None]
    last_grants_utc: Mapped[Time] = mapped_column(comment="The last grant pass.")
    everything_utc: Mapped[Time] = mapped_column(comment="When the planner last looked at every frame.")
    outside_digest: Mapped[str | None] = mapped_column(String(64), comment="What counts beside the database, at the last plan.")
    initial_stack: Mapped[int] = mapped_column(
        SmallInteger, default=12, server_default=text("12"), comment="satdaemon.cfg's, for frames without their own."
    )
    accept_failed_share: Mapped[float] = mapped_column(
        default=0.2, server_default=text("0.2"), comment="satdaemon.cfg's, for frames without their own."
    )
    version: Mapped[str] = mapped_column(String(20))
    last_updated: Mapped[Updated]
