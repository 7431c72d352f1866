"""Become a program that ends with its parent.   python -m satdaemon.machines.tether PROGRAM ARGUMENT ...

A service that is started so gets SIGTERM when the process that started it is gone, whatever ended that one.
SIGINT gets its default back: a shell hands background programs an ignored one, which they would keep.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie(parent: int | None = None) -> None:
    """This process gets SIGTERM when its parent is gone. SystemExit where it is gone by now: it is `parent`, if that is known."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    now = os.getppid()
    if now == 1 if parent is None else now != parent:
        sys.exit("tether: the parent is gone")


def main() -> None:
    """Tie this process to its parent, then become the program named by the arguments."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    tie()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
