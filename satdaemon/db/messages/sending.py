"""The sender's side of the outbox: what goes out now, to whom, and what became of it. One sender at a time calls these."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, case, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from satdaemon.db.clock import now_utc
from satdaemon.db.models import Message, MessageTarget
from satdaemon.db.models.messages import GIVEN_UP, KEPT, LEVELS, OPEN, READY, SENT, TOLD
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore
from satdaemon.domain import first_lines

MINUTE_S = 60.0
RETRY_FIRST_S, RETRY_MOST_S = 30.0, 3600.0
"""An address that does not take a message is tried again after so long; it doubles with each failure, up to the second."""
_LISTED = 40
_GRAVITY = case({level: rank for rank, level in enumerate(LEVELS)}, value=Message.level)


def is_waiting(db: Store) -> bool:
    """True where a message is not done with."""
    with db.read_scope() as session:
        return session.scalar(select(Message.id).where(Message.state.in_((OPEN, READY))).limit(1)) is not None


def close(db: Store, *, anybody: bool, everything: bool = False) -> None:
    """Close the open messages whose time has come: from here on equal ones begin a new message.

    What is too much for this minute goes into one message that lists it. Messages below the level, and all of them where
    there is not `anybody` to be told, are kept unsent. With `everything` no message waits for others any more.
    """
    least = LEVELS.index(db.settings.notify.level)

    def work(session: Session) -> None:
        now, loud = _now(session), []
        for message in session.scalars(_ripe(db, everything).with_for_update()).all():
            if LEVELS.index(message.level) >= least and anybody:
                loud.append(message)
                continue
            message.state, message.ready_utc = KEPT, now
            message.error = "[NOTIFY] urls is empty" if LEVELS.index(message.level) >= least else "below [NOTIFY] level"
        _hand_on(session, loud, db.settings.notify.per_minute, now)

    db.write(work)


def _ripe(db: Store, everything: bool) -> Select[Message]:
    """Open messages that wait for no more of their cause, the gravest first."""
    notify, before = db.settings.notify, aliased(Message)
    told = select(before.id).where(before.cause == Message.cause, before.ready_utc > now_utc(-notify.repeat_s)).exists()
    gathered = (Message.first_utc <= now_utc(-notify.group_s)) & ~told
    found = select(Message).where(Message.state == OPEN).order_by(_GRAVITY.desc(), Message.id)
    return found if everything else found.where(or_(Message.at_once, gathered))


def _hand_on(session: Session, loud: Sequence[Message], per_minute: int, now: datetime) -> None:
    """Make messages ready, as many as this minute has left. Where it has none, they stay open and go on counting."""
    just_now = (Message.ready_utc > now_utc(-MINUTE_S), Message.state.in_((READY, SENT, GIVEN_UP)))
    left = max(per_minute - (session.scalar(select(func.count()).where(*just_now)) or 0), 0)
    alone = list(loud) if len(loud) <= left else list(loud[: max(left - 1, 0)])
    for message in alone:
        message.state, message.ready_utc = READY, now
    rest = loud[len(alone) :]
    if not rest or left == 0:
        return
    lines = first_lines([f"{message.title}{times(message)}" for message in rest], _LISTED)
    body = "\n".join([f"More than {per_minute} messages a minute. These are told here alone:", *lines])
    title = f"{len(rest)} other messages"
    digest = Message(state=READY, kind="digest", cause="digest", level=rest[0].level, title=title, body=body, ready_utc=now)
    session.add(digest)
    session.flush()
    for message in rest:
        message.state, message.told_in, message.ready_utc = TOLD, digest.id, now


def times(message: Message) -> str:
    """How often it happened, in words to put behind a title; empty for once."""
    return "" if message.count == 1 else f" ({message.count} times)"


def may_post(db: Store, target_id: str, name: str, *, urgent: bool = False) -> bool:
    """True where an address may get a message now: it is not in a pause after a failure, nor had its share of the minute."""
    limit = db.settings.notify.per_minute

    def work(session: Session) -> bool:
        insert_ignore(session, MessageTarget, {"id": target_id, "name": name, "failures": 0, "posts": 0})
        target = MessageTarget
        session.execute(update(target).where(target.id == target_id, target.name != name).values(name=name))
        paused = target.not_before_utc > now_utc()
        full = (target.minute_utc > now_utc(-MINUTE_S)) & (target.posts >= limit)
        barred = full if urgent else or_(paused, full)
        # A NULL (never tried) bars nothing.
        found = select(target.id).where(target.id == target_id, barred)
        return session.scalar(found) is None

    return db.write(work)


def next_for(db: Store, target_id: str) -> Message | None:
    """The next message that an address has not got; one that failed lets others go first."""
    wanted = (Message.state == READY, ~Message.delivered.contains(target_id))
    with db.read_scope() as session:
        return session.scalar(select(Message).where(*wanted).order_by(Message.tries, _GRAVITY.desc(), Message.id).limit(1))


def record(db: Store, message_id: int, target_id: str, error: str | None) -> None:
    """Keep what became of a message at one address: it has it (`error` None), or it is tried again later.

    Where the sender dies between sending and this, that address gets that one message a second time.
    """

    def work(session: Session) -> None:
        now = _now(session)
        message = session.get_one(Message, message_id, with_for_update=True)
        target = session.get_one(MessageTarget, target_id, with_for_update=True)
        if target.minute_utc is None or (now - target.minute_utc).total_seconds() >= MINUTE_S:
            target.minute_utc, target.posts = now, 0
        target.posts += 1
        if error is None:
            if target_id not in message.delivered:
                message.delivered = f"{message.delivered} {target_id}".strip()
            target.failures, target.error, target.not_before_utc, target.sent_utc = 0, None, None, now
            return
        message.tries, target.failures = message.tries + 1, target.failures + 1
        message.error, target.error = f"{target.name}: {error}", error
        target.not_before_utc = now + _pause(target.failures)

    db.write(work)


def settle(db: Store, target_ids: Collection[str]) -> None:
    """Mark what every address has as sent, and what was tried for `[NOTIFY] give_up_h` as given up."""
    give_up = timedelta(hours=db.settings.notify.give_up_h)

    def work(session: Session) -> None:
        now = _now(session)
        for message in session.scalars(select(Message).where(Message.state == READY).with_for_update()).all():
            if not target_ids:
                message.state, message.error = KEPT, "[NOTIFY] urls is empty"
            elif all(target_id in message.delivered for target_id in target_ids):
                message.state, message.sent_utc = SENT, now
                session.execute(update(Message).where(Message.told_in == message.id).values(sent_utc=now))
            elif message.ready_utc is not None and now - message.ready_utc > give_up:
                message.state = GIVEN_UP

    db.write(work)


def _pause(failures: int) -> timedelta:
    return timedelta(seconds=min(RETRY_FIRST_S * 2.0 ** min(failures - 1, 20), RETRY_MOST_S))


def _now(session: Session) -> datetime:
    return session.scalars(select(now_utc())).one()
