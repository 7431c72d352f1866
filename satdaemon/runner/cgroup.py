"""Limits that the kernel keeps: a control group (version 2) for each job, where a worker was given one to divide.

systemd gives one with `Delegate=yes`: the worker then owns it. What runs in it (the worker and what keeps it up) moves
into the group `parts`, as only groups without processes may divide what they have; jobs come beside it, each with its
memory, cores and number of processes. Without a group, or for a controller that was not given, jobs are limited the
other way: the guard measures memory four times a second, and threads are told by the environment. Standard library only.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENV_CGROUP = "SATDAEMON_CGROUP"
"""Environment: a directory of the cgroup file system that is ours to divide, where nothing says so by itself."""
CONTROLLERS = ("memory", "cpu", "pids")
PARTS = "parts"
MOST_PROCESSES = 4096
"""Processes and threads of one job: far above what programs use, far below what a machine bears."""
_PERIOD_US = 100_000
_ROUNDS = 50
_GB = 1e9


@dataclass(frozen=True)
class Delegation:
    """The group that jobs get theirs in."""

    path: str
    """Empty: there is none."""
    controllers: tuple[str, ...]
    why: str

    def in_words(self) -> str:
        """How jobs are limited."""
        if self.path:
            lacking = sorted(set(CONTROLLERS) - set(self.controllers))
            but = f"; without {', '.join(lacking)}" if lacking else ""
            return f"by the kernel: cgroup with {', '.join(self.controllers)}{but}"
        return f"memory by measuring, threads by the environment: no cgroup ({self.why})"


@cache
def delegation() -> Delegation:
    """The group of this process that is ours to divide, divided; once a process."""
    try:
        return _divided(_ours())
    except OSError as error:
        return Delegation("", (), f"{error.filename or 'cgroup'}: {error.strerror}")


def _ours() -> Path | str:
    """The directory of a group that was given to us, or why there is none."""
    if named := os.environ.get(ENV_CGROUP):
        return Path(named)
    found = _own()
    if found is None:
        return "this system has no cgroup version 2"
    base = found.parent if found.name == PARTS else found
    if not _is_given(base):
        return f"{base} is not delegated to this user: Delegate=yes in the systemd unit"
    return base


def _own() -> Path | None:
    """The directory of this process's own group."""
    own = next((line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if own is not None and after.startswith("cgroup2 "):
            root, mount = before.split()[3:5]
            return Path(mount) / os.path.relpath(own, root)
    return None


def _is_given(place: Path) -> bool:
    """systemd marks what it delegates, and gives it to the unit's user. What root may write anyway was not given."""
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(place, name) == b"1":
                return os.access(place / "cgroup.subtree_control", os.W_OK)
        except OSError:
            continue  # not marked, or marks cannot be read here
    return os.getuid() != 0 and place.stat().st_uid == os.getuid() and os.access(place / "cgroup.subtree_control", os.W_OK)


def _divided(base: Path | str) -> Delegation:
    if isinstance(base, str):
        return Delegation("", (), base)
    given = [name for name in CONTROLLERS if name in (base / "cgroup.controllers").read_text().split()]
    if "memory" not in given:
        return Delegation("", (), f"{base} has no memory controller")
    parts = base / PARTS
    parts.mkdir(exist_ok=True)
    for _ in range(_ROUNDS):
        _move(base, parts)
        try:
            (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in given))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            continue  # a process was started here meanwhile
        for left in base.glob("job-*"):
            _remove(left)
        return Delegation(str(base), tuple(given), "")
    return Delegation("", (), f"{base}: processes keep starting in it")


def _move(source: Path, target: Path) -> None:
    for pid in (source / "cgroup.procs").read_text().split():
        try:
            (target / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue  # it has ended


def _remove(place: Path) -> bool:
    try:
        place.rmdir()
    except OSError:
        return False  # something lives there still
    return True


class JobGroup:
    """The group of one job, made by its guard."""

    def __init__(self, parent: str, memory_gb: float, cores: int) -> None:
        self.path = Path(parent) / f"job-{os.getpid()}"
        self.memory_bytes = int(memory_gb * _GB)
        self.path.mkdir()
        limits = {
            "memory.max": str(self.memory_bytes),
            "memory.swap.max": "0",
            "memory.oom.group": "1",  # a job without one of its processes is no job
            "cpu.max": f"{cores * _PERIOD_US} {_PERIOD_US}",
            "pids.max": str(MOST_PROCESSES),
        }
        for name, value in limits.items():
            if (self.path / name).exists():
                (self.path / name).write_text(value)

    def enter(self) -> None:
        """This process, and what it starts, belongs to the group."""
        (self.path / "cgroup.procs").write_text("0")

    def ooms(self) -> int:
        """Processes of the job that the kernel killed because the job had no memory left."""
        events = self.path / "memory.events"
        words = dict(line.split() for line in events.read_text().splitlines()) if events.exists() else {}
        return int(words.get("oom_kill", 0))

    def remove(self) -> bool:
        """Take the group away; False where something lives in it."""
        return _remove(self.path)


def job_group(parent: str, memory_gb: float, cores: int) -> JobGroup | None:
    """A group for a job; None where there is none to be had, which is said where that is news."""
    if not parent:
        return None
    try:
        return JobGroup(parent, memory_gb, cores)
    except OSError as error:
        print(f"guard: no cgroup for this job: {error}", flush=True)
        return None
