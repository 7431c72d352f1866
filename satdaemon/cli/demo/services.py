"""Starts the embedded system as processes of its own and watches the database while it works."""

from __future__ import annotations

import ctypes
import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from satdaemon.config import Settings
from satdaemon.errors import ProcessingError, RequestError

POLL_S = 1.0
END_S = 90.0
"""How long the services of an earlier run may take to end."""
PR_SET_PDEATHSIG = 1


def run_until_done(settings: Settings, frame_id: str, console: Console) -> None:
    """Run everything the frame owes, showing progress stage by stage; Ctrl-C ends in order, and jobs are given back."""
    from satdaemon.cli.status import progress_table
    from satdaemon.db import Database

    database = Database(settings)
    log = settings.parameters.log_path / "up.log"
    console.print(f"[bold]services[/] Prefect {settings.parameters.prefect_api}, log {log}", highlight=False)
    with _services(settings, "--once") as process, Live(console=console, refresh_per_second=2) as live:
        while process.poll() is None:
            live.update(progress_table(database, frame_id))
            time.sleep(POLL_S)
        live.update(progress_table(database, frame_id))
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ProcessingError(
            f"the services ended with code {process.returncode}; the end of {log}:\n{tail}\n"
            "Nothing is lost: run the demo again and it goes on from here."
        )


def stay_up(settings: Settings, console: Console) -> None:
    """Leave everything running until Ctrl-C."""
    with _services(settings) as process:
        ui = settings.parameters.prefect_api.removesuffix("/api")
        console.print(f"Prefect UI: {ui} (Ctrl-C ends everything)", highlight=False)
        process.wait()


@contextmanager
def _services(settings: Settings, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m deployments.up` in a session of its own, so that Ctrl-C does not reach it: it is told to end from here.

    Should this process be killed, the services end in order by themselves.
    """
    settings.parameters.log_path.mkdir(parents=True, exist_ok=True)
    _wait_for_the_place(settings)
    argv = [sys.executable, "-m", "deployments.up", "-d", str(settings.source), *arguments]
    with (settings.parameters.log_path / "up.log").open("ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   preexec_fn=_end_with_parent)  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the parent dies (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_the_place(settings: Settings) -> None:
    """Wait until services of an earlier, killed run have ended."""
    lock = settings.parameters.service_path / "up.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + END_S
    with lock.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RequestError(
                        f"services of another run still hold {lock} after {END_S:g} s; stop them first "
                        f"(status.json beside it names their pid)"
                    ) from None
                time.sleep(0.5)
