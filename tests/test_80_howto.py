"""The pages of docs/howto that are walks: each block is run as a user would type it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demos import KilledDemo, tidied
from postgres import Cluster

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.slow, pytest.mark.postgis, pytest.mark.timeout(1500)]


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of a page's code blocks that are to be run."""
    return BLOCK.findall(page.read_text())


def test_the_walk_through_the_database_runs_as_it_stands(killed_demo: KilledDemo, postgres_cluster: Cluster) -> None:
    found = blocks(ROOT / "docs" / "howto" / "database.md")
    assert len(found) > 10
    tidied(killed_demo)
    with postgres_cluster.database(template=None) as url:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        config = str(killed_demo.out / "satdaemon.cfg")
        environment = {**os.environ, "PATH": path, "SATDAEMON_CONFIG": config, "POSTGRES": url, "COLUMNS": "160"}
        for language, text in found:
            command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
            began = time.monotonic()
            done = subprocess.run(
                command, cwd=killed_demo.out.parent, env=environment, capture_output=True, text=True, timeout=600, check=False
            )
            print(f"{time.monotonic() - began:6.1f} s  {text.strip().splitlines()[0]}")
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
