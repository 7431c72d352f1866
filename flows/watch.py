"""Watch: searches the archives for new scenes when their turn has come, and enters new zips into the database.

Scheduled where `watch_interval_s` is set, or archives are searched over HTTP; run by hand, it looks once.

`satdaemon ingest-files --watch` is the same as a program of its own. The planner sees the new files at once.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from satdaemon.db import Database
from satdaemon.db.archive_watch import LookReport, look
from satdaemon.db.files import IngestReport, ingest_files
from satdaemon.domain import first_lines
from satdaemon.messages import tell_silent_archives

_LISTED = 20


@flow(name="watch", flow_run_name="watch", validate_parameters=False)
def watch(config: str | None = None) -> State[Any]:
    """Look at the archives, then through data_path once; RequestError, so that the run fails, where its disk is not there.

    An archive that does not answer is a warning, and a message to people once it has lasted.
    """
    database = Database(config)
    news = look(database)
    for line in what_archives_said(news):
        get_run_logger().warning("%s", line)
    tell_silent_archives(database)
    report = ingest_files(database)
    for line in what_people_should_know(report):
        get_run_logger().warning("%s", line)
    counts = f"{report.added} added, {report.renewed} renewed, {report.missing} missing, {report.unchanged} unchanged"
    end = f"{counts}; {len(report.bad)} bad, {len(report.growing)} still being written"
    return Completed(message="; ".join(filter(None, [in_words(news), end])))


def in_words(news: LookReport) -> str:
    """What the archives had, in a line; nothing where none was asked."""
    if not news.asked:
        return ""
    answered = ", ".join(name for name in news.asked if name not in news.silent) or "nobody answered"
    return (
        f"{news.added} scenes new, {news.renewed} renewed of {news.found} over {news.frames} frames "
        f"({answered}; {news.requests} requests)"
    )


def what_archives_said(news: LookReport) -> list[str]:
    """Archives that did not answer, and other warnings, a line each."""
    lines = [f"{name} does not answer: {why}" for name, why in sorted(news.silent.items())]
    return first_lines(lines + news.warnings, _LISTED)


def what_people_should_know(report: IngestReport) -> list[str]:
    """Files that cannot be used, and other warnings, a line each."""
    lines = [f"{path}: {why}" for path, why in sorted(report.bad.items())] + report.warnings
    return first_lines(lines, _LISTED, "satdaemon files --bad")
