"""What the maintenance flow removes, and what it leaves."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flows.maintenance import remove_attempts, remove_logs

DAY_S = 86400.0


def old(path: Path, age_s: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.write_text("x")
    else:
        path.mkdir()
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_attempts_that_nobody_runs_are_removed(tmp_path: Path) -> None:
    live = old(tmp_path / "132A_DEMO" / ".attempts" / "7-2", 10 * DAY_S)
    dead = old(tmp_path / "132A_DEMO" / ".attempts" / "7-1", 10 * DAY_S)
    young = old(tmp_path / "132A_DEMO" / ".attempts" / "8-1", 60.0)
    product = old(tmp_path / "132A_DEMO" / "slc" / "20230101", 10 * DAY_S)
    assert remove_attempts(tmp_path, {"7-2"}, DAY_S) == 1
    assert not dead.exists()
    assert live.exists() and young.exists() and product.exists()


def test_only_old_output_of_jobs_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "132A_DEMO" / "slc" / "20230101"
    gone = [old(place / "1-1.log", 100 * DAY_S), old(place / "1-1.jsonl", 100 * DAY_S)]
    kept = [old(place / "2-1.log", DAY_S), old(place / "notes.txt", 100 * DAY_S)]
    assert remove_logs(tmp_path, 90 * DAY_S) == 2
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
