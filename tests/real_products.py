"""The real Sentinel-1 products of the test data: zips, and archives unpacked once a test run."""

from __future__ import annotations

import atexit
import shutil
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from realdata import data_dir

ARCHIVES = ("isce2_pair_t108_2025/packaging.tar.xz", "xarray_sentinel/S1A_IW_SLC_20220414_SAFE.tar.xz")


@cache
def unpacked() -> Path:
    """Directory with the contents of the archives."""
    folder = Path(tempfile.mkdtemp(prefix="satdaemon-real-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ARCHIVES:
        with tarfile.open(data_dir() / name) as archive:
            archive.extractall(folder, filter="data")
    return folder


def real_products() -> list[Path]:
    """Every real product, zip or `.SAFE` directory."""
    return sorted(data_dir().glob("*/S1*.zip")) + sorted(unpacked().rglob("*.SAFE"))


def pair_t108() -> tuple[Path, Path]:
    """Two dates, 12 days apart, of the same 27 bursts."""
    first, second = sorted((unpacked() / "packaging" / "slc").glob("*.SAFE"))
    return first, second
