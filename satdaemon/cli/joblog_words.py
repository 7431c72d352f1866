"""`satdaemon joblog`: JobLogger for shell programs and any other language. Loads little, because it is called in loops."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from satdaemon.errors import SatDaemonError
from satdaemon.joblog import JobLogger

LEVELS = {
    "info": "a line for the record",
    "warning": "something a person should look at: the job ends DONE_WITH_WARNINGS",
    "error": "why the job fails; the program still ends with a return code that is not 0",
}


class _Help(argparse.HelpFormatter):
    """As the other commands write it."""

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """`Usage:` with a capital."""
        super().add_usage(usage, actions, groups, prefix or "Usage: ")


def run(arguments: Sequence[str]) -> int:
    """Do what `satdaemon joblog ARGUMENTS` says; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        with JobLogger() as log:
            text = " ".join(given.text)
            if given.word == "progress":
                log.progress(given.percent / 100.0, text)
            else:
                getattr(log, given.word)(text)
    except (SatDaemonError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    about = "Tell the engine how the job is going that this program was started for."
    parser = argparse.ArgumentParser(prog="satdaemon joblog", description=about, formatter_class=_Help)
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    progress = words.add_parser("progress", help="how far it is", formatter_class=_Help)
    progress.add_argument("percent", type=_percent, metavar="PERCENT", help="0 to 100")
    progress.add_argument("text", nargs="*", metavar="MESSAGE", help="what it is doing")
    for word, meaning in LEVELS.items():
        one = words.add_parser(word, help=meaning, formatter_class=_Help)
        one.add_argument("text", nargs="+", metavar="TEXT", help="what to say")
    return parser


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 100.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 100, got {text!r}")
    return value
