"""What people are told: the outbox, how its addresses fare, and what holds at present and was told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.models.base import NEVER_AGAIN, Base, Created, RowId, Time, partial_index

OPEN, READY, SENT, TOLD, KEPT, GIVEN_UP = "open", "ready", "sent", "told", "kept", "given_up"
STATES = (OPEN, READY, SENT, TOLD, KEPT, GIVEN_UP)
"""Gathers equal ones; is being sent; every address has it; was told within another; nobody is to be told; gave up."""
LEVELS = ("info", "warning", "error")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Message(Base):
    """A message to people, written by the transaction that did what it tells of. While it is open, equal ones join it."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint(_one_of("state", STATES), "state"),
        CheckConstraint(_one_of("level", LEVELS), "level"),
        partial_index("uq_messages_open", "cause", where=f"state = '{OPEN}'", unique=True),
        partial_index("ix_messages_unsent", "id", where=_one_of("state", (OPEN, READY))),
        Index("ix_messages_cause", "cause", "ready_utc"),
        Index("ix_messages_ready_utc", "ready_utc"),
        NEVER_AGAIN,
    )

    id: Mapped[RowId]
    state: Mapped[str] = mapped_column(String(10), default=OPEN)
    kind: Mapped[str] = mapped_column(String(20), comment="What it is about: job, frame, machine, daemon ...")
    cause: Mapped[str] = mapped_column(String(250), comment="Messages of one cause are one message.")
    level: Mapped[str] = mapped_column(String(8))
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text, comment="The first of them, and perhaps some more.")
    frame_id: Mapped[str | None] = mapped_column(String(60), comment="Empty where it is of several frames, or of none.")
    at_once: Mapped[bool] = mapped_column(default=False, comment="Waits for no others of its cause.")
    count: Mapped[int] = mapped_column(default=1)
    first_utc: Mapped[Created]
    last_utc: Mapped[Created]
    ready_utc: Mapped[Time] = mapped_column(comment="When it was closed; the limits of a minute count by it.")
    sent_utc: Mapped[Time]
    tries: Mapped[int] = mapped_column(default=0, comment="Tries that failed.")
    error: Mapped[str | None] = mapped_column(Text)
    delivered: Mapped[str] = mapped_column(Text, default="", server_default=text("''"), comment="Addresses that have it.")
    told_in: Mapped[int | None] = mapped_column(BigInteger, comment="The message that tells this one too.")


class MessageTarget(Base):
    """An address of [NOTIFY] urls, by its digest: how it fares. The address itself, a secret, is not kept."""

    __tablename__ = "message_targets"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Text, comment="Without its secrets.")
    failures: Mapped[int] = mapped_column(default=0, comment="Since it last took a message.")
    error: Mapped[str | None] = mapped_column(Text)
    not_before_utc: Mapped[Time]
    sent_utc: Mapped[Time] = mapped_column(comment="When it last took a message.")
    minute_utc: Mapped[Time] = mapped_column(comment="Begin of the minute that `posts` counts.")
    posts: Mapped[int] = mapped_column(default=0)


class Condition(Base):
    """Something that holds at present and has been told: a disk is low, a machine gone, a date late, the daemon up."""

    __tablename__ = "conditions"

    key: Mapped[str] = mapped_column(String(250), primary_key=True)
    since_utc: Mapped[Created]
    seen_utc: Mapped[datetime] = mapped_column(UtcDateTime)
