"""Where the real data for tests stand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def data_dir() -> Path:
    """The directory of real data; skips the test, saying so, where it is absent."""
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    path = Path(os.environ.get("SATDAEMON_TEST_DATA", default)).resolve()
    if not path.is_dir():
        pytest.skip(f"no real data at {path}; set SATDAEMON_TEST_DATA")
    return path
