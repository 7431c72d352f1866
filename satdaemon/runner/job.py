"""One granted job from its start to its recorded end."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

from satdaemon.config import StageSettings
from satdaemon.db import Database, inputs, jobs
from satdaemon.domain import Failure, Job, StageInput, StageResult, Usage, says_disk_full
from satdaemon.errors import DiskFull, MachineLost
from satdaemon.joblog import EventReader, JobContext
from satdaemon.processors.command import arguments, directory, fields, variables
from satdaemon.runner import quicklooks
from satdaemon.runner.attempt import Attempt
from satdaemon.runner.cgroup import delegation
from satdaemon.runner.environment import job_environment
from satdaemon.runner.launch import Child, GuardLost, start_builtin, start_program
from satdaemon.runner.order import Ended, Order
from satdaemon.runner.outcome import judge_builtin, judge_command, stopped

T = TypeVar("T")
_LOOK_S = 1.0
"""How often a running job looks whether it should stop."""
_INSIST_S = (0.2, 1.0, 3.0, 10.0, 20.0, 30.0)
"""Waits between tries to record an end that the database does not take at once."""


@lru_cache(maxsize=4)
def _database(config_path: str) -> Database:
    return Database(config_path)


def run_job(
    config_path: str,
    job_id: int,
    attempt: int,
    context: Mapping[str, Any],
    is_abandoned: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Run attempt number `attempt` of a job that was granted to this machine.

    `context` names the job (`Job` as JSON under `job`) and the Prefect runs (`flow_run_id`, `task_run_id`).
    `is_abandoned` tells that nobody waits for the job any more. Returns a summary: `outcome` (done, retry, failed,
    waiting, excluded or discarded), `message`, `metrics`, `warnings`, cost and the log's path. A job's failure is an
    outcome, not an exception.
    """
    database = _database(config_path)
    job: Job = context["job"]
    run = _Run(database, job, attempt, is_abandoned or (lambda: False))
    if not jobs.start(
        database,
        job_id,
        attempt,
        pid=os.getpid(),
        host=socket.gethostname(),
        log_path=str(run.attempt.log),
        flow_run_id=context.get("flow_run_id"),
        task_run_id=context.get("task_run_id"),
    ):
        return run.summary("discarded", "the job is not granted to this attempt any more")
    return run.to_its_end()


class _Run:
    def __init__(self, database: Database, job: Job, number: int, is_abandoned: Callable[[], bool]) -> None:
        self.database = database
        self.settings = database.settings
        self.job = job
        self.number = number
        self.is_abandoned = is_abandoned
        parameters = self.settings.parameters
        self.attempt = Attempt.of(job, number, parameters.processing_path, parameters.log_path)
        self.events = EventReader(self.attempt.events)
        self.stage: StageSettings = self.settings.stage(job.stage)
        self.last_beat = time.monotonic()
        self.started = time.monotonic()
        self.usage = Usage()

    def to_its_end(self) -> dict[str, Any]:
        """Prepare, run, judge and record."""
        try:
            found = self._run()
        except Exception as error:  # noqa: BLE001  (whatever goes wrong here is this job's failure, recorded with its trace)
            found = Failure.from_exception(error)
        self.usage = replace(self.usage, wall_s=time.monotonic() - self.started)
        if isinstance(found, StageResult):
            try:
                return self._finish(found)
            except OSError as error:
                what = f"the product could not be put in its place: {error}"
                found = Failure.from_exception(DiskFull(what) if says_disk_full(str(error)) else MachineLost(what))
        return self._fail(found)

    def _run(self) -> StageResult | Failure:
        self.attempt.create()
        staged = inputs.stage_input(self.database, self.job.id, self.number, self.attempt.out)
        staged = replace(staged, paths={**staged.paths, "scratch": self.attempt.scratch})
        self.attempt.input_path.write_text(json.dumps(staged.to_json(), indent=1))
        child = self._start(staged)
        try:
            reason, ended = self._watch(child)
        except GuardLost as error:
            return Failure.from_exception(MachineLost(str(error)))
        finally:
            child.close()
        self._count(ended)
        self.events.read()
        if reason is not None:
            return stopped(reason, ended)
        found = self._judge(staged, ended)
        return self._with_quicklooks(staged, found) if isinstance(found, StageResult) else found

    def _judge(self, staged: StageInput, ended: Ended) -> StageResult | Failure:
        if self.stage.processor == "command":
            warnings = tuple(self.events.warnings)
            return judge_command(staged, self.stage, ended, self.attempt.log, warnings, self.events.last_error)
        return judge_builtin(staged, ended, self.attempt.result_path, self.attempt.log)

    def _with_quicklooks(self, staged: StageInput, result: StageResult) -> StageResult | Failure:
        """The result with pictures of what was made; they cost the job nothing but a warning where they fail."""
        if not self.settings.parameters.quicklooks or not quicklooks.are_wanted(staged):
            return result
        ended = None
        try:
            with closing(start_builtin(quicklooks.ordered(self._order(staged)))) as child:
                reason, ended = self._watch(child)
        except OSError as error:
            print(f"{self.job.title}: quicklooks: {error!r}", flush=True)
        else:
            self._count(ended)
            if reason is not None:
                return stopped(reason, ended)
        return quicklooks.with_quicklooks(result, staged, self.attempt.quicklooks_path, ended)

    def _count(self, ended: Ended) -> None:
        """Add what a child cost."""
        self.usage = Usage(
            cpu_s=self.usage.cpu_s + ended.cpu_s,
            peak_memory_gb=max(self.usage.peak_memory_gb, ended.peak_memory_gb),
            read_bytes=self.usage.read_bytes + ended.read_bytes,
            written_bytes=self.usage.written_bytes + ended.written_bytes,
        )

    def _order(self, staged: StageInput) -> Order:
        job = self.job
        context = JobContext(job.id, self.number, job.frame_id, job.stage.value, self.attempt.events)
        return Order(
            log_path=str(self.attempt.log),
            env=job_environment(self.settings, staged, context, self.attempt.scratch),
            cwd=str(self.attempt.out),
            memory_gb=staged.granted_gb,
            time_limit_s=self.stage.time_limit_h * 3600,
            cores=staged.cores,
            input_path=str(self.attempt.input_path),
            cgroup=delegation().path,
        )

    def _start(self, staged: StageInput) -> Child:
        order = self._order(staged)
        if self.stage.processor == "builtin":
            return start_builtin(order)
        values = fields(staged, self.attempt.input_path)
        order = replace(
            order,
            argv=arguments(self.stage.command, values),
            env={**order.env, **variables(self.stage, values)},
            cwd=str(directory(self.stage, values)),
        )
        return start_program(order)

    def _watch(self, child: Child) -> tuple[str | None, Ended]:
        """Wait for the child's end; the reason where it was ended by an order."""
        reason: str | None = None
        while True:
            ended = child.wait(_LOOK_S)
            if ended is not None:
                return reason, ended
            if reason is None:
                reason = self._reason_to_stop()
                if reason is not None:
                    child.stop()

    def _reason_to_stop(self) -> str | None:
        if self.is_abandoned():
            return "abandoned"
        parameters = self.settings.parameters
        since = time.monotonic() - self.last_beat
        try:
            if since >= parameters.heartbeat_s:
                self.events.read()
                orders = jobs.beat(
                    self.database, self.job.id, self.number, progress=self.events.progress, message=self.events.message
                )
                self.last_beat = time.monotonic()
            else:
                orders = jobs.orders(self.database, self.job.id, self.number)
        except Exception as error:  # noqa: BLE001  (a database out of reach: the lease decides how long that may last)
            if since < parameters.lease_s:
                return None
            print(f"{self.job.title}: no beat for {since:.0f} s: {error!r}", flush=True)
            return "lost"
        if orders is jobs.Orders.CONTINUE:
            return None
        return "cancelled" if orders is jobs.Orders.CANCEL else "lost"

    def _finish(self, result: StageResult) -> dict[str, Any]:
        finished = self._insist(
            lambda: jobs.finish(
                self.database,
                self.job.id,
                self.number,
                result,
                self.usage,
                self.attempt.target,
                publish=self.attempt.publish,
                out_dir=self.attempt.out,
            )
        )
        self.attempt.discard()
        if not finished:
            return self.summary("discarded", "another attempt holds the job: the output was discarded")
        return self.summary("done", "", result)

    def _fail(self, failure: Failure) -> dict[str, Any]:
        outcome = self._insist(lambda: jobs.fail(self.database, self.job.id, self.number, failure, self.usage))
        self.attempt.discard()
        return self.summary(outcome.kind, f"{failure.error_class}: {failure.message}")

    def _insist(self, call: Callable[[], T]) -> T:
        """Call until the database takes it; an OSError is the file system's and no matter of patience."""
        for wait_s in _INSIST_S:
            try:
                return call()
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  (the database may be restarting; the last try below raises)
                print(f"{self.job.title}: recording its end failed, again in {wait_s} s: {error!r}", flush=True)
                time.sleep(wait_s)
        return call()

    def summary(self, outcome: str, message: str, result: StageResult | None = None) -> dict[str, Any]:
        """What the flow shows of the job."""
        return {
            "outcome": outcome,
            "title": self.job.title,
            "message": message,
            "metrics": {} if result is None else dict(result.metrics),
            "warnings": [] if result is None else list(result.warnings),
            "wall_s": round(self.usage.wall_s, 3),
            "cpu_s": round(self.usage.cpu_s, 3),
            "peak_memory_gb": round(self.usage.peak_memory_gb, 3),
            "written_bytes": self.usage.written_bytes,
            "log": str(self.attempt.log),
            "host": socket.gethostname(),
        }
