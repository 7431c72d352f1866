"""run_job: one granted job, as the worker runs it, to its end in the database."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_parts import FRAME, lines_of, make_frame, make_settings, runs_of, until

from satdaemon.config import Settings
from satdaemon.db import Database, FailedJob, Master, PendingJob, Product, RunningJob, jobs, runs
from satdaemon.domain import Job
from satdaemon.runner import run_job
from satdaemon.status import ProcStatus


class Bench:
    """A frame whose master's download is the only job, and what is needed to run it by hand."""

    def __init__(self, place: Path, **parameters: Any) -> None:
        self.settings: Settings = make_settings(place, **parameters)
        self.database: Database = make_frame(self.settings, dates=1)
        assert runs.claim_frame(self.database, FRAME, "the test")

    def grant(self) -> Job:
        runs.beat_frame(self.database, FRAME, "the test")
        until(lambda: jobs.grant_pass(self.database) or self.database.query(RunningJob), what="a grant")
        (job,) = [found for found in jobs.pending_of_frame(self.database, FRAME, 5) if found.machine]
        return job

    def run(self, job: Job, **more: Any) -> dict[str, Any]:
        return run_job(str(self.settings.source), job.id, job.attempt, {"job": job}, **more)

    def order(self, **order: Any) -> None:
        (runs_of(self.settings) / "orders.json").write_text(json.dumps({"*": order}))

    def in_background(self, job: Job, **more: Any) -> tuple[threading.Thread, list[dict[str, Any]]]:
        found: list[dict[str, Any]] = []
        thread = threading.Thread(target=lambda: found.append(self.run(job, **more)))
        thread.start()
        until(lambda: lines_of(self.settings, "begun"), what="the program's start")
        return thread, found

    @property
    def product(self) -> Path:
        return self.settings.parameters.processing_path / FRAME / "download" / "20230101"

    def status(self) -> ProcStatus:
        (master,) = self.database.query(Master, frame_id=FRAME)
        return ProcStatus(master.proc_status)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_job_is_done_and_its_product_published(bench: Bench) -> None:
    job = bench.grant()
    summary = bench.run(job)
    assert summary["outcome"] == "done", summary
    assert (bench.product / "product.txt").read_text() == f"{job.id}-1"
    assert (bench.product / "product.json").exists()
    assert bench.status() is ProcStatus.DONE
    assert bench.database.query(RunningJob) == []
    (product,) = bench.database.query(Product, frame_id=FRAME)
    assert Path(product.path) == bench.product
    assert summary["cpu_s"] > 0 and summary["peak_memory_gb"] > 0.005
    assert not list((bench.settings.parameters.processing_path / FRAME / ".attempts").iterdir())


def test_run_again_it_replaces_its_product(bench: Bench) -> None:
    bench.product.mkdir(parents=True)
    (bench.product / "old").write_text("old")
    job = bench.grant()
    assert bench.run(job)["outcome"] == "done"
    assert not (bench.product / "old").exists()
    assert (bench.product / "product.txt").exists()


def test_warnings_and_progress_reach_the_database(bench: Bench) -> None:
    bench.order(progress=0.4, sleep_s=2.0)
    job = bench.grant()
    thread, found = bench.in_background(job)
    (row,) = until(lambda: [r for r in bench.database.query(RunningJob) if r.progress], what="progress")
    assert (row.progress, row.message) == (0.4, "on the way")
    thread.join()
    assert found[0]["warnings"] == ["mind the gap"]
    assert bench.status() is ProcStatus.DONE_WITH_WARNINGS


def test_a_failing_program_fails_the_job_with_its_last_words(bench: Bench) -> None:
    bench.order(exit=3)
    summary = bench.run(bench.grant())
    assert summary["outcome"] == "failed"
    (failed,) = bench.database.query(FailedJob, frame_id=FRAME)
    assert failed.return_code == 3
    assert "told to fail" in failed.traceback
    assert "return code 3" in failed.message
    assert Path(failed.log_path).read_text() == "told to fail\n"
    assert bench.status() is ProcStatus.FAILED
    assert not bench.product.exists()


def test_return_code_75_asks_for_another_try(bench: Bench) -> None:
    bench.order(exit=75)
    assert bench.run(bench.grant())["outcome"] == "retry"
    (pending,) = bench.database.query(PendingJob, frame_id=FRAME)
    assert pending.tries == 1
    assert bench.status() is ProcStatus.WAITING


def test_a_missing_output_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    text = (tmp_path / "program.py").read_text().replace('"product.txt"', '"other.txt"')
    (tmp_path / "program.py").write_text(text)
    summary = bench.run(bench.grant())
    assert summary["outcome"] == "failed"
    assert "product.txt" in summary["message"]


def test_over_its_memory_it_is_stopped_and_asks_for_more(bench: Bench) -> None:
    bench.order(eat_mb=900)
    job = bench.grant()
    summary = bench.run(job)
    assert summary["outcome"] == "retry"
    assert summary["message"].startswith("OutOfMemory")
    (pending,) = bench.database.query(PendingJob, frame_id=FRAME)
    assert pending.memory_gb > job.resources.memory_gb


def test_over_its_time_it_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    config = Path(str(bench.settings.source))
    config.write_text(config.read_text().replace("[DOWNLOAD]\n", "[DOWNLOAD]\ntime_limit_h = 0.0003\n"))
    bench.order(sleep_s=60)
    summary = bench.run(bench.grant())
    assert summary["outcome"] == "retry"
    assert summary["message"].startswith("TimeLimit")


def test_cancelled_by_an_operator_it_ends_within_seconds(bench: Bench) -> None:
    bench.order(sleep_s=60, daemon=True)
    job = bench.grant()
    thread, found = bench.in_background(job)
    child = runs_of(bench.settings) / "daemon"
    until(lambda: child.exists() and child.read_text(), what="the program's own child, which it starts last")
    pids = [int(lines_of(bench.settings, "begun")[0].split()[-1]), int(child.read_text())]
    began = time.monotonic()
    jobs.cancel(bench.database, job_id=job.id, who="the test", reason="enough")
    thread.join(15)
    assert time.monotonic() - began < 8
    assert found[0]["outcome"] == "discarded"
    assert not any(alive(pid) for pid in pids)
    assert bench.database.query(RunningJob) == []


def test_abandoned_it_goes_back_without_a_try_lost(bench: Bench) -> None:
    bench.order(sleep_s=60)
    job = bench.grant()
    gone = threading.Event()
    thread, found = bench.in_background(job, is_abandoned=gone.is_set)
    gone.set()
    thread.join(15)
    assert found[0]["outcome"] == "waiting"
    (pending,) = bench.database.query(PendingJob, frame_id=FRAME)
    assert pending.tries == 0


def test_a_grant_is_taken_only_once(bench: Bench) -> None:
    job = bench.grant()
    assert bench.run(job)["outcome"] == "done"
    assert bench.run(job)["outcome"] == "discarded"
    assert len(lines_of(bench.settings, "begun")) == 1


@pytest.mark.faults
def test_the_late_finish_of_a_stolen_attempt_is_discarded(tmp_path: Path) -> None:
    """A worker that stands still beyond its lease finishes after another attempt has: its output is dropped."""
    bench = Bench(tmp_path, lease_s=1, heartbeat_s=60)
    bench.order(sleep_s=4, first_only=True)
    first = bench.grant()
    thread, found = bench.in_background(first)
    time.sleep(1.5)
    # The first attempt's worker does not look: its beats are 60 s apart, and its looks at orders are held back here.
    original = jobs.orders
    jobs.orders = lambda *_: jobs.Orders.CONTINUE  # type: ignore[assignment]
    try:
        assert jobs.rescue(bench.database) == [first.id]
        jobs.retry(bench.database, job_id=first.id, who="the test")
        runs.claim_frame(bench.database, FRAME, "the test")
        second = bench.grant()
        assert second.attempt == 2
        assert bench.run(second)["outcome"] == "done"
        thread.join(20)
    finally:
        jobs.orders = original  # type: ignore[assignment]
    assert found[0]["outcome"] == "discarded"
    assert (bench.product / "product.txt").read_text() == f"{first.id}-2"
    assert len(bench.database.query(Product, frame_id=FRAME)) == 1


@pytest.mark.faults
def test_killed_from_outside_it_is_tried_again(bench: Bench) -> None:
    bench.order(sleep_s=60)
    thread, found = bench.in_background(bench.grant())
    os.kill(int(lines_of(bench.settings, "begun")[0].split()[-1]), signal.SIGKILL)
    thread.join(15)
    assert found[0]["outcome"] == "retry"
    assert "SIGKILL" in found[0]["message"]
