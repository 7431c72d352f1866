"""`satdaemon up --only` processes, with what they said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from satdaemon.config import Settings


def start_part(
    config: Path | None, part: str, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start one part (`planner`, `worker m1`); its output is added to `log`. `environment` is beside this process's own."""
    argv = [sys.executable, "-m", "deployments.up", "-d", str(config), "--only", *part.split()]
    with log.open("ab") as file:
        return subprocess.Popen(argv, stdout=file, stderr=file, env={**os.environ, **(environment or {})})


class Services:
    """Parts that were started, by name."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, settings: Settings, *words: str) -> subprocess.Popen[bytes]:
        part = " ".join(words)
        self.running[part] = start_part(settings.source, part, self.log(part))
        return self.running[part]

    def log(self, name: str) -> Path:
        return self.place / f"{name}.out"

    def said(self, name: str) -> str:
        return self.log(name).read_text(errors="replace")

    def stop(self) -> dict[str, int]:
        """SIGTERM to all; their return codes."""
        for process in self.running.values():
            process.terminate()
        return {name: process.wait(120) for name, process in self.running.items()}

    def kill(self) -> None:
        """End what is left, at once."""
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
                process.wait()
