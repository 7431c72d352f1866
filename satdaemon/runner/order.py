"""What a guard is told to run, and what it answers. Standard library only."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """One program under guard. Either `argv` (any program) or `input_path` (a built-in processor)."""

    log_path: str
    env: Mapping[str, str]
    cwd: str
    memory_gb: float
    time_limit_s: float
    cores: int = 1
    argv: tuple[str, ...] = ()
    input_path: str = ""
    module: str = "satdaemon.runner.child"
    """What runs on `input_path`: its `process(order)`, or itself as a program."""
    grace_s: float = 2.0
    """Between a polite end (SIGTERM) and a certain one (SIGKILL)."""
    cgroup: str = ""
    """The directory of the control group that the job gets its own in; empty: none."""

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Order:
        """Inverse of `encode`."""
        value = json.loads(line)
        value["argv"] = tuple(value["argv"])
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the guarded program ended, and what it cost."""

    return_code: int | None
    signal: int | None
    killed_for: str | None
    """`memory`, `time` or `stopped` where the guard ended it."""
    wall_s: float
    cpu_s: float
    peak_memory_gb: float
    read_bytes: int
    written_bytes: int
    left_running: int = 0
    """Processes that the program had left behind; all were killed."""
    kernel_kills: int = 0
    """Processes that the kernel killed meanwhile because the machine, or the container, was out of memory."""

    def encode(self) -> bytes:
        """One line of JSON."""
        return json.dumps({"ended": asdict(self)}).encode() + b"\n"


def read_line(control: socket.socket, limit: int = 1 << 22) -> bytes:
    """The first line that arrives on `control`; ConnectionError where it closes before the line is whole."""
    parts = bytearray()
    while not parts.endswith(b"\n"):
        chunk = control.recv(1 << 16)
        if not chunk or len(parts) > limit:
            raise ConnectionError("the control connection closed before an order was complete")
        parts += chunk
    return bytes(parts)
