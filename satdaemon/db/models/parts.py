"""Which process has which part of the system up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import Base


class DaemonPart(Base):
    """One part of the running system, held by the process that has it up; lost like a lease when it is not renewed."""

    __tablename__ = "daemon_parts"

    name: Mapped[str] = mapped_column(String(120), primary_key=True, comment="prefect, worker NAME, flows HOST and so on.")
    process: Mapped[str] = mapped_column(String(200), comment="The process that holds it, as no other is called.")
    who: Mapped[str] = mapped_column(String(200), comment="user@host that started it.")
    host: Mapped[str] = mapped_column(String(100))
    pid: Mapped[int]
    state: Mapped[str] = mapped_column(String(12), comment="starting, up, down, ending or idle.")
    message: Mapped[str | None] = mapped_column(Text, comment="What it waits for, or why it is down.")
    restarts: Mapped[int] = mapped_column(default=0, comment="How often its processes ended and were started again.")
    log: Mapped[str | None] = mapped_column(Text, comment="Where its output goes, on its host.")
    version: Mapped[str] = mapped_column(String(20))
    claimed_utc: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_utc: Mapped[datetime] = mapped_column(UtcDateTime)
