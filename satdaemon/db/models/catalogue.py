"""What there is to process: files, bursts, frames, the links between them, and orbits."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates
from sqlalchemy.schema import DDL

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.geometry import Geom, rtree_ddl
from satdaemon.db.models.base import Base, Created, Time, Updated, partial_index
from satdaemon.db.models.rows import Master

DIRECTION = "orbit_direction IN ('A', 'D')"
ON_DISK, REMOTE, BAD, MISSING = "on_disk", "remote", "bad", "missing"
"""States of a file: on our disk; known to an archive; not usable (see reason); was on disk, is not now."""
DUPLICATE = "duplicate"

files2bursts = Table(
    "files2bursts",
    Base.metadata,
    Column("file_id", ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("burst_id", ForeignKey("bursts.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("start_utc", UtcDateTime, comment="Sensing start of the burst in this file."),
)
frames2bursts = Table(
    "frames2bursts",
    Base.metadata,
    Column("frame_id", ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True),
    Column("burst_id", ForeignKey("bursts.id", ondelete="RESTRICT"), primary_key=True, index=True),
)
frames2files = Table(
    "frames2files",
    Base.metadata,
    Column("frame_id", ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True),
    Column("file_id", ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("date", Date, comment="The frame's date to which the file belongs (a pass across midnight is one date)."),
    Column("valid", Integer, comment="1: the newest product of its acquisition, used; 0: replaced or bad."),
    Index("ix_frames2files_frame_id_date", "frame_id", "date"),
)


class File(Base):
    """One product zip."""

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint(DIRECTION, "orbit_direction"),
        CheckConstraint(f"state IN ('{ON_DISK}', '{REMOTE}', '{BAD}', '{MISSING}')", "state"),
        Index("ix_files_track_date", "track", "date"),
        partial_index("ix_files_bad", "id", where="state = 'bad'"),
    )

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    abspath: Mapped[str | None] = mapped_column(Text, unique=True)
    track: Mapped[int]
    orbit_direction: Mapped[str | None] = mapped_column(String(1), comment="Empty for a bad file that does not tell.")
    date: Mapped[dt.date] = mapped_column(Date)
    proc_date: Mapped[dt.date | None] = mapped_column(Date)
    proc_utc: Mapped[Time]
    platform: Mapped[str | None] = mapped_column(String(3))
    absolute_orbit: Mapped[int | None]
    start_utc: Mapped[Time]
    stop_utc: Mapped[Time]
    url: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None] = mapped_column(String(160))
    state: Mapped[str] = mapped_column(String(10), default=ON_DISK)
    reason: Mapped[str | None] = mapped_column(Text)
    fetched_utc: Mapped[Time] = mapped_column(comment="When it was fetched over HTTP; empty: others put it there, or not yet.")
    footprint: Mapped[Any | None] = mapped_column(Geom("POLYGON"))
    last_updated: Mapped[Updated]

    bursts: Mapped[list[Burst]] = relationship(secondary=files2bursts, back_populates="files", order_by="Burst.id")
    frames: Mapped[list[Frame]] = relationship(secondary=frames2files, back_populates="files", order_by="Frame.id")


class FileOrbit(Base):
    """State vectors around the scene of a file, as its annotation gives them; enough for perpendicular baselines."""

    __tablename__ = "file_orbits"

    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    epoch_utc: Mapped[Time]
    vectors: Mapped[bytes | None] = mapped_column(
        LargeBinary,
        comment="Little-endian doubles, seven a vector: seconds since epoch_utc, Earth-fixed position (m) and velocity (m/s).",
    )
    problem: Mapped[str | None] = mapped_column(Text, comment="Why there are no vectors; it is not opened again for them.")


def burst_number(track: int, anx: int, swath: str) -> int:
    """A burst's id as one integer: `132_8603_IW1` -> unique, ordered by track, time and swath."""
    return (track * 65536 + anx) * 4 + int(swath[-1])


def _number(context: DefaultExecutionContext) -> int:
    row = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return burst_number(row["track"], row["anx"], row["swath"])


class Burst(Base):
    """One burst of the acquisition pattern."""

    __tablename__ = "bursts"
    __table_args__ = (
        CheckConstraint(DIRECTION, "orbit_direction"),
        Index("ix_bursts_track_swath_anx", "track", "swath", "anx"),
        Index("ix_bursts_geometry", "geometry", postgresql_using="gist").ddl_if(dialect="postgresql"),
        Index("ix_bursts_esa_id", "esa_id", "swath"),
    )

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, unique=True, default=_number)
    track: Mapped[int]
    orbit_direction: Mapped[str] = mapped_column(String(1))
    anx: Mapped[int]
    swath: Mapped[str] = mapped_column(String(3))
    esa_id: Mapped[int | None]
    geometry: Mapped[Any | None] = mapped_column(Geom("POLYGON"))
    geometry_from: Mapped[str | None] = mapped_column(
        String(100), comment="The product whose annotation gave the polygon; empty: a burst map, or not told."
    )
    minx: Mapped[float | None]
    miny: Mapped[float | None]
    maxx: Mapped[float | None]
    maxy: Mapped[float | None]
    last_updated: Mapped[Updated]

    files: Mapped[list[File]] = relationship(secondary=files2bursts, back_populates="bursts", order_by="File.id")
    frames: Mapped[list[Frame]] = relationship(secondary=frames2bursts, back_populates="bursts", order_by="Frame.id")

    @validates("geometry")
    def _box(self, _key: str, shape: Any) -> Any:
        if shape is not None:
            self.minx, self.miny, self.maxx, self.maxy = (float(v) for v in shape.bounds)
        return shape


for _statement in rtree_ddl("bursts"):
    event.listen(Burst.__table__, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
_DROP = DDL("DROP TABLE IF EXISTS bursts_rtree")  # type: ignore[no-untyped-call]
event.listen(Burst.__table__, "before_drop", _DROP.execute_if(dialect="sqlite"))


class Frame(Base):
    """A fixed set of bursts that is always processed together, and how the daemon is to process it."""

    __tablename__ = "frames"
    __table_args__ = (
        CheckConstraint(DIRECTION, "orbit_direction"),
        CheckConstraint("start_date IS NULL OR end_date IS NULL OR start_date <= end_date", "range"),
        partial_index("ix_frames_network_due", "id", where="network_due"),
        partial_index("ix_frames_on", "priority", "id", where="processing"),
    )

    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    track: Mapped[int]
    orbit_direction: Mapped[str] = mapped_column(String(1))
    geometry: Mapped[Any | None] = mapped_column(Geom("MULTIPOLYGON"))
    priority: Mapped[int] = mapped_column(default=0)
    processing: Mapped[bool] = mapped_column(default=False, comment="Off: no stage of the frame is planned.")
    do_download: Mapped[bool] = mapped_column(default=True)
    do_slc: Mapped[bool] = mapped_column(default=True)
    do_satsar: Mapped[bool] = mapped_column(default=True)
    do_coherence: Mapped[bool] = mapped_column(default=True)
    do_unwrap: Mapped[bool] = mapped_column(default=True)
    do_timeseries: Mapped[bool] = mapped_column(default=True)
    do_ingest: Mapped[bool] = mapped_column(default=True)
    do_update: Mapped[bool] = mapped_column(default=True, comment="Off: nothing beyond the initial processing.")
    reprocess: Mapped[bool] = mapped_column(default=False, comment="On: STALE rows of every stage are made again.")
    start_date: Mapped[dt.date | None] = mapped_column(Date)
    end_date: Mapped[dt.date | None] = mapped_column(Date)
    initial_last_date: Mapped[dt.date | None] = mapped_column(Date, comment="Last date of the initial processing, once ingested.")
    previous: Mapped[int | None] = mapped_column(comment="Network and coverage: empty takes satdaemon.cfg's [NETWORK].")
    annual_pairs: Mapped[int | None]
    annual_tolerance_days: Mapped[int | None]
    max_days: Mapped[int | None]
    min_coverage: Mapped[float | None]
    initial_stack: Mapped[int | None]
    reference_after_days: Mapped[int | None]
    accept_failed_share: Mapped[float | None]
    stage_settings: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON, default=dict, comment="{stage: {key: value}}")
    network_due: Mapped[bool] = mapped_column(default=False, comment="A date or pair fell out or came back.")
    notes: Mapped[str | None] = mapped_column(Text)
    files_changed_utc: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="When a file of the frame was added or changed."
    )
    searched_utc: Mapped[Time] = mapped_column(comment="When the archives were last searched for its whole history.")
    procdates_utc: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="When update_procdates last looked at them.")
    retired_utc: Mapped[Time]
    created_utc: Mapped[Created]
    last_updated: Mapped[Updated]

    bursts: Mapped[list[Burst]] = relationship(secondary=frames2bursts, back_populates="frames", order_by="Burst.id")
    files: Mapped[list[File]] = relationship(secondary=frames2files, back_populates="frames", order_by="File.id")
    master: Mapped[Master | None] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class StrayFile(Base):
    """A zip below data_path that is no row of `files`: not readable and nameless, or a second copy of a product."""

    __tablename__ = "stray_files"
    __table_args__ = (CheckConstraint(f"state IN ('{BAD}', '{DUPLICATE}')", "state"),)

    abspath: Mapped[str] = mapped_column(Text, primary_key=True, comment="With bytes that are not UTF-8 escaped.")
    state: Mapped[str] = mapped_column(String(10))
    file_id: Mapped[str | None] = mapped_column(String(100), index=True, comment="The product that it is, or says it is.")
    reason: Mapped[str] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    mtime_ns: Mapped[int | None] = mapped_column(BigInteger, comment="Empty: to be opened again next time.")
    last_updated: Mapped[Updated]


class Orbit(Base):
    """One orbit file (.EOF)."""

    __tablename__ = "orbits"
    __table_args__ = (Index("ix_orbits_platform_start_utc", "platform", "start_utc"),)

    id: Mapped[str] = mapped_column(String(100), primary_key=True, comment="File name without .EOF.")
    path: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(String(3))
    kind: Mapped[str] = mapped_column(String(8), comment="POEORB or RESORB.")
    start_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    stop_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    last_updated: Mapped[Updated]
