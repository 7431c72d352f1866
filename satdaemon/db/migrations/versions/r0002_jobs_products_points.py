"""Jobs, events, products and points."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from satdaemon.db.clock import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards."""
    _job_events()
    _job_keys()
    _points()
    _points_series()
    _points_versions()
    _failed_jobs()
    _frame_runs()
    _pending_jobs()
    _products()
    _running_jobs()


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _job_events() -> None:
    op.create_table(
        "job_events",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at_utc", UtcDateTime(), nullable=False),
        sa.Column("event", sa.String(30), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("frame_id", sa.String(60), nullable=True),
        sa.Column("kind", sa.String(10), nullable=True),
        sa.Column("stage", sa.String(12), nullable=True),
        sa.Column("date1", sa.Date(), nullable=True),
        sa.Column("date2", sa.Date(), nullable=True),
        sa.Column("machine", sa.String(60), nullable=True),
        sa.Column("who", sa.String(100), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("wall_s", sa.Double(), nullable=True),
        sa.Column("cpu_s", sa.Double(), nullable=True),
        sa.Column("peak_memory_gb", sa.Double(), nullable=True),
        sa.Column("read_bytes", sa.BigInteger(), nullable=True),
        sa.Column("written_bytes", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_events_frame_id", "job_events", ["frame_id", "id"])
    op.create_index("ix_job_events_job_id", "job_events", ["job_id", "id"])


def _job_keys() -> None:
    op.create_table(
        "job_keys",
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("place", sa.String(8), nullable=False),
        sa.CheckConstraint("place IN ('pending', 'running')", name=op.f("ck_job_keys_place")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_keys")),
        sa.UniqueConstraint("job_id", "place", name=op.f("uq_job_keys_job_id_place")),
        sa.UniqueConstraint("kind", "row_id", "stage", name=op.f("uq_job_keys_kind_row_id_stage")),
        sqlite_autoincrement=True,
    )


def _points() -> None:
    op.create_table(
        "points",
        sa.Column("version_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("point_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("lon", sa.Double(), nullable=False),
        sa.Column("lat", sa.Double(), nullable=False),
        sa.Column("height_m", sa.REAL(), nullable=True),
        sa.Column("velocity", sa.REAL(), nullable=True, comment="mm/yr, line of sight, positive towards the satellite."),
        sa.Column("velocity_std", sa.REAL(), nullable=True, comment="mm/yr"),
        sa.Column("temporal_coherence", sa.REAL(), nullable=True),
        sa.Column("incidence_deg", sa.REAL(), nullable=True),
        sa.Column("dem_error_m", sa.REAL(), nullable=True),
        sa.Column("seasonal_sin", sa.REAL(), nullable=True, comment="mm"),
        sa.Column("seasonal_cos", sa.REAL(), nullable=True, comment="mm"),
        sa.PrimaryKeyConstraint("version_id", "point_id", name=op.f("pk_points")),
    )
    op.create_index("ix_points_version_id_cell", "points", ["version_id", "cell"])


def _points_series() -> None:
    op.create_table(
        "points_series",
        sa.Column("version_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("point_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series", sa.LargeBinary().with_variant(postgresql.ARRAY(sa.SmallInteger()), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "point_id", name=op.f("pk_points_series")),
    )


def _points_versions() -> None:
    op.create_table(
        "points_versions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False, comment="Number of points."),
        sa.Column("dates", sa.JSON(), nullable=False, comment="ISO dates of the series, in order."),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("activated_utc", UtcDateTime(), nullable=True),
        sa.CheckConstraint("state IN ('loading', 'active', 'old')", name=op.f("ck_points_versions_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_versions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_points_versions_frame_id"), "points_versions", ["frame_id"])
    op.create_index("uq_points_versions_active", "points_versions", ["frame_id"], unique=True, **_where("state = 'active'"))


def _failed_jobs() -> None:
    op.create_table(
        "failed_jobs",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("error_class", sa.String(100), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=True),
        sa.Column("return_code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("finished_utc", UtcDateTime(), nullable=False),
        sa.Column("wall_s", sa.Double(), nullable=True),
        sa.Column("cpu_s", sa.Double(), nullable=True),
        sa.Column("peak_memory_gb", sa.Double(), nullable=True),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("date1", sa.Date(), nullable=True),
        sa.Column("date2", sa.Date(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "stage_rank", sa.SmallInteger(), nullable=False, comment="Place of the stage in the chain: later ones go first."
        ),
        sa.Column("cpu", sa.Double(), nullable=False),
        sa.Column("memory_gb", sa.Double(), nullable=False),
        sa.Column("disk", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="Grants so far; with job_id the fence of every write."),
        sa.Column("tries", sa.Integer(), nullable=False, comment="Attempts so far that ended with an error."),
        sa.Column("why", sa.Text(), nullable=True, comment="Why the planner owes it."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("machine", sa.String(60), nullable=False),
        sa.Column("granted_utc", UtcDateTime(), nullable=False),
        sa.Column("started_utc", UtcDateTime(), nullable=True),
        sa.Column("heartbeat_utc", UtcDateTime(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(100), nullable=True),
        sa.Column("log_path", sa.Text(), nullable=True),
        sa.Column("flow_run_id", sa.String(60), nullable=True),
        sa.Column("task_run_id", sa.String(60), nullable=True),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_failed_jobs_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_failed_jobs")),
        sa.UniqueConstraint("kind", "row_id", "stage", name=op.f("uq_failed_jobs_kind_row_id_stage")),
    )
    op.create_index("ix_failed_jobs_frame_id", "failed_jobs", ["frame_id"])


def _frame_runs() -> None:
    op.create_table(
        "frame_runs",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("claimed_utc", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_utc", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_frame_runs_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_frame_runs")),
    )


def _pending_jobs() -> None:
    op.create_table(
        "pending_jobs",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.String(8), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("waiting_since", UtcDateTime(), nullable=False, comment="Since when it could have been granted."),
        sa.Column("held", sa.Boolean(), nullable=False, comment="Cancelled by a person: stays until released or unwanted."),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it is not granted: waits, held, too big."),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("date1", sa.Date(), nullable=True),
        sa.Column("date2", sa.Date(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "stage_rank", sa.SmallInteger(), nullable=False, comment="Place of the stage in the chain: later ones go first."
        ),
        sa.Column("cpu", sa.Double(), nullable=False),
        sa.Column("memory_gb", sa.Double(), nullable=False),
        sa.Column("disk", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="Grants so far; with job_id the fence of every write."),
        sa.Column("tries", sa.Integer(), nullable=False, comment="Attempts so far that ended with an error."),
        sa.Column("why", sa.Text(), nullable=True, comment="Why the planner owes it."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.CheckConstraint("place = 'pending'", name=op.f("ck_pending_jobs_place")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_pending_jobs_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["job_id", "place"],
            ["job_keys.job_id", "job_keys.place"],
            name=op.f("fk_pending_jobs_job_id_place"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_pending_jobs")),
        sa.UniqueConstraint("kind", "row_id", "stage", name=op.f("uq_pending_jobs_kind_row_id_stage")),
    )
    op.create_index("ix_pending_jobs_frame_id", "pending_jobs", ["frame_id"])
    op.create_index(
        "ix_pending_jobs_order",
        "pending_jobs",
        [sa.literal_column("priority DESC"), sa.literal_column("stage_rank DESC"), "job_id"],
    )


def _products() -> None:
    op.create_table(
        "products",
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("key", sa.String(20), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False, comment="Number of files."),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.String(80), nullable=False, comment="Digest over names, sizes and contents of all files."),
        sa.Column("processor", sa.String(100), nullable=False),
        sa.Column("processor_version", sa.String(60), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, comment="Digest of all that the product was made from."),
        sa.Column("inputs", sa.JSON(), nullable=False, comment="What the fingerprint was made of."),
        sa.Column("newest_input", sa.BigInteger(), nullable=True, comment="Newest product that was there when the job began."),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cpu_s", sa.Double(), nullable=True),
        sa.Column("wall_s", sa.Double(), nullable=True),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_products_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("frame_id", "stage", "key", name=op.f("uq_products_frame_id_stage_key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_products_frame_id_stage_id", "products", ["frame_id", "stage", "id"])


def _running_jobs() -> None:
    op.create_table(
        "running_jobs",
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.String(8), nullable=False),
        sa.Column("cancel_by", sa.String(100), nullable=True, comment="Set: the job is asked to stop."),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("cancel_hold", sa.Boolean(), nullable=False),
        sa.Column("newest_input", sa.BigInteger(), nullable=True),
        sa.Column("inputs", sa.JSON(), nullable=True, comment="What it was given: fingerprints by role, settings."),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(12), nullable=False),
        sa.Column("date1", sa.Date(), nullable=True),
        sa.Column("date2", sa.Date(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "stage_rank", sa.SmallInteger(), nullable=False, comment="Place of the stage in the chain: later ones go first."
        ),
        sa.Column("cpu", sa.Double(), nullable=False),
        sa.Column("memory_gb", sa.Double(), nullable=False),
        sa.Column("disk", sa.Double(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, comment="Grants so far; with job_id the fence of every write."),
        sa.Column("tries", sa.Integer(), nullable=False, comment="Attempts so far that ended with an error."),
        sa.Column("why", sa.Text(), nullable=True, comment="Why the planner owes it."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("machine", sa.String(60), nullable=False),
        sa.Column("granted_utc", UtcDateTime(), nullable=False),
        sa.Column("started_utc", UtcDateTime(), nullable=True),
        sa.Column("heartbeat_utc", UtcDateTime(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(100), nullable=True),
        sa.Column("log_path", sa.Text(), nullable=True),
        sa.Column("flow_run_id", sa.String(60), nullable=True),
        sa.Column("task_run_id", sa.String(60), nullable=True),
        sa.CheckConstraint("place = 'running'", name=op.f("ck_running_jobs_place")),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name=op.f("ck_running_jobs_progress")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_running_jobs_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["job_id", "place"],
            ["job_keys.job_id", "job_keys.place"],
            name=op.f("fk_running_jobs_job_id_place"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_running_jobs")),
        sa.UniqueConstraint("kind", "row_id", "stage", name=op.f("uq_running_jobs_kind_row_id_stage")),
    )
    op.create_index("ix_running_jobs_frame_id", "running_jobs", ["frame_id"])
    op.create_index("ix_running_jobs_heartbeat_utc", "running_jobs", ["heartbeat_utc"])
