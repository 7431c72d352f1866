"""A process under a name that no other ever has, so that on its own host a dead one is known at once."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds parts of the system."""

    process: str
    """Boot of the host / namespace of process ids / process id / start in ticks since boot."""
    who: str
    host: str
    pid: int


def this_process(who: str) -> Holder:
    """The process that calls this; `who` started it."""
    pid = os.getpid()
    return Holder(f"{_place()}/{pid}/{_started(pid)}", who, socket.gethostname(), pid)


def is_gone(process: str) -> bool:
    """True where it ran on this host and is there no more; False where it lives, or nobody here can tell."""
    place, pid, started = process.rsplit("/", 2)
    return place == _place() and _started(int(pid)) != started


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"


def _started(pid: int) -> str:
    """Start of a process in ticks since boot; empty where there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
