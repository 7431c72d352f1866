"""A program that fails on one machine only, on real workers: the machine is quarantined, and every job is done elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Future
from engine_parts import FRAME, make_frame, make_settings, runs_of, until

from deployments.services import dask_scheduler, dask_worker
from satdaemon.db import Database, FailedJob, Ifg, Machine, Master, jobs, runs
from satdaemon.machines.cluster import worker_address
from satdaemon.machines.supervisor import Supervisor
from satdaemon.status import ProcStatus
from tasks.body import run_on_machine

DATES = 12


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    settings = make_settings(tmp_path, machines=2, lease_s=60, quarantine_after=3)
    (runs_of(settings) / "orders.json").write_text(json.dumps({FRAME: {"exit": 3, "on": "m1", "sleep_s": 1.0}}))
    found = make_frame(settings, dates=DATES)
    supervisor = Supervisor(lambda _: None)
    supervisor.add(dask_scheduler(settings))
    for machine in settings.machines:
        supervisor.add(dask_worker(settings, machine))
    yield found
    supervisor.stop()
    found.close()


def sent(database: Database, client: Client) -> list[Future]:
    """Grants, each at work on its machine."""
    source = str(database.settings.source)
    return [
        client.submit(
            run_on_machine, source, grant.job, grant.attempt, None, None,
            pure=False, workers=[worker_address(client, grant.machine)],
        )
        for grant in jobs.grant_pass(database)
    ]  # fmt: skip


@pytest.mark.slow
def test_a_machine_where_the_program_fails_is_quarantined_and_nothing_is_lost(database: Database) -> None:
    def statuses() -> list[Any]:
        return [row.proc_status for row in (*database.query(Master), *database.query(Ifg))]

    with Client(database.settings.parameters.dask_scheduler, timeout=120, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        assert runs.claim_frame(database, FRAME, "the test")
        futures: list[Future] = []

        def all_done() -> bool:
            runs.beat_frame(database, FRAME, "the test")
            futures.extend(sent(database, client))
            return statuses() == [ProcStatus.DONE] * DATES

        until(all_done, 180.0, "every job done")
        outcomes = [future.result(timeout=60)["outcome"] for future in futures]
    machines = {machine.name: machine for machine in database.query(Machine)}
    assert machines["m1"].state == "quarantined" and machines["m2"].state == "enabled"
    assert "succeed elsewhere; the last: ProgramFailed: the command ended with return code 3" in str(machines["m1"].reason)
    assert database.query(FailedJob) == [] and outcomes.count("done") == DATES
    assert outcomes.count("failed") + outcomes.count("retry") >= 3
