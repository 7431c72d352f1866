"""Slots of frames' flow runs: how many frames are worked on at a time.

A machine goes by priority among the jobs of frames that a flow run attends to. So that a more urgent frame is among
them at once, however many others there are, some slots more than `flow_concurrency` are kept for frames that come
before those at work.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from satdaemon.db import parts
from satdaemon.db.models import Frame
from satdaemon.db.store import Store

SPARE = 2
"""Slots that a process worker keeps for more urgent frames."""


def slots(db: Store) -> int:
    """How many frames flow runs work on at a time: `flow_concurrency` for each host that has the part `flows`."""
    hosts = sum(part.name.startswith("flows ") for part in parts.live(db))
    return db.settings.parameters.flow_concurrency * max(hosts, 1)


def priorities(db: Store, frame_ids: Iterable[str]) -> dict[str, int]:
    """The priorities of frames."""
    with db.read_scope() as session:
        found = session.execute(select(Frame.id, Frame.priority).where(Frame.id.in_(list(frame_ids))))
        return {frame_id: priority for frame_id, priority in found}
