"""Runs the checks, and tells what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from deployments.doctor.cluster import cluster
from deployments.doctor.configuration import configuration
from deployments.doctor.database import database
from deployments.doctor.finding import Finding, Patient, error
from deployments.doctor.host import here
from deployments.doctor.prefect import prefect
from deployments.doctor.versions import versions

GROUPS: Mapping[str, Callable[[Patient], Iterator[Finding]]] = {
    "versions": versions,
    "configuration": configuration,
    "this host": here,
    "database": database,
    "Prefect": prefect,
    "Dask and machines": cluster,
}
"""The groups of checks, in the order in which they are shown. A new one is a line here."""


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """Every finding, with its group. A check that breaks is a finding itself."""
    for group, check in GROUPS.items():
        try:
            for finding in check(patient):
                yield group, finding
        except Exception as failure:  # noqa: BLE001  (the other groups still have something to say)
            yield group, error(group, f"the check broke: {failure!r}", "report it, with this line")
