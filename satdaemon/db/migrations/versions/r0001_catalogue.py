"""Files, bursts, frames, their rows, machines and the daemon."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.geometry import Geom, rtree_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Forwards."""
    _bursts()
    _files()
    _frames()
    _orbits()
    _files2bursts()
    _frames2bursts()
    _frames2files()
    _master_proc_stages()
    _ifg_proc_stages()
    _rsar_ifg_proc_stages()
    _master()
    _ifg()
    _rsar_ifg()
    _daemon_tools()
    _machines()


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}


def _bursts() -> None:
    op.create_table(
        "bursts",
        sa.Column("id", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("orbit_direction", sa.String(1), nullable=False),
        sa.Column("anx", sa.Integer(), nullable=False),
        sa.Column("swath", sa.String(3), nullable=False),
        sa.Column("esa_id", sa.Integer(), nullable=True),
        sa.Column("geometry", Geom("POLYGON"), nullable=True),
        sa.Column("minx", sa.Double(), nullable=True),
        sa.Column("miny", sa.Double(), nullable=True),
        sa.Column("maxx", sa.Double(), nullable=True),
        sa.Column("maxy", sa.Double(), nullable=True),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("orbit_direction IN ('A', 'D')", name=op.f("ck_bursts_orbit_direction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bursts")),
        sa.UniqueConstraint("number", name=op.f("uq_bursts_number")),
    )
    op.create_index("ix_bursts_esa_id", "bursts", ["esa_id", "swath"])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_bursts_geometry", "bursts", ["geometry"], postgresql_using="gist")
    else:
        for statement in rtree_ddl("bursts"):
            op.execute(statement)
    op.create_index("ix_bursts_track_swath_anx", "bursts", ["track", "swath", "anx"])


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("abspath", sa.Text(), nullable=True),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("orbit_direction", sa.String(1), nullable=True, comment="Empty for a bad file that does not tell."),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("proc_date", sa.Date(), nullable=True),
        sa.Column("proc_utc", UtcDateTime(), nullable=True),
        sa.Column("platform", sa.String(3), nullable=True),
        sa.Column("absolute_orbit", sa.Integer(), nullable=True),
        sa.Column("start_utc", UtcDateTime(), nullable=True),
        sa.Column("stop_utc", UtcDateTime(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("checksum", sa.String(160), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("footprint", Geom("POLYGON"), nullable=True),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("orbit_direction IN ('A', 'D')", name=op.f("ck_files_orbit_direction")),
        sa.CheckConstraint("state IN ('on_disk', 'remote', 'bad', 'missing')", name=op.f("ck_files_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("abspath", name=op.f("uq_files_abspath")),
    )
    op.create_index("ix_files_bad", "files", ["id"], **_where("state = 'bad'"))
    op.create_index("ix_files_track_date", "files", ["track", "date"])


def _frames() -> None:
    op.create_table(
        "frames",
        sa.Column("id", sa.String(60), nullable=False),
        sa.Column("track", sa.Integer(), nullable=False),
        sa.Column("orbit_direction", sa.String(1), nullable=False),
        sa.Column("geometry", Geom("MULTIPOLYGON"), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("processing", sa.Boolean(), nullable=False, comment="Off: no stage of the frame is planned."),
        sa.Column("do_download", sa.Boolean(), nullable=False),
        sa.Column("do_slc", sa.Boolean(), nullable=False),
        sa.Column("do_satsar", sa.Boolean(), nullable=False),
        sa.Column("do_coherence", sa.Boolean(), nullable=False),
        sa.Column("do_unwrap", sa.Boolean(), nullable=False),
        sa.Column("do_timeseries", sa.Boolean(), nullable=False),
        sa.Column("do_ingest", sa.Boolean(), nullable=False),
        sa.Column("do_update", sa.Boolean(), nullable=False, comment="Off: nothing beyond the initial processing."),
        sa.Column("reprocess", sa.Boolean(), nullable=False, comment="On: STALE rows of every stage are made again."),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("initial_last_date", sa.Date(), nullable=True, comment="Last date of the initial processing, once ingested."),
        sa.Column(
            "previous", sa.Integer(), nullable=True, comment="Network and coverage: empty takes satdaemon.cfg's [NETWORK]."
        ),
        sa.Column("annual_pairs", sa.Integer(), nullable=True),
        sa.Column("annual_tolerance_days", sa.Integer(), nullable=True),
        sa.Column("max_days", sa.Integer(), nullable=True),
        sa.Column("min_coverage", sa.Double(), nullable=True),
        sa.Column("initial_stack", sa.Integer(), nullable=True),
        sa.Column("reference_after_days", sa.Integer(), nullable=True),
        sa.Column("accept_failed_share", sa.Double(), nullable=True),
        sa.Column("stage_settings", sa.JSON(), nullable=False, comment="{stage: {key: value}}"),
        sa.Column("network_due", sa.Boolean(), nullable=False, comment="A date or pair fell out or came back."),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("files_changed_utc", UtcDateTime(), nullable=True, comment="When a file of the frame was added or changed."),
        sa.Column("procdates_utc", UtcDateTime(), nullable=True, comment="When update_procdates last looked at them."),
        sa.Column("retired_utc", UtcDateTime(), nullable=True),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("orbit_direction IN ('A', 'D')", name=op.f("ck_frames_orbit_direction")),
        sa.CheckConstraint("start_date IS NULL OR end_date IS NULL OR start_date <= end_date", name=op.f("ck_frames_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
    )
    op.create_index("ix_frames_network_due", "frames", ["id"], **_where("network_due"))
    op.create_index("ix_frames_on", "frames", ["priority", "id"], **_where("processing"))


def _orbits() -> None:
    op.create_table(
        "orbits",
        sa.Column("id", sa.String(100), nullable=False, comment="File name without .EOF."),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("platform", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False, comment="POEORB or RESORB."),
        sa.Column("start_utc", UtcDateTime(), nullable=False),
        sa.Column("stop_utc", UtcDateTime(), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orbits")),
    )
    op.create_index("ix_orbits_platform_start_utc", "orbits", ["platform", "start_utc"])


def _files2bursts() -> None:
    op.create_table(
        "files2bursts",
        sa.Column("file_id", sa.String(100), nullable=False),
        sa.Column("burst_id", sa.String(20), nullable=False),
        sa.Column("start_utc", UtcDateTime(), nullable=True, comment="Sensing start of the burst in this file."),
        sa.ForeignKeyConstraint(["burst_id"], ["bursts.id"], name=op.f("fk_files2bursts_burst_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_files2bursts_file_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", "burst_id", name=op.f("pk_files2bursts")),
    )
    op.create_index(op.f("ix_files2bursts_burst_id"), "files2bursts", ["burst_id"])


def _frames2bursts() -> None:
    op.create_table(
        "frames2bursts",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("burst_id", sa.String(20), nullable=False),
        sa.ForeignKeyConstraint(["burst_id"], ["bursts.id"], name=op.f("fk_frames2bursts_burst_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_frames2bursts_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id", "burst_id", name=op.f("pk_frames2bursts")),
    )
    op.create_index(op.f("ix_frames2bursts_burst_id"), "frames2bursts", ["burst_id"])


def _frames2files() -> None:
    op.create_table(
        "frames2files",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("file_id", sa.String(100), nullable=False),
        sa.Column(
            "date",
            sa.Date(),
            nullable=True,
            comment="The frame's date to which the file belongs (a pass across midnight is one date).",
        ),
        sa.Column(
            "valid", sa.Integer(), nullable=True, comment="1: the newest product of its acquisition, used; 0: replaced or bad."
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_frames2files_file_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_frames2files_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id", "file_id", name=op.f("pk_frames2files")),
    )
    op.create_index(op.f("ix_frames2files_file_id"), "frames2files", ["file_id"])
    op.create_index("ix_frames2files_frame_id_date", "frames2files", ["frame_id", "date"])


def _master_proc_stages() -> None:
    op.create_table(
        "master_proc_stages",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("order", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master_proc_stages")),
        sa.UniqueConstraint("name", name=op.f("uq_master_proc_stages_name")),
    )


def _ifg_proc_stages() -> None:
    op.create_table(
        "ifg_proc_stages",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("order", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifg_proc_stages")),
        sa.UniqueConstraint("name", name=op.f("uq_ifg_proc_stages_name")),
    )


def _rsar_ifg_proc_stages() -> None:
    op.create_table(
        "rsar_ifg_proc_stages",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("order", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rsar_ifg_proc_stages")),
        sa.UniqueConstraint("name", name=op.f("uq_rsar_ifg_proc_stages_name")),
    )


def _master() -> None:
    op.create_table(
        "master",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("proc_stage", sa.SmallInteger(), nullable=False),
        sa.Column("chosen_by", sa.String(60), nullable=False),
        sa.Column("choice_reason", sa.Text(), nullable=True),
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("proc_status", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it is failed, excluded, stale or done with warnings."),
        sa.Column("automatic", sa.Boolean(), nullable=False, comment="Excluded by a rule: taken back when the rule allows."),
        sa.Column("waiting_for", sa.Text(), nullable=True, comment="What does not exist yet (an orbit); holds nothing up."),
        sa.Column("stale_from", sa.SmallInteger(), nullable=True, comment="STALE: the first stage to make again."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("proc_status >= 0", name=op.f("ck_master_proc_status")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_master_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["proc_stage"], ["master_proc_stages.id"], name=op.f("fk_master_proc_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master")),
        sa.UniqueConstraint("frame_id", name=op.f("uq_master_frame_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_master_halfway", "master", ["frame_id", "date"], **_where("proc_stage < 6 AND proc_status IN (2, 3)"))
    op.create_index("ix_master_held", "master", ["frame_id", "date"], **_where("proc_status IN (1, 6)"))
    op.create_index("ix_master_left_out", "master", ["frame_id", "date"], **_where("proc_status IN (4, 5)"))
    op.create_index("ix_master_waiting", "master", ["frame_id", "date"], **_where("proc_status = 0"))


def _ifg() -> None:
    op.create_table(
        "ifg",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("proc_stage", sa.SmallInteger(), nullable=False),
        sa.Column("coverage", sa.Double(), nullable=True, comment="Share of the frame's bursts that the date has."),
        sa.Column("missing_bursts", sa.Text(), nullable=True),
        sa.Column("bperp_m", sa.Double(), nullable=True, comment="Perpendicular baseline to the master, m."),
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("proc_status", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it is failed, excluded, stale or done with warnings."),
        sa.Column("automatic", sa.Boolean(), nullable=False, comment="Excluded by a rule: taken back when the rule allows."),
        sa.Column("waiting_for", sa.Text(), nullable=True, comment="What does not exist yet (an orbit); holds nothing up."),
        sa.Column("stale_from", sa.SmallInteger(), nullable=True, comment="STALE: the first stage to make again."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("proc_status >= 0", name=op.f("ck_ifg_proc_status")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_ifg_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["proc_stage"], ["ifg_proc_stages.id"], name=op.f("fk_ifg_proc_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifg")),
        sa.UniqueConstraint("frame_id", "date", name=op.f("uq_ifg_frame_id_date")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ifg_coregistered", "ifg", ["frame_id", "date"], **_where("proc_stage = 3 AND proc_status IN (2, 3, 6)"))
    op.create_index("ix_ifg_halfway", "ifg", ["frame_id", "date"], **_where("proc_stage < 3 AND proc_status IN (2, 3)"))
    op.create_index("ix_ifg_held", "ifg", ["frame_id", "date"], **_where("proc_status IN (1, 6)"))
    op.create_index("ix_ifg_left_out", "ifg", ["frame_id", "date"], **_where("proc_status IN (4, 5)"))
    op.create_index("ix_ifg_waiting", "ifg", ["frame_id", "date"], **_where("proc_status = 0"))


def _rsar_ifg() -> None:
    op.create_table(
        "rsar_ifg",
        sa.Column("date1", sa.Date(), nullable=False),
        sa.Column("date2", sa.Date(), nullable=False),
        sa.Column("proc_stage", sa.SmallInteger(), nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("proc_status", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why it is failed, excluded, stale or done with warnings."),
        sa.Column("automatic", sa.Boolean(), nullable=False, comment="Excluded by a rule: taken back when the rule allows."),
        sa.Column("waiting_for", sa.Text(), nullable=True, comment="What does not exist yet (an orbit); holds nothing up."),
        sa.Column("stale_from", sa.SmallInteger(), nullable=True, comment="STALE: the first stage to make again."),
        sa.Column("created_utc", UtcDateTime(), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("date1 < date2", name=op.f("ck_rsar_ifg_dates")),
        sa.CheckConstraint("proc_status >= 0", name=op.f("ck_rsar_ifg_proc_status")),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_rsar_ifg_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["proc_stage"], ["rsar_ifg_proc_stages.id"], name=op.f("fk_rsar_ifg_proc_stage")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rsar_ifg")),
        sa.UniqueConstraint("frame_id", "date1", "date2", name=op.f("uq_rsar_ifg_frame_id_date1_date2")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_rsar_ifg_halfway", "rsar_ifg", ["frame_id", "date1", "date2"], **_where("proc_stage < 2 AND proc_status IN (2, 3)")
    )
    op.create_index("ix_rsar_ifg_held", "rsar_ifg", ["frame_id", "date1", "date2"], **_where("proc_status IN (1, 6)"))
    op.create_index("ix_rsar_ifg_left_out", "rsar_ifg", ["frame_id", "date1", "date2"], **_where("proc_status IN (4, 5)"))
    op.create_index("ix_rsar_ifg_waiting", "rsar_ifg", ["frame_id", "date1", "date2"], **_where("proc_status = 0"))


def _daemon_tools() -> None:
    op.create_table(
        "daemon_tools",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("command", sa.String(12), nullable=False),
        sa.Column("replan", sa.Boolean(), nullable=False, comment="Trigger: plan again at once."),
        sa.Column("change_counter", sa.BigInteger(), nullable=False),
        sa.Column("planned_counter", sa.BigInteger(), nullable=False, comment="change_counter when the last plan began."),
        sa.Column("changed_by", sa.String(100), nullable=True),
        sa.Column("changed_what", sa.Text(), nullable=True),
        sa.Column("last_plan_utc", UtcDateTime(), nullable=True),
        sa.Column("last_plan_s", sa.Double(), nullable=True),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("command IN ('run', 'pause', 'power_down')", name=op.f("ck_daemon_tools_command")),
        sa.CheckConstraint("id = 1", name=op.f("ck_daemon_tools_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_daemon_tools")),
    )


def _machines() -> None:
    op.create_table(
        "machines",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("host", sa.String(100), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("cpu", sa.Double(), nullable=False),
        sa.Column("memory_gb", sa.Double(), nullable=False),
        sa.Column("disk", sa.Double(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("last_seen_utc", UtcDateTime(), nullable=True),
        sa.Column("last_updated", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('enabled', 'draining', 'quarantined')", name=op.f("ck_machines_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_machines")),
    )
