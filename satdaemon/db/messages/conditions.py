"""What holds for a while is told once: when it begins, and, where that is worth a message, when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.messages.outbox import News, add
from satdaemon.db.models import Condition
from satdaemon.db.store import Store
from satdaemon.db.upsert import insert_ignore


def follow(db: Store, prefix: str, holding: Mapping[str, News], over: Callable[[str], News] | None = None) -> list[str]:
    """Of the conditions whose keys begin with `prefix`, exactly `holding` hold now; the keys that are new.

    What is new is told with its news; what holds no more is forgotten, told with `over(key)` where that is given, and
    told again should it come back.
    """
    mine = Condition.key.startswith(prefix, autoescape=True)
    with db.read_scope() as session:
        known = set(session.scalars(select(Condition.key).where(mine)))
    begun, ended = [key for key in holding if key not in known], known - set(holding)
    if not begun and not ended:
        return []

    def work(session: Session) -> list[str]:
        new = [key for key in begun if insert_ignore(session, Condition, _row(key))]
        for key in new:
            add(session, holding[key])
        for key in session.scalars(delete(Condition).where(Condition.key.in_(ended)).returning(Condition.key)).all():
            if over is not None:
                add(session, over(key))
        return new

    return db.write(work)


def seen(session: Session, key: str) -> None:
    """Note that a condition holds still."""
    session.execute(update(Condition).where(Condition.key == key).values(seen_utc=now_utc()))


def begin(session: Session, key: str) -> None:
    """A condition begins to hold; it did not before."""
    session.execute(delete(Condition).where(Condition.key == key))
    insert_ignore(session, Condition, _row(key))


def end(session: Session, key: str) -> bool:
    """A condition holds no more; False where it did not."""
    return session.execute(delete(Condition).where(Condition.key == key).returning(Condition.key)).first() is not None


def _row(key: str) -> dict[str, object]:
    return {"key": key, "since_utc": now_utc(), "seen_utc": now_utc()}
