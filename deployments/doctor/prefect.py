"""The Prefect server: does it answer, is it of our version, does its database carry what it is asked."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from deployments.doctor.finding import Finding, Patient, error, ok, warning
from deployments.doctor.versions import installed
from deployments.services import prefect_database
from satdaemon.config import Settings
from satdaemon.db import Database, parts
from satdaemon.errors import SatDaemonError

SQLITE_RUNS = 4
"""Flow runs at a time that Prefect on SQLite bears: from ten concurrent updates on it answers 503."""


def prefect(patient: Patient) -> Iterator[Finding]:
    """All of it."""
    parameters = patient.settings.parameters
    try:
        theirs = str(_get(f"{parameters.prefect_api}/admin/version", patient.timeout_s))
    except (OSError, ValueError) as failure:
        yield error(
            "Prefect", f"no answer at {parameters.prefect_api}: {failure}", "satdaemon up, or mend [PARAMETERS] prefect_api"
        )
        return
    yield same_version(theirs, installed("prefect"))
    yield database_kind(patient.settings, _started_with(patient.settings) or prefect_database(patient.settings))


def same_version(theirs: str, ours: str | None) -> Finding:
    """The server's version against this host's."""
    if theirs != ours:
        return error("Prefect", f"expected {ours} as here, got {theirs}", "install the same requirements.lock on every host")
    return ok("Prefect", f"{theirs} answers")


def database_kind(settings: Settings, kind: str) -> Finding:
    """Whether the server's database, SQLite or PostgreSQL, bears the flow runs that are allowed at a time."""
    runs = settings.parameters.flow_concurrency
    if kind != prefect_database(settings):
        return warning("Prefect's database", f"{kind}, though the configuration says otherwise", "restart the part `prefect`")
    if kind == "SQLite" and runs > SQLITE_RUNS:
        mend = f"flow_concurrency = {SQLITE_RUNS} at most, or prefect_database on PostgreSQL"
        return warning("Prefect's database", f"SQLite, with {runs} flow runs at a time", mend)
    return ok("Prefect's database", f"{kind}, with {runs} flow runs at a time")


def _started_with(settings: Settings) -> str | None:
    """The kind of database that the running server was started with; it hides its URL. None where nobody says."""
    store = Database(settings)
    try:
        return next((part.message for part in parts.live(store, ["prefect"]) if part.state == parts.UP), None)
    except SatDaemonError:
        return None  # the checks of the database say so
    finally:
        store.close()


def _get(url: str, timeout_s: float) -> Any:
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return json.load(answer)
