"""`satdaemon ...`: thin commands over control, db and the simulator. `main` is the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line.

    `satdaemon joblog` goes its own way: programs call it in loops, and it has no need of what the other commands load.
    """
    if sys.argv[1:2] == ["joblog"]:
        from satdaemon.cli.joblog_words import run

        sys.exit(run(sys.argv[2:]))
    from satdaemon.cli.application import main as run_application

    run_application()


__all__ = ["main"]
