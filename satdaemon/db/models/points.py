"""Points: positions and velocities apart from series, a version a frame, dates stored once a version.

On PostgreSQL `points` and `points_series` are partitioned: a table a version (`points_v12`, `points_series_v12`), filled
unseen, and dropped rather than deleted from. Rows of versions that have no table of their own lie in the default partition.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    REAL,
    BigInteger,
    CheckConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.models.base import NEVER_AGAIN, Base, Created, RowId, Time, partial_index

LOADING, ACTIVE, OLD = "loading", "active", "old"
PARTITIONED = {"postgresql_partition_by": "LIST (version_id)"}


class PointsVersion(Base):
    """One set of points of a frame. Readers see the active one, the whole of it."""

    __tablename__ = "points_versions"
    __table_args__ = (
        CheckConstraint(f"state IN ('{LOADING}', '{ACTIVE}', '{OLD}')", "state"),
        partial_index("uq_points_versions_active", "frame_id", where=f"state = '{ACTIVE}'", unique=True),
        NEVER_AGAIN,
    )

    id: Mapped[RowId]
    frame_id: Mapped[str] = mapped_column(String(60), index=True)
    state: Mapped[str] = mapped_column(String(8), default=LOADING)
    points: Mapped[int] = mapped_column(comment="Number of points.")
    dates: Mapped[list[str]] = mapped_column(JSON, comment="ISO dates of the series, in order.")
    attributes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    product: Mapped[str] = mapped_column(Text)
    job_id: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    created_utc: Mapped[Created]
    activated_utc: Mapped[Time]


class DeletedFrame(Base):
    """A frame that is deleted, while its points, in a database of their own, are still to be removed there.

    Written in the transaction that deletes the frame: a crash before the points are gone leaves this, and the next
    `prune` goes on.
    """

    __tablename__ = "deleted_frames"

    frame_id: Mapped[str] = mapped_column(String(60), primary_key=True)
    last_version: Mapped[int] = mapped_column(
        BigInteger, autoincrement=False, comment="Versions up to this one go; what a new frame of this name loads later stays."
    )


class Point(Base):
    """Position and motion of one point. `cell` orders points along a Z curve over longitude and latitude.

    No foreign key to the version: it would be checked for each of a million rows.
    """

    __tablename__ = "points"
    __table_args__ = (Index("ix_points_version_id_cell", "version_id", "cell"), PARTITIONED)

    version_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    point_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    cell: Mapped[int] = mapped_column(BigInteger)
    lon: Mapped[float]
    lat: Mapped[float]
    height_m: Mapped[float | None] = mapped_column(REAL)
    velocity: Mapped[float | None] = mapped_column(REAL, comment="mm/yr, line of sight, positive towards the satellite.")
    velocity_std: Mapped[float | None] = mapped_column(REAL, comment="mm/yr")
    temporal_coherence: Mapped[float | None] = mapped_column(REAL)
    incidence_deg: Mapped[float | None] = mapped_column(REAL)
    dem_error_m: Mapped[float | None] = mapped_column(REAL)
    seasonal_sin: Mapped[float | None] = mapped_column(REAL, comment="mm")
    seasonal_cos: Mapped[float | None] = mapped_column(REAL, comment="mm")


class PointSeries(Base):
    """Displacement of one point in 0.1 mm, one value a date; -32768 where unknown. SQLite: little-endian int16."""

    __tablename__ = "points_series"
    __table_args__ = PARTITIONED

    version_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    point_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    series: Mapped[Any] = mapped_column(LargeBinary().with_variant(ARRAY(SmallInteger), "postgresql"))


for _table in (Point.__table__, PointSeries.__table__):
    _default = DDL("CREATE TABLE %(table)s_default PARTITION OF %(table)s DEFAULT")  # type: ignore[no-untyped-call]
    event.listen(_table, "after_create", _default.execute_if(dialect="postgresql"))
