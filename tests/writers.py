"""Sixteen processes that plan, grant, finish and interfere on one database. `python writers.py URL ROOT SECONDS`

Forked from one, so that libraries are loaded once. Prints `pid role` for each, and `ended pid` where one ended well.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from databases import make_settings
from frames_made import FRAME, start

from satdaemon.db import Database, Ifg, RunningJob, jobs, planning, rows, runs
from satdaemon.db.bulk import Move, set_statuses
from satdaemon.domain import Failure, StageResult, Usage
from satdaemon.errors import DatabaseUnavailable, RequestError, TransientError
from satdaemon.status import ProcStatus, RowKind

ROLES = ["planner"] * 4 + ["claimer"] * 6 + ["finisher"] * 3 + ["operator"] * 3


def plans(db: Database, chance: random.Random) -> None:
    planning.plan(db, [FRAME] if chance.random() < 0.3 else None, everything=chance.random() < 0.1)


def claims(db: Database, chance: random.Random) -> None:
    runs.beat_frame(db, FRAME, "the test")
    for grant in jobs.grant_pass(db):
        if start(db, grant.job_id, grant.attempt) and chance.random() < 0.7:
            finish(db, grant.job_id, grant.attempt, chance)


def finishes(db: Database, chance: random.Random) -> None:
    """What somebody else has begun: only one of all who try may end it."""
    for job in db.query(RunningJob):
        if job.started_utc is not None:
            finish(db, job.job_id, job.attempt, chance)


def finish(db: Database, job_id: int, attempt: int, chance: random.Random) -> None:
    if chance.random() < 0.1:
        jobs.fail(db, job_id, attempt, Failure.from_exception(TransientError("no luck")), Usage())
    else:
        jobs.finish(db, job_id, attempt, StageResult((), processor="test", processor_version="1"), Usage(), None)


def interferes(db: Database, chance: random.Random) -> None:
    row = chance.choice(db.query(Ifg, frame_id=FRAME))
    try:
        match chance.randrange(4):
            case 0:
                rows.exclude(db, FRAME, row.date, reason="no good", who="x")
            case 1:
                rows.include(db, FRAME, row.date, who="x")
            case 2:
                jobs.retry(db, frame_id=FRAME, who="x")
            case _:
                set_statuses(db, RowKind.IFG, [Move(row.id, ProcStatus.STALE, stale_from=1, reason="x")])
    except RequestError:
        return  # it may not be, as things are now


WORK: dict[str, Callable[[Database, random.Random], None]] = {
    "planner": plans, "claimer": claims, "finisher": finishes, "operator": interferes,
}  # fmt: skip


def one(url: str, root: str, seconds: float, number: int) -> None:
    db, chance = Database(make_settings(Path(root), url, lease_s=1.0)), random.Random(number)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            WORK[ROLES[number]](db, chance)
        except DatabaseUnavailable:
            time.sleep(0.2)  # the server is being started again
        time.sleep(0.02)
    db.close()


def main(url: str, root: str, seconds: float) -> int:
    children = {}
    for number, role in enumerate(ROLES):
        pid = os.fork()
        if pid == 0:
            one(url, root, seconds, number)
            os._exit(0)
        children[pid] = role
        print(pid, role, flush=True)
    bad = 0
    for _ in children:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        bad += code not in (0, -9)
        print("ended" if code == 0 else "gone", pid, code, flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
