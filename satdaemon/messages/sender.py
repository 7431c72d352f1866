"""The sender: takes what is due out of the outbox to every address. One at a time over all processes, by a lock.

A message is recorded as delivered after the address took it. A sender that is killed in between leaves one message at
one address that the next sender sends a second time: at most one double a kill, and none lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from satdaemon.db import Message, messages
from satdaemon.db.locks import MESSAGES, alone
from satdaemon.db.messages.sending import times
from satdaemon.db.store import Store
from satdaemon.notify import Target, targets


@dataclass
class Turn:
    """What a turn of the sender did."""

    sent: int = 0
    """Messages taken by an address; one to two addresses counts twice."""
    failed: dict[str, str] = field(default_factory=dict)
    """Addresses that did not take a message, and why."""


def send(db: Store, *, everything: bool = False) -> Turn | None:
    """Send what is due; None where another sender is at it.

    With `everything` open messages wait for no more of their cause, and addresses that failed are tried at once: for the
    end of a process. Raises ConfigError for an address that Apprise does not know.
    """
    if not messages.is_waiting(db):
        return Turn()
    with alone(db, MESSAGES) as mine:
        return _turn(db, targets(db.settings.notify), everything) if mine else None


def _turn(db: Store, addresses: Sequence[Target], everything: bool) -> Turn:
    done, ids = Turn(), [address.id for address in addresses]
    messages.close(db, anybody=bool(addresses), everything=everything)
    for address in addresses:
        while messages.may_post(db, address.id, address.name, urgent=everything):
            message = messages.next_for(db, address.id)
            if message is None:
                break
            error = address.post(*in_words(message), message.level)
            messages.record(db, message.id, address.id, error)
            if error is not None:
                done.failed[address.name] = error
                break
            done.sent += 1
    messages.settle(db, ids)
    return done


def in_words(message: Message) -> tuple[str, str]:
    """Title and body, with how many there were."""
    title, body = f"[{message.kind}] {message.title}{times(message)}", message.body
    if message.count > 1:
        span = f"{message.first_utc:%Y-%m-%d %H:%M:%S} to {message.last_utc:%H:%M:%S} UTC"
        body = f"{message.count} times, {span}. The first of them:\n{body}"
    return title, body
