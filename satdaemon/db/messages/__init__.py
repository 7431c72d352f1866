"""The outbox of messages to people: what is told, by whose transaction, and how far it got.

`occasions` writes messages inside the transactions that they tell of; equal ones join while they are open. One sender
(satdaemon/messages) closes them and records every delivery. `conditions` tells once of what holds for a while.
"""

from satdaemon.db.messages.conditions import follow
from satdaemon.db.messages.occasions import daemon_alive, daemon_down, daemon_up, found_by_maintenance, frame_finished
from satdaemon.db.messages.outbox import News, add, listing, prune, targets
from satdaemon.db.messages.sending import close, is_waiting, may_post, next_for, record, settle

__all__ = [
    "News",
    "add",
    "close",
    "daemon_alive",
    "daemon_down",
    "daemon_up",
    "follow",
    "found_by_maintenance",
    "frame_finished",
    "is_waiting",
    "listing",
    "may_post",
    "next_for",
    "prune",
    "record",
    "settle",
    "targets",
]
