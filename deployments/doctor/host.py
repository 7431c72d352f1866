"""Findings on what one host sees: the same here and on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.doctor.database import clock
from deployments.doctor.finding import Finding, Patient, error, ok, warning
from deployments.doctor.probe import Seen, look

LEAST_FREE = 0.05
"""Free share of a disk below which it is almost full."""


def here(patient: Patient) -> Iterator[Finding]:
    """What this host sees of disks, data and programs. The database has checks of its own."""
    yield from of_host("here", look(patient.settings, {}))


def of_host(name: str, seen: Seen) -> Iterator[Finding]:
    """Directories, data and programs."""
    for key, place in seen.places.items():
        share = f"{place.free_gb:.3g} of {place.total_gb:.3g} GB free"
        if place.problem is not None:
            yield error(f"{name}: {key}", place.problem, "make it, mount it or give it to the user that runs SatDaemon")
        elif place.free_gb < LEAST_FREE * place.total_gb:
            yield warning(f"{name}: {key}", share, "free space: jobs that write there will fail")
        else:
            yield ok(f"{name}: {key}", share)
    for key, problem in seen.unreadable.items():
        yield error(f"{name}: {key}", problem, "mount it, or mend [PARAMETERS]")
    for archive, source in seen.logins.items():
        yield ok(f"{name}: login of {archive}", f"found: {source}")
    for archive, problem in seen.lacking.items():
        yield error(f"{name}: login of {archive}", problem, "see docs/howto/archive.md, or take it out of [DOWNLOAD] archives")
    for stage, program in seen.missing.items():
        mend = f"install it, or name its directory in software_path or [{stage.upper()}] command"
        yield error(f"{name}: program of {stage}", f"expected {program} to be found, found none", mend)


def of_machine(name: str, ours: dict[str, str], seen: Seen) -> Iterator[Finding]:
    """A machine's versions, clock and configuration, then what it sees."""
    different = [f"{what} {found} (here {ours.get(what)})" for what, found in seen.versions.items() if ours.get(what) != found]
    if different:
        yield error(f"{name}: versions", "; ".join(different), "install the same requirements.lock there, restart its worker")
    else:
        yield ok(f"{name}: versions", "the same as here")
    if seen.database is not None:
        yield error(f"{name}: database", seen.database, "let that host reach the database (pg_hba.conf, firewall, password)")
    elif seen.clock_offset_s is not None:
        yield clock(f"{name}: clock", seen.clock_offset_s)
    for key, value in seen.differs.items():
        yield error(f"{name}: {key}", f"is {value} there", "give every host the same satdaemon.cfg")
    if seen.limits is not None:
        yield ok(f"{name}: limits of jobs", seen.limits)
    yield from of_host(name, seen)
