"""Versions of Python and of the libraries that have to fit each other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from deployments.doctor.finding import Finding, Patient, error, ok
from satdaemon import __version__

PINNED = ("prefect", "fastapi", "prefect-dask", "dask", "distributed", "SQLAlchemy")
"""Known to work together in exactly these versions."""
_MEND = "install exactly what requirements.lock names: pip install --require-hashes -r requirements.lock"


def versions(patient: Patient) -> Iterator[Finding]:
    """Python, and the pinned libraries against what this SatDaemon was made with."""
    python = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield ok("Python", python) if fits else error("Python", python, "use Python 3.11 to 3.13")
    yield ok("SatDaemon", __version__)
    wanted = expected()
    for name in PINNED:
        yield compare(name, wanted.get(name.lower()), installed(name))


def compare(name: str, wanted: str | None, found: str | None) -> Finding:
    """One library."""
    if found is None or (wanted is not None and found != wanted):
        return error(name, f"expected {wanted}, got {found or 'none'}", _MEND)
    return ok(name, found)


def expected() -> dict[str, str]:
    """Pinned versions by name in lower case, as this installation declares them."""
    pinned = [re.match(r"([A-Za-z0-9_.-]+)\s*==\s*([^;,\s]+)", line) for line in requires("satdaemon") or ()]
    return {match[1].lower(): match[2] for match in pinned if match}


def installed(name: str) -> str | None:
    """The version that is installed, None where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
