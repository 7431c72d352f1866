"""Parts of the database bench run in small on SQLite; what they measure is shown at full size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_parts_of_the_database_bench_run_in_small() -> None:
    argv = [sys.executable, "-m", "bench.bench_database", "consistency", "transfer", "points", "--small", "--sqlite", "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["part"] for line in lines} == {"consistency", "transfer", "points"}, done.stderr
    assert all(line["ours"] > 0 and line["bare"] > 0 for line in lines)
