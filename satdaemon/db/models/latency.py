"""How late dates were, kept when the events that told it go."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.models.base import Base, Created
from satdaemon.db.models.rows import CASCADE


class DateLatency(Base):
    """One date of a frame that is in the points: when it came how far, and what the time went to."""

    __tablename__ = "date_latency"

    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id", ondelete=CASCADE), primary_key=True)
    date: Mapped[dt.date] = mapped_column(Date, primary_key=True)
    total_s: Mapped[float] = mapped_column(comment="From sensing to points.")
    late_part: Mapped[str] = mapped_column(String(60), comment="What took longest.")
    moments: Mapped[dict[str, str]] = mapped_column(JSON, comment="{milestone: time, ISO 8601}")
    parts: Mapped[dict[str, Any]] = mapped_column(JSON, comment="{part: seconds}")
    created_utc: Mapped[Created]
