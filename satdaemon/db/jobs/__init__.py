"""Jobs: the only writer of pending_jobs, running_jobs and failed_jobs.

pending -> running (grant) -> gone (finish) | failed | pending again. Each move is one transaction over a job's
row, its row in master, ifg or rsar_ifg, and its event; the job keeps its id, and every write by a worker
is fenced by (job_id, attempt).
"""

from satdaemon.db.jobs.cancel import cancel, retry
from satdaemon.db.jobs.ending import Finish, fail, finish, finish_of
from satdaemon.db.jobs.grant import Grant, grant_pass
from satdaemon.db.jobs.lease import Orders, beat, orders, start
from satdaemon.db.jobs.moves import Outcome
from satdaemon.db.jobs.queue import JobState, first, frames_to_start, pending_of_frame, states
from satdaemon.db.jobs.rescue import rescue

__all__ = [
    "Finish",
    "Grant",
    "JobState",
    "Orders",
    "Outcome",
    "beat",
    "cancel",
    "fail",
    "finish",
    "finish_of",
    "first",
    "frames_to_start",
    "grant_pass",
    "orders",
    "pending_of_frame",
    "rescue",
    "retry",
    "start",
    "states",
]
