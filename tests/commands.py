"""The command line within this process: what it prints and how it ends, without another interpreter's start."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from satdaemon import cli


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str | Path, code: int = 0) -> Done:
    """Run `satdaemon` with these arguments, to the end that `code` says."""
    out, err, ended = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", ["satdaemon", *map(str, arguments)]):
        try:
            cli.main()
        except SystemExit as end:
            ended = end.code if isinstance(end.code, int) else int(end.code is not None)
    assert ended == code, out.getvalue() + err.getvalue()
    return Done(ended, out.getvalue(), err.getvalue())
