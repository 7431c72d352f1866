"""A plan of every frame holds nothing up, and counts only when it has seen all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from frames_made import make_frame
from sqlalchemy import delete, update

from satdaemon.db import DaemonTools, Database, Frame, PendingJob, planning, sweep
from satdaemon.db.models import FrameChange

NAMES = ["132A_ONE", "132A_TWO", "132A_THREE", "132A_FOUR"]


@pytest.fixture
def frames(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Four frames that nothing is new about; a plan of every frame takes one at a time."""
    for name in NAMES:
        make_frame(database, 3, frame_id=name)
    planning.plan(database)
    assert planning.plan(database).frames == 0
    monkeypatch.setattr(sweep, "BATCH", 1)
    return database


def queued(db: Database, name: str) -> int:
    return len(db.query(PendingJob, frame_id=name))


def turns(*steps: Callable[[], object]) -> Callable[[], None]:
    """Each call does the next of these."""
    left = list(steps)

    def one() -> None:
        if left:
            left.pop(0)()

    return one


def test_a_change_made_meanwhile_is_planned_before_every_frame_was_seen(frames: Database) -> None:
    with frames.session_scope() as session:
        session.execute(update(DaemonTools).values(everything_utc=None))
    seen: list[object] = []

    def changes() -> None:
        frames.delete(PendingJob, frame_id=NAMES[0])
        seen.append(queued(frames, NAMES[0]))

    def looks() -> None:
        (daemon,) = frames.query(DaemonTools)
        seen.extend([queued(frames, NAMES[0]), daemon.everything_utc, frames.query(FrameChange)])

    calls: list[int] = []
    between = turns(lambda: None, changes, looks)
    done = planning.plan(frames, everything=True, between=lambda: (calls.append(1), between()))
    assert seen[:3] == [0, 3, None] and not any(c.frame_id == NAMES[0] for c in seen[3])  # type: ignore[attr-defined]
    assert (done.frames, len(calls), done.added) == (4, 4, 3)
    assert frames.query(DaemonTools)[0].everything_utc is not None


def test_the_most_urgent_change_goes_first_and_the_plan_goes_on_however_much_changes(
    frames: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST", 1)
    frames.update(Frame, {"priority": 7}, id=NAMES[3])
    planning.plan(frames)
    order: list[list[int]] = []

    def changes() -> None:
        order.append([queued(frames, name) for name in NAMES])
        for name in NAMES[2:]:
            frames.delete(PendingJob, frame_id=name)

    planning.plan(frames, everything=True, between=changes)
    assert len(order) == 3, "one frame of the rest a turn"
    assert order[1:] == [[3, 3, 0, 3], [3, 3, 0, 3]]
    planning.plan(frames)
    assert [queued(frames, name) for name in NAMES] == [3, 3, 3, 3]


def test_a_planner_that_dies_in_the_middle_leaves_every_frame_due(frames: Database) -> None:
    planning.plan(frames, everything=True)
    assert not planning.everything_is_due(frames)
    with frames.session_scope() as session:
        session.execute(update(DaemonTools).values(everything_utc=None))
        session.execute(delete(PendingJob))
        session.execute(delete(FrameChange))  # nobody knows of it: only a look at every frame finds out

    def dies() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        planning.plan(frames, everything=True, between=turns(lambda: None, lambda: None, dies))
    assert [queued(frames, name) for name in NAMES] == [3, 3, 0, 0]
    assert planning.everything_is_due(frames)
    assert planning.plan(frames, everything=True).added == 6
    assert not planning.everything_is_due(frames)
