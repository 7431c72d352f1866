"""Which archives have which product, and how far each has been searched."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import Base, Time


class ArchiveLook(Base):
    """How far the searches for new scenes have come in one archive."""

    __tablename__ = "archive_looks"

    archive: Mapped[str] = mapped_column(String(20), primary_key=True)
    until_utc: Mapped[Time] = mapped_column(comment="What was published before this is known; empty: never answered.")
    looked_utc: Mapped[Time] = mapped_column(comment="When it answered last.")
    next_utc: Mapped[Time] = mapped_column(comment="It is not asked again before.")
    failing_utc: Mapped[Time] = mapped_column(comment="Since when it has not answered; empty: it does.")
    failures: Mapped[int] = mapped_column(default=0, comment="In a row.")
    problem: Mapped[str | None] = mapped_column(Text, comment="What it said last, where it does not answer.")


class FileSource(Base):
    """One archive's copy of a product, as the last search that found it told."""

    __tablename__ = "file_sources"

    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    archive: Mapped[str] = mapped_column(String(20), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger, comment="Bytes of its zip: archives zip anew.")
    checksum: Mapped[str | None] = mapped_column(String(160), comment="algorithm:hex of its zip.")
    published_utc: Mapped[Time] = mapped_column(comment="When the archive made it known, or changed it last.")
    last_seen_utc: Mapped[datetime] = mapped_column(UtcDateTime)
