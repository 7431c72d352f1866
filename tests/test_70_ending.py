"""How a flow run ends, and who is told."""

from __future__ import annotations

from frames_made import FRAME, make_frame

from flows.ending import end_state, held_state
from satdaemon.db import Database, jobs, messages
from satdaemon.db.frame_life import retire_frame
from satdaemon.db.planning import plan
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Disposition


def test_a_failed_job_fails_the_run_and_is_told_to_people(database: Database) -> None:
    make_frame(database)
    plan(database, [FRAME])
    grant = jobs.grant_pass(database)[0]
    failure = Failure("CorruptProduct", "the zip is broken", "", Disposition.FAIL)
    assert jobs.fail(database, grant.job_id, grant.attempt, failure, Usage()).kind == "failed"
    state = end_state(database, FRAME)
    assert state.is_failed()
    assert "the zip is broken" in str(state.message)
    (message,) = messages.listing(database)
    assert message.frame_id == FRAME
    assert "the zip is broken" in message.body


def test_a_run_with_pending_jobs_waits_and_tells_nobody(database: Database) -> None:
    make_frame(database)
    plan(database, [FRAME])
    state = end_state(database, FRAME)
    assert (state.name, state.is_completed()) == ("Waiting", True)
    assert messages.listing(database) == []


def test_a_frame_that_is_off_says_so(database: Database) -> None:
    make_frame(database, on=False)
    state = end_state(database, FRAME)
    assert (state.name, state.is_completed()) == ("Off", True)
    assert "satdaemon frame on" in str(state.message)
    retire_frame(database, FRAME)
    assert "retired: satdaemon frame restore" in str(end_state(database, FRAME).message)


def test_a_held_frame_names_its_holder(database: Database) -> None:
    make_frame(database)
    assert "the test" in str(held_state(database, FRAME).message)
