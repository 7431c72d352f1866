"""The command line within this process: what it prints and how it ends, without another interpreter's start."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from satdaemon import cli


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    stdout: str
    stderr: str


def run(*arguments: str | Path, code: int = 0) -> Done:
    """Run `satdaemon` with these arguments, to the end that `code` says."""
    out, err, typed = io.StringIO(), io.StringIO(), ["satdaemon", *map(str, arguments)]
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", typed), pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0) == code, out.getvalue() + err.getvalue()
    return Done(out.getvalue(), err.getvalue())
