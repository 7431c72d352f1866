"""Watch: enters new zips into the database. Scheduled where `watch_interval_s` is set; run by hand, it looks once.

`satdaemon ingest-files --watch` is the same as a program of its own. The planner sees the new files at once.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from satdaemon.db import Database
from satdaemon.db.files import IngestReport, ingest_files
from satdaemon.domain import first_lines

_LISTED = 20


@flow(name="watch", flow_run_name="watch", validate_parameters=False)
def watch(config: str | None = None) -> State[Any]:
    """Look through data_path once; RequestError, so that the run fails, where its disk is not there."""
    report = ingest_files(Database(config))
    for line in what_people_should_know(report):
        get_run_logger().warning("%s", line)
    counts = f"{report.added} added, {report.renewed} renewed, {report.missing} missing, {report.unchanged} unchanged"
    return Completed(message=f"{counts}; {len(report.bad)} bad, {len(report.growing)} still being written")


def what_people_should_know(report: IngestReport) -> list[str]:
    """Files that cannot be used, and other warnings, a line each."""
    lines = [f"{path}: {why}" for path, why in sorted(report.bad.items())] + report.warnings
    return first_lines(lines, _LISTED, "satdaemon files --bad")
