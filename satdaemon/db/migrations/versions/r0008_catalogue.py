"""What files tell: orbits and burst polygons; pairs that stand in for what is out; points of deleted frames that are to go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

GEOMETRY_FROM = "The product whose annotation gave the polygon; empty: a burst map, or not told."
LAST_VERSION = "Versions up to this one go; what a new frame of this name loads later stays."
STAND_IN = "Made while dates or pairs are out; goes when they return, unless begun."
VECTORS = "Little-endian doubles, seven a vector: seconds since epoch_utc, Earth-fixed position (m) and velocity (m/s)."


def upgrade() -> None:
    """Forwards. Files that are known already get their orbits at the next `ingest-files`, or when a frame needs them."""
    op.create_table(
        "file_orbits",
        sa.Column("file_id", sa.String(100), nullable=False),
        sa.Column("epoch_utc", UtcDateTime(), nullable=True),
        sa.Column("vectors", sa.LargeBinary(), nullable=True, comment=VECTORS),
        sa.Column("problem", sa.Text(), nullable=True, comment="Why there are no vectors; it is not opened again for them."),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_file_orbits_file_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_file_orbits")),
    )
    op.add_column("bursts", sa.Column("geometry_from", sa.String(100), nullable=True, comment=GEOMETRY_FROM))
    op.create_table(
        "deleted_frames",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("last_version", sa.BigInteger(), autoincrement=False, nullable=False, comment=LAST_VERSION),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_deleted_frames")),
    )
    op.add_column(
        "rsar_ifg",
        sa.Column("stand_in", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment=STAND_IN),
    )
