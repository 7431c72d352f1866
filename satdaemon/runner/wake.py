"""For a process of one thread that waits in `select` for connections and for its children. Standard library only."""

from __future__ import annotations

import os
import signal


def wake_pipe() -> tuple[int, int]:
    """A pipe that can be read from once a signal came that has a handler; read, it gives their numbers, and never blocks.

    Both ends are this process's: a fork takes back `set_wakeup_fd` and closes them.
    """
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(ends[1], warn_on_full_buffer=False)
    return ends


def reap() -> dict[int, int]:
    """The children that have ended: process id to status, as `waitpid` tells it."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status
