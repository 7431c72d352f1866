"""python -m deployments.doctor [-d CFG] [--json]; exit code 1 where there is an error."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deployments.doctor.examine import examine
from deployments.doctor.finding import Finding, Level, Patient
from satdaemon.config import load
from satdaemon.errors import SatDaemonError

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def main() -> None:
    """Look at everything and say how it is."""
    parser = argparse.ArgumentParser(prog="satdaemon doctor")
    parser.add_argument("-d", "--config", metavar="CFG")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a scheduler that refuses us is a finding, not a trace
    try:
        found = list(examine(Patient(load(arguments.config, check_paths=False))))
    except SatDaemonError as failure:
        sys.exit(f"error: {failure}")
    errors = sum(finding.level is Level.ERROR for _, finding in found)
    if arguments.json:
        print(json.dumps({"errors": errors, "findings": [{"group": group, **asdict(one)} for group, one in found]}, indent=1))
    else:
        _print(found, errors)
    sys.exit(1 if errors else 0)


def _print(found: list[tuple[str, Finding]], errors: int) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    last = ""
    for group, one in found:
        if group != last:
            table.add_row(Text(group, style="bold"))
            last = group
        text = Text(one.found) + (Text(f"\n-> {one.mend}", style="italic") if one.mend else Text())
        table.add_row(Text(f"  {one.check}"), Text(one.level.value, style=_STYLES[one.level]), text)
    console.print(table)
    warnings = sum(one.level is Level.WARNING for _, one in found)
    console.print(f"{len(found)} checks: {errors} errors, {warnings} warnings")


if __name__ == "__main__":
    main()
