"""Which archives have which product."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import Base, Time


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
