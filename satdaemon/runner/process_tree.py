"""What /proc tells of a process and all its descendants. Standard library only."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

_KB = 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Traffic(NamedTuple):
    """Bytes that a process passed through read and write calls, its ended children included."""

    read: int
    written: int


def descendants(root: int) -> list[int]:
    """Process ids below `root`, nearest first; those that end meanwhile may be missing."""
    found: list[int] = []
    queue = [root]
    while queue:
        children = _children(queue.pop(0))
        found += children
        queue += children
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = [entry.name for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return found
    for thread in threads:
        try:
            found += [int(word) for word in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
        except OSError:
            continue  # that thread has ended
    return found


def memory_bytes(pids: list[int]) -> int:
    """Memory that the processes occupy together.

    One process: its resident set. Several: the sum of their proportional sets, so that pages which they share
    are not counted once for each of them.
    """
    if len(pids) == 1:
        return _resident(pids[0])
    return sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KB
    except OSError:
        pass  # ended, or the kernel does not say: the resident set is the next best
    return _resident(pid)


def traffic(pid: int) -> Traffic:
    """Bytes read and written by `pid`; zeros where the kernel does not say."""
    try:
        words = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    except (OSError, ValueError):
        return Traffic(0, 0)
    return Traffic(int(words["rchar"]), int(words["wchar"]))


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
