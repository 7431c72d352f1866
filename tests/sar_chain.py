"""slc and satsar of simulated archives, run as the engine would, once a test run."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from satdaemon.domain import Burst, Frame, StageInput, StageResult
from satdaemon.insar.rasters import open_radar
from satdaemon.processors.builtin.satsar import SatsarProcessor
from satdaemon.processors.builtin.slc import SlcProcessor
from satdaemon.simulator import SimulationOptions, Truth, simulate
from satdaemon.status import RowKind, Stage

CLEAN = SimulationOptions(
    dates=3,
    seed=5,
    samples=160,
    range_overlap=48,
    bursts=2,
    polarisations=("vv",),
    motion=False,
    atmosphere_mm=0.0,
    thermal_noise=False,
    decorrelation=False,
)
"""Nothing but geometry: what is left in an interferogram is error."""


@dataclass
class Listener:
    """Collects what a processor reports."""

    fractions: list[float] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def progress(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)
        self.messages.append(message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def frame_of(archive: Path) -> Frame:
    """The simulated frame."""
    document = json.loads((archive / "frame.json").read_text())
    bursts = tuple(Burst(**{**b, "footprint": tuple((x, y) for x, y in b["footprint"])}) for b in document["bursts"])
    return Frame(document["id"], document["track"], document["orbit_direction"], bursts)


class Chain:
    """One archive processed below `work`."""

    def __init__(self, archive: Path, work: Path, master: date) -> None:
        self.archive, self.work, self.master = archive, work, master
        self.truth = Truth.load(archive)
        self.frame = frame_of(archive)
        self.results: dict[tuple[str, date], StageResult] = {}
        self.reports: dict[tuple[str, date], Listener] = {}

    def place(self, stage: str, day: date) -> Path:
        """Product directory of a stage and date."""
        return self.work / stage / f"{day:%Y%m%d}"

    def job(self, stage: Stage, day: date, inputs: dict[str, Path], **more: Any) -> StageInput:
        """What the engine would pass; the output directory is fresh."""
        out = self.place(stage.value, day)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        kind = RowKind.MASTER if day == self.master else RowKind.IFG
        values = {"frame": self.frame, "paths": {"dem": self.archive / "dem.tif"}, "cores": 2, **more}
        return StageInput(
            job_id=1,
            attempt=1,
            stage=stage,
            kind=kind,
            master_date=self.master,
            date1=day,
            date2=None,
            out_dir=out,
            inputs=inputs,
            **values,
        )

    def download(self, day: date, products: list[str] | None = None, orbits: list[str] | None = None) -> Path:
        """A download product of the date's valid products and its best orbit."""
        record = next(d for d in self.truth.document["dates"] if d["date"] == day.isoformat())
        zips = [self.archive / "archive" / "T132" / f"{p}.zip" for p in products or record["products"]]
        names = orbits or sorted(p.name for p in (self.archive / "orbits").glob(f"{record['platform']}*"))
        place = self.place("download", day)
        place.mkdir(parents=True, exist_ok=True)
        chosen = [self.archive / "orbits" / n for n in names if orbits or _covers(n, day)]
        best = [p for p in chosen if "POEORB" in p.name][:1] or chosen[:1]
        (place / "download.json").write_text(
            json.dumps(
                {
                    "scenes": [{"id": z.stem, "path": str(z), "size": z.stat().st_size, "checksum": None} for z in zips],
                    "orbit": {"type": "POEORB", "paths": [str(p) for p in (chosen if orbits else best)]},
                }
            )
        )
        return place

    def slc(self, day: date, **more: Any) -> StageResult:
        """Run the slc stage."""
        download = self.place("download", day)
        if not (download / "download.json").is_file():
            download = self.download(day)
        return self._run("slc", SlcProcessor(), self.job(Stage.SLC, day, {"download": download}, **more))

    def satsar(self, day: date, neighbours: tuple[date, ...] = (), **more: Any) -> StageResult:
        """Run the satsar stage; the master's first."""
        inputs = {"slc": self.place("slc", day)}
        if day != self.master:
            inputs["master"] = self.place("satsar", self.master)
            inputs |= {f"neighbour/{d:%Y%m%d}": self.place("satsar", d) for d in neighbours}
        return self._run("satsar", SatsarProcessor(), self.job(Stage.SATSAR, day, inputs, **more))

    def _run(self, name: str, processor: Any, job: StageInput) -> StageResult:
        assert job.date1 is not None
        report = self.reports[name, job.date1] = Listener()
        result: StageResult = processor.run(job, report)
        self.results[name, job.date1] = result
        return result

    def read(self, day: date, name: str, stage: str = "satsar") -> np.ndarray:
        """A raster of a product."""
        with open_radar(self.place(stage, day) / name) as source:
            return np.asarray(source.read(1))


def _covers(name: str, day: date) -> bool:
    start, stop = name.removesuffix(".EOF").split("_V")[1].split("_")
    return start[:8] <= f"{day:%Y%m%d}" <= stop[:8]


def scratch(prefix: str) -> Path:
    """A directory that is gone after the test run."""
    folder = Path(tempfile.mkdtemp(prefix=f"satdaemon-{prefix}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def clean_chain() -> Chain:
    """Three dates without noise, motion and air; the second is the master; all through satsar."""
    folder = scratch("clean")
    archive = simulate(folder / "archive", CLEAN)
    first, master, last = Truth.load(archive).dates
    chain = Chain(archive, folder / "work", master)
    for day in (master, first, last):
        chain.slc(day)
    chain.satsar(master)
    chain.satsar(first)
    chain.satsar(last, neighbours=(first,))
    return chain
