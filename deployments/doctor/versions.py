"""Versions of Python and of the libraries that have to fit each other."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from deployments.doctor.finding import Finding, Patient, error, ok, warning
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
    yield byte_code("sqlalchemy", "satdaemon")
    wanted = expected()
    for name in PINNED:
        yield compare(name, wanted.get(name.lower()), installed(name))


def compare(name: str, wanted: str | None, found: str | None) -> Finding:
    """One library."""
    if found is None or (wanted is not None and found != wanted):
        return error(name, f"expected {wanted}, got {found or 'none'}", _MEND)
    return ok(name, found)


def byte_code(*packages: str) -> Finding:
    """Whether these packages' modules are compiled once, or again by every process that starts."""
    sources = [Path(str(spec.origin)) for name in packages if (spec := importlib.util.find_spec(name)) is not None]
    lacking = [str(file.parent) for file in sources if not Path(importlib.util.cache_from_source(str(file))).exists()]
    if not lacking:
        return ok("byte code", "is kept")
    return warning(
        "byte code", f"none below {', '.join(lacking)}: every process takes seconds longer to start",
        f"as the owner of the files: {shlex.join([sys.executable, '-m', 'compileall', '-q', *lacking])}",
    )  # fmt: skip


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
