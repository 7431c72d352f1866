"""Products and their fingerprints: what has changed since they were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from satdaemon.db.clock import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_EACH = {"postgresql": "json_array_elements_text(inputs -> 'orbit') AS name", "sqlite": "json_each(inputs, '$.orbit')"}
_NAME = {"postgresql": "string_agg(name, ' ' ORDER BY name)", "sqlite": "group_concat(value, ' ')"}
_IS_THERE = {
    "postgresql": "json_typeof(inputs -> 'orbit') = 'array'",
    "sqlite": "json_type(inputs, '$.orbit') = 'array'",
}


def upgrade() -> None:
    """Forwards. The orbit files of downloads are read out of what was recorded with them."""
    op.add_column(
        "products", sa.Column("orbit", sa.Text(), nullable=True, comment="A download's orbit files: their names, blanks between.")
    )
    op.add_column(
        "products",
        sa.Column(
            "restituted",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="A download without a precise orbit.",
        ),
    )
    op.add_column(
        "products", sa.Column("judged", sa.String(32), nullable=True, comment="Digest of what it was found up to date with.")
    )
    op.create_index("ix_products_frame_id_id", "products", ["frame_id", "id"])
    dialect = op.get_bind().dialect.name
    op.execute(
        f"UPDATE products SET orbit = (SELECT {_NAME[dialect]} FROM {_EACH[dialect]})"
        f" WHERE stage = 'download' AND {_IS_THERE[dialect]}"
    )
    op.execute("UPDATE products SET restituted = true WHERE orbit LIKE '%RESORB%'")
    where = sa.text("restituted")
    op.create_index("ix_products_restituted", "products", ["frame_id"], postgresql_where=where, sqlite_where=where)
    _stale_products()
    op.create_table(
        "judged_frames",
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("judged_utc", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_judged_frames_frame_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_judged_frames")),
    )


def _stale_products() -> None:
    op.create_table(
        "stale_products",
        sa.Column("product_id", KEY, autoincrement=False, nullable=False),
        sa.Column("frame_id", sa.String(60), nullable=False),
        sa.Column("since_utc", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False, comment="An input itself has changed; else only what it reads is stale."),
        sa.Column("marked", sa.Boolean(), nullable=False, comment="Its row was made STALE for it, and may be taken back."),
        sa.Column("in_vain", sa.Boolean(), nullable=False, comment="It was made again for this, with the same outcome."),
        sa.ForeignKeyConstraint(["frame_id"], ["frames.id"], name=op.f("fk_stale_products_frame_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_stale_products_product_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_stale_products")),
    )
    op.create_index(op.f("ix_stale_products_frame_id"), "stale_products", ["frame_id"])
