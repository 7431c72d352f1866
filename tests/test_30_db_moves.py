"""Whatever is called in whatever order: only legal moves, one job a row, one row a job."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from databases import make_settings
from frames_made import FRAME, make_frame, plan, start
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text, update

from satdaemon.db import Database, FailedJob, Frame, Ifg, Machine, Master, PendingJob, RsarIfg, RunningJob, jobs, rows, runs
from satdaemon.db.bulk import Move, set_statuses
from satdaemon.db.clock import now_utc
from satdaemon.db.models import JobKey
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import (
    Cancelled,
    DataError,
    LeaseLost,
    NotReady,
    NotUsable,
    OutOfMemory,
    RequestError,
    SatDaemonError,
    TransientError,
)
from satdaemon.status import LEGAL_MOVES, ProcStatus, RowKind, is_legal_move

ERRORS: list[type[SatDaemonError]] = [Cancelled, DataError, LeaseLost, NotReady, NotUsable, OutOfMemory, TransientError]
TABLES = {RowKind.MASTER: Master, RowKind.IFG: Ifg, RowKind.RSAR_IFG: RsarIfg}
PLACE = st.integers(0, 30)


class Moves(RuleBasedStateMachine):
    """A small frame, and every call that changes it."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="satdaemon-moves-"))
        shutil.copy(self.template, self.root / "db.sqlite")
        self.db = Database(make_settings(self.root, f"sqlite:///{self.root / 'db.sqlite'}"))
        runs.claim_frame(self.db, FRAME, "the test")
        self.seen = 0
        self.grants: list[jobs.Grant] = []

    def teardown(self) -> None:
        self.db.close()
        shutil.rmtree(self.root)

    def statuses(self) -> dict[tuple[str, int], ProcStatus]:
        with self.db.read_scope() as session:
            found = {}
            for table in ("master", "ifg", "rsar_ifg"):
                for row_id, status in session.execute(text(f"SELECT id, proc_status FROM {table}")):
                    found[table, row_id] = ProcStatus(status)
            return found

    def one(self, place: int) -> jobs.Grant | None:
        return self.grants[place % len(self.grants)] if self.grants else None

    @rule()
    def plans(self) -> None:
        plan(self.db)

    @rule()
    def grants_and_starts(self) -> None:
        for grant in jobs.grant_pass(self.db):
            start(self.db, grant.job_id, grant.attempt)
            self.grants.append(grant)

    @rule(place=PLACE)
    def finishes(self, place: int) -> None:
        if grant := self.one(place):
            jobs.finish(self.db, grant.job_id, grant.attempt, StageResult(()), Usage(), None)

    @rule(rounds=st.integers(1, 6))
    def goes_on(self, rounds: int) -> None:
        for _ in range(rounds):
            self.plans()
            self.grants_and_starts()
            for grant in self.grants[-6:]:
                jobs.finish(self.db, grant.job_id, grant.attempt, StageResult(()), Usage(), None)

    @rule(place=PLACE, error=st.sampled_from(ERRORS))
    def fails(self, place: int, error: type[SatDaemonError]) -> None:
        if grant := self.one(place):
            failure = Failure.from_exception(error("no luck"))
            jobs.fail(self.db, grant.job_id, grant.attempt, failure, Usage())

    @rule()
    def loses_all(self) -> None:
        with self.db.session_scope() as session:
            session.execute(update(RunningJob).values(heartbeat_utc=now_utc(-1000)))
        jobs.rescue(self.db)

    @rule(place=PLACE, hold=st.booleans())
    def cancels(self, place: int, hold: bool) -> None:
        pending = self.db.query(PendingJob)
        ids = [j.job_id for j in pending] + [g.job_id for g in self.grants]
        if ids:
            jobs.cancel(self.db, job_id=ids[place % len(ids)], who="x", hold=hold)

    @rule()
    def retries(self) -> None:
        jobs.retry(self.db, frame_id=FRAME, who="x")

    @rule(place=PLACE, pair=st.booleans(), back=st.booleans())
    def leaves_out_or_takes_back(self, place: int, pair: bool, back: bool) -> None:
        found: list[Any] = list(self.db.query(RsarIfg) if pair else self.db.query(Ifg))
        row = found[place % len(found)]
        dates = (row.date1, row.date2) if pair else (row.date, None)
        try:
            if back:
                rows.include(self.db, FRAME, *dates, who="x")
            else:
                rows.exclude(self.db, FRAME, *dates, who="x", reason="no good")
        except RequestError as error:
            refusals = ("expected a legal move", "a running job holds it", "expected an excluded row", "left out by a rule")
            assert any(words in str(error) for words in refusals)

    @rule(place=PLACE, kind=st.sampled_from(RowKind), new=st.sampled_from(ProcStatus), by=st.sampled_from(["bulk", "update"]))
    def is_given_any_status(self, place: int, kind: RowKind, new: ProcStatus, by: str) -> None:
        found: list[Any] = list(self.db.query(TABLES[kind]))
        row = found[place % len(found)]
        legal = new in LEGAL_MOVES[row.status] and ProcStatus.RUNNING not in (new, row.status)
        if by == "bulk":
            done = set_statuses(self.db, kind, [Move(row.id, new, stale_from=1 if new is ProcStatus.STALE else None)])
            assert (done.rows, len(done.refused)) == ((1, 0) if legal else (0, 1))
            return
        try:
            self.db.update(TABLES[kind], {"proc_status": int(new)}, id=row.id)
            assert legal or new is row.status
        except RequestError:
            assert not legal

    @rule(reprocess=st.booleans(), processing=st.booleans())
    def is_switched(self, reprocess: bool, processing: bool) -> None:
        self.db.update(Frame, {"reprocess": reprocess, "processing": processing}, id=FRAME)

    @rule(everything=st.booleans())
    def plans_and_the_queue_is_what_is_owed(self, everything: bool) -> None:
        plan(self.db, everything=everything)
        with self.db.read_scope() as session:
            owed = set(session.execute(text("SELECT kind, row_id, stage FROM ledger WHERE is_next AND is_owed")).all())
        failed = {(j.kind, j.row_id, j.stage) for j in self.db.query(FailedJob)}
        assert {(j.kind, j.row_id, j.stage) for j in self.db.query(PendingJob)} == owed, failed

    @invariant()
    def only_legal_moves(self) -> None:
        with self.db.read_scope() as session:
            made = session.execute(text("SELECT id, old, new FROM moves_made WHERE id > :n ORDER BY id"), {"n": self.seen}).all()
        for number, old, new in made:
            assert old == new or is_legal_move(ProcStatus(old), ProcStatus(new)), (ProcStatus(old), ProcStatus(new))
            self.seen = number

    @invariant()
    def one_job_a_row(self) -> None:
        pending, running = self.db.query(PendingJob), self.db.query(RunningJob)
        works = [(j.kind, j.row_id, j.stage) for j in [*pending, *running]]
        assert len(works) == len(set(works))
        keys = {(k.job_id, k.place) for k in self.db.query(JobKey)}
        assert keys == {(j.job_id, "pending") for j in pending} | {(j.job_id, "running") for j in running}
        held = {(j.kind, j.row_id) for j in running}
        assert held == {key for key, status in self.statuses().items() if status is ProcStatus.RUNNING}

    @invariant()
    def no_machine_over_committed(self) -> None:
        running = self.db.query(RunningJob)
        for machine in self.db.query(Machine):
            assert sum(j.cpu for j in running if j.machine == machine.name) <= machine.cpu


@pytest.mark.slow
def test_no_sequence_of_calls_makes_an_illegal_move(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "frame.sqlite"
    shutil.copy(sqlite_template, path)
    db = Database(make_settings(tmp_path, f"sqlite:///{path}"))
    make_frame(db, 4)
    runs.release_frame(db, FRAME, "the test")
    assert db.query(Master)
    with db.engine.begin() as connection:  # every single move is written down, whichever call makes it
        connection.execute(text("CREATE TABLE moves_made (id INTEGER PRIMARY KEY, old, new)"))
        for table in TABLES:
            connection.exec_driver_sql(
                f"CREATE TRIGGER {table}_is_moved AFTER UPDATE OF proc_status ON {table} BEGIN"
                " INSERT INTO moves_made (old, new) VALUES (OLD.proc_status, NEW.proc_status); END"
            )
    with db.engine.connect() as connection:
        connection.commit()
    db.close()
    Moves.template = path
    profile = settings(
        max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    run_state_machine_as_test(Moves, settings=profile)
