"""What people are told of, in which words. Those that take a session are called inside the transaction that they tell of."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db.messages import conditions
from satdaemon.db.messages.causes import normalised
from satdaemon.db.messages.outbox import News, add
from satdaemon.db.models import Condition, Frame, RunningJob
from satdaemon.db.models.jobs import PAUSED, POWER_DOWN
from satdaemon.db.store import Store
from satdaemon.domain import Failure, StageResult, job_title
from satdaemon.status import RowKind, Stage

DAEMON = "daemon"
"""The condition that the daemon is up; `seen_utc` is its last sign of life."""
_FRAMES = 20
_TITLE = 100
_COMMANDS = {
    PAUSED: ("paused", "No job is launched until it is resumed; running jobs go on."),
    POWER_DOWN: ("powering down", "No job is launched any more; it ends when the running ones have."),
}


def job_failed(session: Session, job: RunningJob, failure: Failure) -> None:
    """A job failed for good: one message a cause and stage."""
    title = job_title(RowKind(job.kind), Stage(job.stage), job.frame_id, job.date1, job.date2)
    cause = normalised(failure.message)
    body = f"{title}: {failure.message}\n(on {job.machine}; output: {job.log_path})"
    what = f"{job.stage} failed: {failure.error_class}: {cause}"
    add(session, News("job", f"failed/{job.stage}/{failure.error_class}/{cause}", _cut(what), body, "error", job.frame_id))


def login_refused(session: Session, job: RunningJob, failure: Failure) -> None:
    """An archive's login is missing or refused: downloads wait until somebody sees to it. One message an archive."""
    archive = job.archive or "archive"
    body = f"{failure.message}\nDownloads from there wait, and are tried again every 15 min, at no try (on {job.machine})."
    add(session, News("archive", f"login/{archive}", f"{archive}: login missing or refused", body, "error", job.frame_id))


def frame_ingested(session: Session, frame_id: str, result: StageResult) -> None:
    """A frame's new points can be seen: as a rule that ends its chain."""
    count = result.metrics.get("points")
    add(session, _finished(frame_id, "its points can be seen" + (f" ({count})" if count is not None else "")))


def frame_finished(db: Store, frame_id: str, message: str) -> None:
    """A frame that makes no points has nothing left to do; of one that does, its ingest has told."""

    def work(session: Session) -> None:
        frame = session.get(Frame, frame_id)
        if frame is not None and not frame.do_ingest:
            add(session, _finished(frame_id, message))

    db.write(work)


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE else title[: _TITLE - 3] + "..."


def _finished(frame_id: str, how: str) -> News:
    return News("frame", "finished", "frame finished", f"{frame_id}: {how}", "info", frame_id, examples=_FRAMES)


def machine_quarantined(session: Session, name: str, who: str, reason: str | None) -> None:
    """A machine gets no jobs any more until a person looks at it."""
    body = f"{name} gets no more jobs: {reason or 'no reason was given'} (by {who})."
    add(session, News("machine", f"quarantined/{name}", f"machine {name} is quarantined", body, "error", at_once=True))


def machine_suspected(session: Session, name: str, reason: str) -> None:
    """A machine would be quarantined, but no other one takes jobs."""
    body = f"{name}: {reason}. It stays, as no other machine takes jobs now: look at it."
    add(session, News("machine", f"suspected/{name}", f"machine {name} spoils jobs", body, "error", at_once=True))


def daemon_commanded(session: Session, word: str, who: str) -> None:
    """Somebody paused, resumed or powered down the daemon."""
    what, body = _COMMANDS.get(word, ("told to run", "Jobs are launched again."))
    add(session, News("daemon", f"daemon/{word}", f"daemon {what}", f"By {who}. {body}", at_once=True))


def daemon_up(db: Store) -> None:
    """The daemon has started. Where the last one ended without a word (killed, no power), since when it was gone."""

    def work(session: Session) -> None:
        last = session.scalar(select(Condition.seen_utc).where(Condition.key == DAEMON))
        conditions.begin(session, DAEMON)
        now = session.scalars(select(Condition.since_utc).where(Condition.key == DAEMON)).one()
        body = f"On {socket.gethostname()}."
        if last is not None:
            gone_h = (now - last).total_seconds() / 3600.0
            body += f" It was gone since {last:%Y-%m-%d %H:%M:%S} UTC ({gone_h:.2f} h) and had told nobody: killed, or no power."
        level = "warning" if last is None else "error"
        add(session, News("daemon", f"{DAEMON}/up", "daemon up", body, level, at_once=True))

    db.write(work)


def daemon_alive(db: Store) -> None:
    """A sign of life, for what a start after a crash tells."""
    db.write(lambda session: conditions.seen(session, DAEMON))


def daemon_down(db: Store, why: str) -> None:
    """The daemon ends in order."""

    def work(session: Session) -> None:
        if conditions.end(session, DAEMON):
            body = f"On {socket.gethostname()}: {why}."
            add(session, News("daemon", f"{DAEMON}/down", "daemon down", body, at_once=True))

    db.write(work)


def found_by_maintenance(db: Store, findings: Sequence[str]) -> None:
    """What maintenance found and a person should look at."""
    title = f"maintenance: {len(findings)} things to look at"
    db.write(lambda session: add(session, News("maintenance", "maintenance", title, "\n".join(findings))))
