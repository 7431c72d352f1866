"""The Dask scheduler, and what each machine's worker sees: its versions, clock, disks, programs, and whether paths are shared."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from distributed import Client

from deployments.doctor.finding import Finding, Patient, error, ok, warning
from deployments.doctor.host import of_machine
from deployments.doctor.probe import WRITTEN, Seen, look_there, shared_settings, versions
from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.machines import ENABLED
from satdaemon.db.overview import overview
from satdaemon.errors import DatabaseUnavailable
from satdaemon.machines.patience import listens
from satdaemon.machines.security import dask_security

_LOOK_S = 30.0


def cluster(patient: Patient) -> Iterator[Finding]:
    """The scheduler, then every machine."""
    settings = patient.settings
    address = settings.parameters.dask_scheduler
    if not listens(address, patient.timeout_s):
        yield error("Dask scheduler", f"nobody listens at {address}", "satdaemon up, or mend [PARAMETERS] dask_scheduler")
        return
    try:
        client = Client(address, security=dask_security(settings), timeout=patient.timeout_s + 10, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as failure:
        mend = "is it a Dask scheduler of this site, with the certificates of dask_ca, dask_cert, dask_key?"
        yield error("Dask scheduler", f"no connection to {address}: {failure}", mend)
        return
    with client:
        yield _scheduler(client, address)
        workers = {info["name"]: where for where, info in client.scheduler_info(n_workers=-1)["workers"].items()}
        yield from connected(settings, workers)
        yield from states(settings)
        with Notes(settings) as notes:
            for name in sorted({machine.name for machine in settings.machines} & set(workers)):
                yield from _machine(client, settings, name, workers[name], notes)


def connected(settings: Settings, workers: Mapping[str, str]) -> Iterator[Finding]:
    """The machines of the configuration against the workers that the scheduler knows."""
    known = {machine.name: machine for machine in settings.machines}
    for name, machine in known.items():
        if name in workers:
            yield ok(f"{name}: worker", f"connected from {workers[name]}")
        else:
            by_up = machine.start in ("local", "ssh")
            how = "satdaemon up" if by_up else f"on {machine.host}: systemctl start satdaemon-worker@{name}"
            yield error(f"{name}: worker", "not connected to the scheduler", how)
    for name in sorted(set(workers) - set(known)):
        yield warning(f"{name}: worker", "connected, but no machine of [PROC_MACHINES]", "add it there, or stop it")


def states(settings: Settings) -> Iterator[Finding]:
    """Machines of the configuration that get no jobs, and those where jobs fail."""
    database = Database(settings)
    try:
        found = overview(database, running=0).machines
    except DatabaseUnavailable:
        return  # the database's own checks say so
    finally:
        database.close()
    for machine in found:
        if machine.state != ENABLED:
            why = f"{machine.state}: it gets no jobs ({machine.reason or 'no reason was given'})"
            yield warning(f"{machine.name}: state", why, f"mend it, then satdaemon machines enable {machine.name}")
        elif machine.failing > 1:
            why = f"{machine.failing} jobs failed there in a row"
            yield warning(f"{machine.name}: state", why, "satdaemon job list --failed shows why; mend the machine")


def _scheduler(client: Client, address: str) -> Finding:
    ours, theirs = versions(), client.run_on_scheduler(versions)
    different = [f"{what} {found} (here {ours.get(what)})" for what, found in theirs.items() if ours.get(what) != found]
    if different:
        return error("Dask scheduler", "; ".join(different), "install the same requirements.lock there, then restart it")
    return ok("Dask scheduler", f"{address} answers, versions as here")


def _machine(client: Client, settings: Settings, name: str, worker: str, notes: Notes) -> Iterator[Finding]:
    answer = notes.new_name()
    task = client.submit(
        look_there, shared_settings(settings), notes.names, answer, workers=[worker], pure=False, key=f"doctor-{token_hex(6)}"
    )
    try:
        seen: Seen = task.result(timeout=_LOOK_S)
    except Exception as failure:  # noqa: BLE001  (whatever another version over there raises is a finding)
        yield error(f"{name}: worker", f"does not answer: {failure!r}", "restart it; see its log")
        return
    yield from of_machine(name, versions(), seen)
    yield from shared(name, settings, notes, seen, answer)


class Notes:
    """Small files in the directories that hosts share, written here to be read there, and removed at the end."""

    def __init__(self, settings: Settings) -> None:
        self.names: dict[str, str] = {}
        """By directory's key, the name of the file that was written."""
        self.text = token_hex(8)
        self._places = {key: Path(getattr(settings.parameters, key)) for key in WRITTEN}
        self._made: list[str] = []

    def new_name(self) -> str:
        """A name that no other file has."""
        self._made.append(f".doctor-{socket.gethostname()}-{token_hex(8)}")
        return self._made[-1]

    def __enter__(self) -> Notes:
        name = self.new_name()
        for key, place in self._places.items():
            with suppress(OSError):  # the findings on this host say so
                (place / name).write_text(self.text)
                self.names[key] = name
        return self

    def __exit__(self, *_: Any) -> None:
        for place in self._places.values():
            for name in self._made:
                with suppress(OSError):
                    (place / name).unlink(missing_ok=True)


def shared(name: str, settings: Settings, notes: Notes, seen: Seen, answer: str) -> Iterator[Finding]:
    """Whether what is written here is read there, and the reverse."""
    mend = "mount the same directory at the same place on every host (NFS: with working rename and fsync)"
    for key in notes.names:
        place = Path(getattr(settings.parameters, key))
        if seen.places[key].problem is not None:
            continue  # said already
        if seen.read[key] != notes.text:
            yield error(f"{name}: {key}", "a file that was written here is not seen there", mend)
        elif not (place / answer).exists():
            yield error(f"{name}: {key}", "a file that was written there is not seen here", mend)
        else:
            yield ok(f"{name}: {key} shared", "both ways")
