"""The near end of a worker that is started by SSH: starts it there, keeps it up, and ends it.

    python -m satdaemon.machines.remote NAME [-d CFG] [--note FILE]

The system's own ssh client does it, so keys, users, jump hosts and known hosts are those of ~/.ssh/config; it is never
asked for a password. FILE says what is waited for; it is gone while the worker works.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from satdaemon.config import Machine, Settings, load
from satdaemon.errors import ConfigError
from satdaemon.machines.tied import GRACE_S

_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S = 60.0
"""After a life of so many seconds the first wait is the shortest again."""
_POLL_S = 0.2


def silence_s(settings: Settings) -> float:
    """Seconds without a sign of life after which the far end ends its worker: before its jobs' leases are lost."""
    return max(settings.parameters.lease_s / 2, 2.0)


def command(settings: Settings, machine: Machine) -> list[str]:
    """The command line that starts a machine's worker there."""
    table, silent_s = settings.proc_machines, silence_s(settings)
    every_s = max(round(silent_s / 4), 1)
    options = {
        "BatchMode": "yes", "ConnectTimeout": "15", "ServerAliveInterval": str(every_s), "ServerAliveCountMax": "3",
        "ControlMaster": "no", "ControlPath": "none", "ClearAllForwardings": "yes", "RequestTTY": "no", "EscapeChar": "none",
    }  # fmt: skip
    there = ["-m", "satdaemon.machines", "worker", machine.name, "-d", table.ssh_config or str(settings.source)]
    python = table.ssh_python or shlex.quote(sys.executable)
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return [*shlex.split(table.ssh), *flags, machine.host, f"{python} {shlex.join([*there, '--tied', f'{silent_s:g}'])}"]


class Remote:
    """A machine's worker at the far end of an SSH connection."""

    def __init__(self, settings: Settings, machine: Machine, note: Path | None) -> None:
        self.settings, self.machine, self.note = settings, machine, note
        self.stop = threading.Event()
        self._last = ""

    def keep_up(self) -> None:
        """Start it, and start it again whenever it or the connection ends, until `stop`."""
        failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            if failures == 0:  # later on, why it did not come to that is of more use
                self._waits(f"starts by SSH on {self.machine.host}")
            code = self._one_life()
            if self.stop.is_set():
                break
            failures = 0 if time.monotonic() - began > _STEADY_S else failures
            wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            failures += 1
            self._waits(f"waits for {self.machine.host}: ssh ended with code {code}: {self._last or 'it said nothing'}")
            print(f"worker {self.machine.name}: ssh ended with code {code}, again in {wait_s:g} s", flush=True)
            self.stop.wait(wait_s)
        self._waits(None)

    def _one_life(self) -> int:
        self._last = ""
        argv = command(self.settings, self.machine)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
            assert ssh.stdin is not None and ssh.stdout is not None
            reader = threading.Thread(target=self._hear, args=(ssh.stdout,), daemon=True)
            reader.start()
            self._speak(ssh, ssh.stdin)
            reader.join(2.0)
        return ssh.returncode

    def _speak(self, ssh: subprocess.Popen[bytes], stdin: IO[bytes]) -> None:
        """A sign of life now and then; told to stop, end of file, which ends the worker in order."""
        every_s, spoken = silence_s(self.settings) / 5, 0.0
        while ssh.poll() is None and not self.stop.wait(_POLL_S):
            if time.monotonic() - spoken >= every_s:
                spoken = time.monotonic()
                try:
                    stdin.write(b"\n")
                    stdin.flush()
                except BrokenPipeError:
                    break  # ssh is ending, and says how
        with suppress(BrokenPipeError):  # a last sign of life that is not taken any more
            stdin.close()
        if not self._last:
            ssh.terminate()  # still on its way there: what begins all the same finds end of file
        try:
            ssh.wait(GRACE_S + 5.0)
        except subprocess.TimeoutExpired:
            ssh.kill()

    def _hear(self, output: IO[bytes]) -> None:
        """Pass on what is said there; a worker that is ready waits for nothing."""
        for raw in output:
            line = raw.decode(errors="replace").rstrip()
            print(line, flush=True)
            self._last = line or self._last
            if line.startswith(f"worker {self.machine.name}: "):
                self._waits(None if ": ready at" in line or line.endswith("answers") else line.split(": ", 1)[1])

    def _waits(self, what: str | None) -> None:
        if self.note is None:
            return
        if what is None:
            self.note.unlink(missing_ok=True)
            return
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self.note.write_text(what)


def main() -> None:
    """Keep one machine's worker up until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m satdaemon.machines.remote", description="A worker that is started by SSH.")
    parser.add_argument("name", help="a name of [PROC_MACHINES]")
    parser.add_argument("-d", "--config", metavar="CFG", help="configuration file")
    parser.add_argument("--note", type=Path, metavar="FILE", help="where to say what is waited for")
    arguments = parser.parse_args()
    settings = load(arguments.config, check_paths=False)
    machine = next((one for one in settings.machines if one.name == arguments.name), None)
    if machine is None:
        raise ConfigError(f"[PROC_MACHINES] names: expected {arguments.name} among them")
    remote = Remote(settings, machine, arguments.note)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: remote.stop.set())
    remote.keep_up()


if __name__ == "__main__":
    main()
