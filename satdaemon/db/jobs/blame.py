"""Whether a failure is its job's fault or its machine's, and what becomes of a machine that spoils jobs.

Each failure that may be the machine's fault is a row of machine_failures, until a job of the same stage succeeds there.
A job that fails on a second machine takes its rows back: it is the job. Once enough jobs failed in a row while their
like succeeded on machines that have no such rows (else it is something that all have in common), the machine is
quarantined, and its jobs get back what they lost there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from satdaemon.db.clock import now_utc
from satdaemon.db.events import of_job
from satdaemon.db.jobs.moves import Outcome, again, end_unfinished
from satdaemon.db.machines import ENABLED, QUARANTINED, is_heard_of, put
from satdaemon.db.messages import occasions
from satdaemon.db.models import FailedJob, JobEvent, LearnedCost, Machine, MachineFailure, PendingJob, RunningJob
from satdaemon.db.models.learned import ALL_MACHINES
from satdaemon.db.store import Store
from satdaemon.domain import Failure, Usage
from satdaemon.errors import may_blame_machine

WHO = "satdaemon"
"""Who quarantines a machine without a person."""
_FINISHED, _FAILED = "finished", ("failed", "retry")
_REASON = 200


def end(db: Store, session: Session, job: RunningJob, failure: Failure, usage: Usage) -> Outcome:
    """End a running job that did not finish, and weigh what that says of its machine."""
    if not may_blame_machine(failure.error_class):
        return end_unfinished(db, session, job, failure, usage)
    before, tries = machines_of(job.failed_on), job.tries
    if job.machine not in before:
        job.failed_on = ",".join((*before, job.machine))
    outcome = end_unfinished(db, session, job, failure, usage)
    if outcome.kind not in ("retry", "failed") or job.started_utc is None:
        return outcome
    if any(name != job.machine for name in before):
        session.execute(delete(MachineFailure).where(MachineFailure.job_id == job.job_id))
    elif db.settings.parameters.quarantine_after:
        found = _note(session, job, failure, tries)
        if session.scalar(select(Machine.state).where(Machine.name == job.machine)) == QUARANTINED:
            _give_back(session, [found])  # known to be sick: it was only still running there
            session.delete(found)
        else:
            _weigh(db, session, job.machine)
        if outcome.kind == "failed" and session.get(PendingJob, job.job_id) is not None:
            return Outcome("retry", reason=outcome.reason)
    return outcome


def succeeded(db: Store, session: Session, job: RunningJob) -> None:
    """A job has finished: failures of its stage on its machine are no row any more; those elsewhere weigh more."""
    failing = _failing(session, job.stage)  # mostly nowhere, and this is all that it costs
    if job.machine in failing:
        mine = (MachineFailure.machine == job.machine, MachineFailure.stage == job.stage)
        session.execute(delete(MachineFailure).where(*mine))
        return
    for name in sorted(failing):
        _weigh(db, session, name, job)


def _failing(session: Session, stage: str) -> set[str]:
    """Machines where jobs of a stage failed last."""
    return set(session.scalars(select(MachineFailure.machine).where(MachineFailure.stage == stage).distinct()))


def machines_of(failed_on: str | None) -> tuple[str, ...]:
    """The machines that a job's `failed_on` names."""
    return tuple(failed_on.split(",")) if failed_on else ()


def _note(session: Session, job: RunningJob, failure: Failure, tries: int) -> MachineFailure:
    session.flush()
    left = session.scalar(select(PendingJob.tries).where(PendingJob.job_id == job.job_id))
    newest = session.scalar(select(func.max(JobEvent.id))) or 0
    found = MachineFailure(
        machine=job.machine, job_id=job.job_id, frame_id=job.frame_id, stage=job.stage, after_event=newest,
        tries=1 if left is None else left - tries, reason=f"{failure.error_class}: {failure.message}"[:_REASON],
    )  # fmt: skip
    session.add(found)
    session.flush()
    return found


def _weigh(db: Store, session: Session, name: str, finished: RunningJob | None = None) -> None:
    """Quarantine the machine where enough of its failures in a row are of work that succeeds elsewhere.

    `finished`: a job that succeeds elsewhere just now.
    """
    # Two jobs that fail there at once may each miss the other: whatever ends next counts both.
    found = list(session.scalars(select(MachineFailure).where(MachineFailure.machine == name).order_by(MachineFailure.id)))
    limit = db.settings.parameters.quarantine_after
    if not limit or len({one.job_id for one in found}) < limit:
        return
    machine = session.scalar(select(Machine).where(Machine.name == name).with_for_update())
    if machine is None or machine.state != ENABLED:
        return
    stages = {one.stage for one in found}
    of_stage = {stage: [one for one in found if one.stage == stage] for stage in sorted(stages)}
    blaming = [one for mine in of_stage.values() if _succeeds_elsewhere(session, mine, finished) for one in mine]
    jobs = len({one.job_id for one in blaming})
    if jobs < limit:
        return
    what = ", ".join(sorted({one.stage for one in blaming}))
    reason = f"{jobs} jobs in a row failed here ({what}) while such jobs succeed elsewhere; the last: {blaming[-1].reason}"
    if not _has_another(db, session, name):
        occasions.machine_suspected(session, name, reason)
        return
    put(session, machine, QUARANTINED, who=WHO, reason=reason)
    given_back = _give_back(session, blaming)
    session.execute(delete(MachineFailure).where(MachineFailure.machine == name))
    of = f"{given_back} of its jobs got back the tries that they lost there"
    occasions.machine_quarantined(session, name, WHO, f"{reason}. {of}")


def _succeeds_elsewhere(session: Session, failures: Sequence[MachineFailure], finished: RunningJob | None) -> bool:
    """Whether jobs of a stage succeeded between the first and the last of these failures, on machines where none failed:
    of the same frames, or of any frame where more than one frame fails here (else it may be that frame).

    What begins after the last one, and succeeds, tells only that something has passed.
    """
    first, last, frames = failures[0], failures[-1], {one.frame_id for one in failures}
    since_then = (JobEvent.frame_id.in_(frames), JobEvent.id > first.after_event, JobEvent.stage == first.stage)
    failed = select(JobEvent.machine).where(*since_then, JobEvent.event.in_(_FAILED)).distinct()
    failing = _failing(session, first.stage).union(name for name in session.scalars(failed) if name)
    if finished is not None and finished.stage == first.stage and finished.machine not in failing:
        ran_through = finished.started_utc is not None and finished.started_utc < last.at_utc
        if ran_through and (len(frames) > 1 or finished.frame_id in frames):
            return True
    same = (JobEvent.id <= last.after_event, JobEvent.event == _FINISHED, JobEvent.machine.not_in(failing))
    if session.scalar(select(JobEvent.id).where(*since_then, *same).limit(1)) is not None:
        return True
    if finished is not None or len(frames) == 1:
        return False
    others = LearnedCost.machine.not_in((ALL_MACHINES, *failing))
    since = (LearnedCost.stage == first.stage, LearnedCost.last_updated >= first.at_utc)
    return session.scalar(select(LearnedCost.stage).where(others, *since).limit(1)) is not None


def _has_another(db: Store, session: Session, name: str) -> bool:
    """Whether another machine takes jobs."""
    other = (Machine.name != name, Machine.state == ENABLED, is_heard_of(db))
    return session.scalar(select(Machine.name).where(*other).limit(1)) is not None


def _give_back(session: Session, failures: Sequence[MachineFailure]) -> int:
    """Jobs that failed for good there are in the queue again, and all have the tries that they had before; how many."""
    count = 0
    for job_id in dict.fromkeys(one.job_id for one in failures):
        lost = sum(one.tries for one in failures if one.job_id == job_id)
        failed = session.get(FailedJob, job_id)
        if failed is not None:
            count += again(session, failed, tries=max(failed.tries - lost, 0), failed_on=failed.failed_on, who=WHO)
            continue
        pending = session.get(PendingJob, job_id, with_for_update=True, populate_existing=True)
        # One that ends just now is left alone: whoever ends it may wait for this machine's row.
        job = pending or session.get(RunningJob, job_id, with_for_update={"skip_locked": True}, populate_existing=True)
        if job is None:
            continue
        job.tries = max(job.tries - lost, 0)
        if pending is not None:
            of_job(session, "hurried", pending, who=WHO)
            session.execute(update(PendingJob).where(PendingJob.job_id == job_id).values(not_before=now_utc()))
        count += 1
    session.flush()
    return count
