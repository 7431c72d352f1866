"""Small simulated archives, made once a test run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from satdaemon.simulator import SimulationOptions, Truth, simulate

SMALL = SimulationOptions(dates=10, seed=3, samples=96, range_overlap=40, bursts=3, polarisations=("vv",))


@cache
def small_archive() -> Path:
    """All special cases: 10 dates, 2 subswaths x 3 bursts x 96 samples, VV."""
    folder = Path(tempfile.mkdtemp(prefix="satdaemon-simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return simulate(folder / "small", SMALL)


@cache
def small_truth() -> Truth:
    """Truth of `small_archive`."""
    return Truth.load(small_archive())


def zip_of(index: int, which: int = 0) -> Path:
    """A product of the date with this index."""
    record = small_truth().document["dates"][index]
    return small_archive() / "archive" / "T132" / f"{record['products'][which]}.zip"


def index_of(case: str) -> int:
    """Index of the date that has a special case."""
    return next(k for k, d in enumerate(small_truth().document["dates"]) if case in d["cases"])


def member(path: Path, kind: str, swath: str, polarisation: str = "vv") -> bytes:
    """A file of a product: `kind` is annotation, calibration, noise or measurement."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(member_name(path, kind, swath, polarisation))


def member_name(path: Path, kind: str, swath: str, polarisation: str = "vv") -> str:
    """Its name in the zip."""
    place = {"annotation": "annotation/s1", "measurement": "measurement/s1"}.get(kind, f"annotation/calibration/{kind}-s1")
    with zipfile.ZipFile(path) as archive:
        (name,) = (n for n in archive.namelist() if f"/{place}" in n and f"-{swath.lower()}-slc-{polarisation}-" in n)
    return name
