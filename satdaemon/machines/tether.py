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


def main() -> None:
    """Tie this process to its parent, then become the program named by the arguments."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:
        sys.exit("tether: the parent is gone")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
