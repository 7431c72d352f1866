"""Readers of product zips for tests: functions of a module, since they go to other processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from satdaemon.insar.safe import SafeProduct, read_product


def deadly(path: Path) -> SafeProduct:
    """Ends its process where the name says so."""
    if "deadly" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_product(path)


def never(path: Path) -> SafeProduct:
    """For files that must not be opened."""
    raise AssertionError(f"{path} was opened")


def contradicting(path: Path) -> SafeProduct:
    """A product that no row of the database can hold, where the name says so."""
    product = read_product(path)
    return replace(product, orbit_direction="X") if "20210404" in path.name else product


def slow(path: Path) -> SafeProduct:
    """A disk that takes its time after the first file."""
    marker = path.parent / "first"
    if marker.exists():
        time.sleep(60)
    marker.touch()
    return read_product(path)


def failing_disk(path: Path) -> SafeProduct:
    """An input error of the disk, not of the zip."""
    raise OSError(5, "Input/output error", str(path))


def surprising(path: Path) -> SafeProduct:
    """What nobody foresaw."""
    raise RecursionError("too deep")
