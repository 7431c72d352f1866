"""Messages written, read and pruned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, delete, func, or_, select, text
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.models import Message, MessageTarget
from satdaemon.db.models.messages import GIVEN_UP, OPEN, READY
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_into

LONGEST = 4000
"""Characters of a body that more are still added to."""
_CAUSE = 250


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell. Messages of equal `cause` become one, with the bodies of the first `examples` of them."""

    kind: str
    cause: str
    title: str
    body: str
    level: str = "warning"
    frame_id: str | None = None
    at_once: bool = False
    examples: int = 3


def add(session: Session, news: News) -> None:
    """Write a message, or count it into the one of its cause that is still open. It stands with the caller's commit."""
    statement = insert_into(session, Message).values(
        kind=news.kind, cause=news.cause[:_CAUSE], title=news.title, body=news.body, level=news.level,
        frame_id=news.frame_id, at_once=news.at_once,
    )  # fmt: skip
    new = statement.excluded
    room = (Message.count < news.examples) & (func.length(Message.body) + func.length(new.body) < LONGEST)
    joined = {
        "count": Message.count + 1,
        "last_utc": new.last_utc,
        "body": case((room, Message.body + "\n" + new.body), else_=Message.body),
        "frame_id": case((Message.frame_id == new.frame_id, Message.frame_id), else_=None),
    }
    is_open = text(f"state = '{OPEN}'")
    session.execute(statement.on_conflict_do_update(index_elements=["cause"], index_where=is_open, set_=joined))


def listing(db: Store, *, newest: int = 20, every: bool = False) -> list[Message]:
    """The newest messages and all that did not reach everybody; oldest first. `every`: all that are kept."""
    with db.read_scope() as session:
        if every:
            return list(session.scalars(select(Message).order_by(Message.id)))
        latest = select(Message.id).order_by(Message.id.desc()).limit(newest)
        wanted = or_(Message.state.in_((OPEN, READY, GIVEN_UP)), Message.id.in_(latest))
        return list(session.scalars(select(Message).where(wanted).order_by(Message.id)))


def targets(db: Store, ids: Sequence[str]) -> dict[str, MessageTarget]:
    """How the addresses of these ids fare; those that were never used are left out."""
    with db.read_scope() as session:
        found = session.scalars(select(MessageTarget).where(MessageTarget.id.in_(ids)))
        return {target.id: target for target in found}


def prune(db: Store) -> int:
    """Remove messages that are done with and older than `[NOTIFY] keep_days`; how many there were."""
    old = Message.last_utc < now_utc(-db.settings.notify.keep_days * 86400.0)
    done = Message.state.not_in((OPEN, READY))
    return db.write(lambda session: len(session.scalars(delete(Message).where(old, done).returning(Message.id)).all()))
