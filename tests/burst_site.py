"""A stand-in of ASF with the small simulated archive, and download and slc jobs of its frame that use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_stand_ins import at_stand_ins
from sar_chain import Chain, Listener, frame_of, scratch
from simulated import index_of, small_archive, small_truth

from satdaemon.archive import sites
from satdaemon.archive.area import Area
from satdaemon.config import DownloadSettings, Settings
from satdaemon.domain import Frame, Scene, SceneSource, StageInput, StageResult
from satdaemon.insar.rasters import copy_window, create_radar, open_radar
from satdaemon.processors.registry import builtin
from satdaemon.simulator.archives import AsfStandIn, Faults, Shelf
from satdaemon.simulator.archives.bursts import ADDRESS, Cutter
from satdaemon.status import RowKind, Stage

LOGIN = {"EARTHDATA_USERNAME": "demo", "EARTHDATA_PASSWORD": "demo-password"}


class Site:
    """One processing site with an empty data directory."""

    def __init__(self, folder: Path, asf: AsfStandIn, **download: Any) -> None:
        self.folder, self.asf = folder, asf
        given = DownloadSettings(archives=("asf",), bursts_only=True, **download)
        self.settings = at_stand_ins(Settings(download=given), asf=asf)
        self.frame = frame_of(small_archive())
        self.data = folder / "data"
        self.data.mkdir(parents=True)

    def scenes(self, day: date) -> tuple[Scene, ...]:
        """The valid products of a date, as the database gives them to a job."""
        (catalogue,) = sites.catalogues(self.settings)
        valid = set(record_of(day)["products"]) - {record_of(day)["outdated"]}
        listed = [one.scene for one in catalogue.search(Area.of_frames([self.frame])).listed if one.scene.id in valid]
        return tuple(replace(s, sources=(SceneSource("asf", s.url, s.size, s.checksum),)) for s in listed)

    def job(self, day: date, scenes: tuple[Scene, ...] | None = None, frame: Frame | None = None, **more: Any) -> StageInput:
        """A download job with a fresh directory."""
        out = self.folder / "download" / f"{day:%Y%m%d}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        download, archives = (part.model_dump(mode="json") for part in (self.settings.download, self.settings.archives))
        paths = {"data": self.data, "orbits": small_archive() / "orbits", "scratch": self.folder / "scratch"}
        return StageInput(
            1, 1, Stage.DOWNLOAD, RowKind.IFG, frame or self.frame, day, day, None, out, {}, scenes or self.scenes(day),
            {**download, "sites": archives, **more}, paths,
        )  # fmt: skip

    def download(self, day: date, report: Listener | None = None, **more: Any) -> StageResult:
        """Run the download stage."""
        return builtin(Stage.DOWNLOAD).run(self.job(day, **more), report or Listener())

    def slc(self, day: date, frame: Frame | None = None) -> Path:
        """Run the slc stage on what the download left; where its product stands."""
        out = self.folder / "slc" / f"{day:%Y%m%d}"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        inputs = {"download": self.folder / "download" / f"{day:%Y%m%d}"}
        job = StageInput(1, 1, Stage.SLC, RowKind.IFG, frame or self.frame, day, day, None, out, inputs)
        builtin(Stage.SLC).run(job, Listener())
        return out

    def listed(self, day: date) -> list[dict[str, Any]]:
        """The scenes of download.json."""
        path = self.folder / "download" / f"{day:%Y%m%d}" / "download.json"
        found: list[dict[str, Any]] = json.loads(path.read_text())["scenes"]
        return found

    @property
    def left(self) -> list[str]:
        """What stands in the data directory."""
        return sorted(path.name for path in self.data.rglob("*") if path.is_file())

    def asked(self, kind: str = "data") -> dict[str, int]:
        """Requests to the extractor's store, by piece without its scene."""
        return {name.partition("/")[2]: count for name, count in self.asf.tally.by_name(kind).items() if "/" in name}


@contextmanager
def burst_site(folder: Path, monkeypatch: pytest.MonkeyPatch, *, shelf: Path | None = None, **more: Any) -> Iterator[Site]:
    """A site whose archive has the small simulated archive. `more`: of the stand-in."""
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    with AsfStandIn(Shelf(shelf or small_archive() / "archive"), Faults(), **more) as asf:
        yield Site(folder, asf)


def record_of(day: date) -> dict[str, Any]:
    """What the simulation says of a date."""
    found: dict[str, Any] = next(d for d in small_truth().document["dates"] if d["date"] == day.isoformat())
    return found


def day_of(case: str) -> date:
    """The date of a special case; `plain`: the first without any."""
    if case == "plain":
        return next(date.fromisoformat(d["date"]) for d in small_truth().document["dates"] if not d["cases"])
    return small_truth().dates[index_of(case)]


@cache
def whole() -> Chain:
    """The slc stage of whole products."""
    return Chain(small_archive(), scratch("whole"), day_of("plain"))


@cache
def slc_of_whole(day: date) -> Path:
    """The slc product of a date whose products were fetched whole."""
    valid = [name for name in record_of(day)["products"] if name != record_of(day)["outdated"]]
    whole().download(day, valid)
    whole().slc(day)
    return whole().place("slc", day)


def assert_same_slc(one: Path, other: Path) -> None:
    """Equal pixels, and equal records."""
    first, second = (json.loads((place / "slc.json").read_text()) for place in (one, other))
    assert first == second and first["bursts"]
    for burst in first["bursts"]:
        with open_radar(one / burst["file"]) as a, open_radar(other / burst["file"]) as b:
            mine, yours = a.read(1), b.read(1)
        assert np.array_equal(mine, yours) and np.any(mine)
        assert (one / burst["file"]).read_bytes() == (other / burst["file"]).read_bytes()


def tiff_of(site: Site, scene_id: str, piece: str, rows: int | None = None) -> Path:
    """The TIFF of a piece (`IW1/VV/0.tiff`), as the stand-in cuts it; or only so many lines of it."""
    item = site.asf.shelf.find(scene_id)
    address = ADDRESS.match(f"/{scene_id}/{piece}")
    assert item is not None and address is not None
    with Cutter() as cutter:
        cut = cutter.cut(item, address)
        assert cut is not None
        target = site.folder / f"{rows}.tiff"
        with (
            open_radar(cut.path) as source,
            create_radar(target, (rows or source.height, source.width), "complex_int16", tiled=False) as out,
        ):
            copy_window(source, out, 0, 0)
    return target
