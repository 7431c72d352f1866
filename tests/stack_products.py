"""The satsar products of a synthetic stack on disk, and the stack stages run on them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from stack_truth import WAVELENGTH_M, Stack

from satdaemon.domain import Frame, StageInput, StageResult
from satdaemon.insar.rowrasters import write_raster
from satdaemon.processors.builtin.coherence import CoherenceProcessor
from satdaemon.processors.builtin.ingest import IngestProcessor
from satdaemon.processors.builtin.timeseries import TimeseriesProcessor
from satdaemon.processors.builtin.unwrap import UnwrapProcessor
from satdaemon.status import RowKind, Stage

FRAME = Frame("132A_TEST", 132, "A", ())
FIRST = date(2023, 1, 1)
SPACING_M = (14.0, 3.5)
RANGE_M, INCIDENCE_DEG = 850e3, 38.0
PROCESSORS = {Stage.COHERENCE: CoherenceProcessor(), Stage.UNWRAP: UnwrapProcessor(), Stage.TIMESERIES: TimeseriesProcessor(),
              Stage.INGEST: IngestProcessor()}


@dataclass
class Listener:
    """A report that remembers."""

    warnings: list[str] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)

    def progress(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@dataclass
class Chain:
    """A frame's products below `root`."""

    root: Path
    dates: list[date]
    memory_gb: float = 1.0
    settings: dict[Stage, dict[str, Any]] = field(default_factory=dict)
    report: Listener = field(default_factory=Listener)

    @property
    def master(self) -> date:
        return self.dates[len(self.dates) // 2]

    def place(self, stage: Stage, key: str) -> Path:
        return self.root / FRAME.id / stage.value / key

    def satsar(self, day: date) -> Path:
        return self.place(Stage.SATSAR, f"{day:%Y%m%d}")

    def job(self, stage: Stage, kind: RowKind, inputs: dict[str, Path], *days: date) -> StageInput:
        one = StageInput(
            1, 1, stage, kind, FRAME, self.master, days[0] if days else None, days[1] if len(days) > 1 else None,
            self.root, inputs, settings=self.settings.get(stage, {}), cores=2, memory_gb=self.memory_gb,
        )
        out = self.place(stage, one.key)
        out.mkdir(parents=True, exist_ok=True)
        return StageInput(**{name: getattr(one, name) for name in one.__slots__ if name != "out_dir"}, out_dir=out)

    def run(self, job: StageInput) -> StageResult:
        result = PROCESSORS[job.stage].run(job, self.report)
        for name in result.files:
            assert (job.out_dir / name).exists(), name
        return result

    def siblings(self) -> StageResult:
        inputs = {f"satsar/{day:%Y%m%d}": self.satsar(day) for day in self.dates}
        inputs["geometry"] = self.satsar(self.master)
        return self.run(self.job(Stage.COHERENCE, RowKind.MASTER, inputs, self.master))

    def coherence(self, first: date, second: date) -> StageResult:
        inputs = {f"satsar/{day:%Y%m%d}": self.satsar(day) for day in (first, second)}
        inputs["siblings"] = self.place(Stage.COHERENCE, "frame")
        return self.run(self.job(Stage.COHERENCE, RowKind.RSAR_IFG, inputs, first, second))

    def unwrap(self, first: date, second: date) -> StageResult:
        key = f"{first:%Y%m%d}_{second:%Y%m%d}"
        inputs = {"coherence": self.place(Stage.COHERENCE, key), "geometry": self.satsar(self.master)}
        return self.run(self.job(Stage.UNWRAP, RowKind.RSAR_IFG, inputs, first, second))

    def timeseries(self, pairs: list[tuple[date, date]], **more: Path) -> StageResult:
        inputs = {f"unwrap/{a:%Y%m%d}_{b:%Y%m%d}": self.place(Stage.UNWRAP, f"{a:%Y%m%d}_{b:%Y%m%d}") for a, b in pairs}
        inputs |= {f"satsar/{day:%Y%m%d}": self.satsar(day) for day in self.dates}
        inputs["geometry"] = self.satsar(self.master)
        return self.run(self.job(Stage.TIMESERIES, RowKind.MASTER, inputs | more, self.master))

    def ingest(self) -> StageResult:
        inputs = {"timeseries": self.place(Stage.TIMESERIES, "frame")}
        return self.run(self.job(Stage.INGEST, RowKind.MASTER, inputs, self.master))

    def pairs(self, reach: int = 3) -> list[tuple[date, date]]:
        return [(a, b) for k, a in enumerate(self.dates) for b in self.dates[k + 1 : k + 1 + reach]]


def write_geometry(place: Path, shape: tuple[int, int]) -> None:
    """A flat frame near 4 E, 52 N."""
    place.mkdir(parents=True, exist_ok=True)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    lat = 52 - rows * SPACING_M[0] / 111_195.0
    write_raster(place / "lat.tif", lat)
    write_raster(place / "lon.tif", 4 + cols * SPACING_M[1] / 111_195.0 / np.cos(np.radians(lat)))
    write_raster(place / "height.tif", np.full(shape, 42.0, np.float32))
    write_raster(place / "incidence.tif", np.full(shape, INCIDENCE_DEG, np.float32))
    write_raster(place / "range.tif", np.full(shape, RANGE_M))
    (place / "grid.json").write_text(json.dumps({"wavelength_m": WAVELENGTH_M}))


def write_chain(root: Path, stack: Stack, bperp_m: np.ndarray | None = None, **options: Any) -> Chain:
    """Write what satsar leaves of a stack: SLCs, baselines, geometry."""
    days = [FIRST + timedelta(days=int(day)) for day in stack.days]
    chain = Chain(root, days, **options)
    write_geometry(chain.satsar(chain.master), stack.classes.shape)
    for k, day in enumerate(days):
        place = chain.satsar(day)
        place.mkdir(parents=True, exist_ok=True)
        write_raster(place / "slc.tif", stack.slc[k])
        if day != chain.master:
            value = 0.0 if bperp_m is None else bperp_m[k]
            write_raster(place / "bperp.tif", np.full(stack.classes.shape, value, np.float32))
    return chain
