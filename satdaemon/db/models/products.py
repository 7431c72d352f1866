"""What was made, from what, by what; and what has changed since."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.models.base import NEVER_AGAIN, Base, BigKey, Created, RowId, Time, partial_index
from satdaemon.db.models.rows import CASCADE

LEFT_BEHIND = "left_behind"
"""Key of `inputs`: the frame has become another one since, for the reason given; the product is to be made anew, and
tells nothing about the frame. Its record stays with its files until then."""


class Product(Base):
    """One published product directory."""

    __tablename__ = "products"
    __table_args__ = (
        UniqueConstraint("frame_id", "stage", "key"),
        Index("ix_products_frame_id_stage_id", "frame_id", "stage", "id"),
        Index("ix_products_frame_id_id", "frame_id", "id"),
        partial_index("ix_products_restituted", "frame_id", where="restituted"),
        partial_index("ix_products_unjudged", "frame_id", where="judged IS NULL"),
        partial_index("ix_products_removed", "frame_id", where="removed_utc IS NOT NULL"),
        NEVER_AGAIN,
    )

    id: Mapped[RowId]
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE))
    stage: Mapped[str] = mapped_column(String(12))
    key: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(Text)
    files: Mapped[int] = mapped_column(comment="Number of files.")
    bytes: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[str] = mapped_column(String(80), comment="Digest over names, sizes and contents of all files.")
    processor: Mapped[str] = mapped_column(String(100))
    processor_version: Mapped[str] = mapped_column(String(60))
    fingerprint: Mapped[str] = mapped_column(String(64), comment="Digest of all that the product was made from.")
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON, comment="What the fingerprint was made of.")
    newest_input: Mapped[int | None] = mapped_column(BigInteger, comment="Newest product that was there when the job began.")
    orbit: Mapped[str | None] = mapped_column(Text, comment="A download's orbit files: their names, blanks between.")
    restituted: Mapped[bool] = mapped_column(
        default=False, server_default=text("false"), comment="A download without a precise orbit."
    )
    judged: Mapped[str | None] = mapped_column(String(32), comment="Digest of what it was found up to date with.")
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list)
    quicklooks: Mapped[list[dict[str, Any]]] = mapped_column(
        JSON, default=list, server_default=text("'[]'"), comment="Pictures among its files, and how their colours are read."
    )
    job_id: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int]
    cpu_s: Mapped[float | None]
    wall_s: Mapped[float | None]
    created_utc: Mapped[Created]
    removed_utc: Mapped[Time] = mapped_column(comment="When its files were removed to free space; made again where it is needed.")


class StaleProduct(Base):
    """A product whose inputs have changed since it was made. Gone with the product, or when the change is taken back."""

    __tablename__ = "stale_products"

    product_id: Mapped[int] = mapped_column(
        BigKey, ForeignKey("products.id", ondelete=CASCADE), primary_key=True, autoincrement=False
    )
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE), index=True)
    since_utc: Mapped[Created]
    reason: Mapped[str] = mapped_column(Text)
    own: Mapped[bool] = mapped_column(comment="An input itself has changed; else only what it reads is stale.")
    marked: Mapped[bool] = mapped_column(comment="Its row was made STALE for it, and may be taken back.")
    in_vain: Mapped[bool] = mapped_column(default=False, comment="It was made again for this, with the same outcome.")


class JudgedFrame(Base):
    """All that a frame was last looked at with: equal again, there is nothing to look at."""

    __tablename__ = "judged_frames"

    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    judged_utc: Mapped[Created]
