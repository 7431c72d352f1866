"""A process that grants, starts and finishes jobs until none is left. `python claimer.py URL ROOT NAME SLOW_S`"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from databases import make_settings
from frames_made import FRAME, start

from satdaemon.db import Database, RunningJob, jobs, planning, runs
from satdaemon.domain import StageResult, Usage


def main(url: str, root: str, name: str, slow_s: float) -> None:
    db = Database(make_settings(Path(root), url, lease_s=2.0))
    print("ready", flush=True)
    idle = 0
    while idle < 60:
        runs.beat_frame(db, FRAME, "the test")
        grants = jobs.grant_pass(db)
        for grant in grants:
            if start(db, grant.job_id, grant.attempt):
                print("holds", grant.job_id, grant.attempt, flush=True)
                time.sleep(slow_s)
                result = StageResult((), processor=name, processor_version="1")
                done = jobs.finish(db, grant.job_id, grant.attempt, result, Usage(wall_s=slow_s), None)
                print("finished" if done else "lost", grant.job_id, grant.attempt, os.getpid(), flush=True)
        if grants:
            idle = 0
            continue
        jobs.rescue(db)
        planning.plan(db, [FRAME])
        left = db.query(RunningJob) or jobs.pending_of_frame(db, FRAME, 1)
        idle = 0 if left else idle + 20
        time.sleep(0.05)
    db.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
