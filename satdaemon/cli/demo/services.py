"""Starts the embedded system as processes of its own and watches the database while it works."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from satdaemon.config import Settings
from satdaemon.errors import ProcessingError

POLL_S = 1.0


def run_until_done(settings: Settings, frame_id: str, console: Console) -> None:
    """Run everything the frame owes, showing progress stage by stage; Ctrl-C powers down in order."""
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
    """`python -m deployments.up` in a session of its own, so that Ctrl-C reaches it once, from here."""
    settings.parameters.log_path.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "deployments.up", "-d", str(settings.source), *arguments]
    with (settings.parameters.log_path / "up.log").open("ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
