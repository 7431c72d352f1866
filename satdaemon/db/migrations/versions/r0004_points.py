"""Points: a table a version on PostgreSQL. SQLite keeps its two tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("points", "points_series")


def upgrade() -> None:
    """Forwards. Rows that are there move into the table of their version."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
        op.execute(f"ALTER TABLE {table}_before RENAME CONSTRAINT pk_{table} TO pk_{table}_before")
    op.execute("ALTER INDEX ix_points_version_id_cell RENAME TO ix_points_before_version_id_cell")
    _points()
    _points_series()
    for table in TABLES:
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")
        found = op.get_bind().execute(sa.text(f"SELECT DISTINCT version_id FROM {table}_before ORDER BY 1"))
        for version in found.scalars().all():
            op.execute(f"CREATE TABLE {table}_v{version} PARTITION OF {table} FOR VALUES IN ({version})")
        names = ", ".join(column["name"] for column in sa.inspect(op.get_bind()).get_columns(table))
        op.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}_before ORDER BY version_id, point_id")
        op.drop_table(f"{table}_before")


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
        postgresql_partition_by="LIST (version_id)",
    )
    op.create_index("ix_points_version_id_cell", "points", ["version_id", "cell"])


def _points_series() -> None:
    op.create_table(
        "points_series",
        sa.Column("version_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("point_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("series", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "point_id", name=op.f("pk_points_series")),
        postgresql_partition_by="LIST (version_id)",
    )
