"""Pictures of products as the stages leave them, and of products that are not as they should be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stack_chain import ABSENT, ABSENT_ROWS, SHAPE, Finished
from stack_truth import WATER, WAVELENGTH_M

from satdaemon.domain import Quicklook, StageInput
from satdaemon.insar.colours import palette
from satdaemon.insar.rowrasters import read_raster, write_raster
from satdaemon.processors.quicklooks import Made, make
from satdaemon.status import RowKind, Stage

HIGH, WIDE = 768, 256
"""192 rows of 14 m and 256 columns of 3.5 m, square on the ground."""


@pytest.fixture
def pictured(stack_chain: Finished, tmp_path: Path) -> Pictured:
    return Pictured(stack_chain, tmp_path)


class Pictured:
    """Copies of products, with their pictures."""

    def __init__(self, done: Finished, place: Path) -> None:
        self.done, self.chain, self.place = done, done.chain, place

    def job(self, stage: Stage, kind: RowKind, inputs: dict[str, Path], *days: date, without: tuple[str, ...] = ()) -> StageInput:
        job = self.chain.job(stage, kind, inputs, *days)
        out = self.place / stage.value / job.key
        shutil.copytree(job.out_dir, out, ignore=shutil.ignore_patterns("*.zarr", *without))
        return replace(job, out_dir=out)

    def pair(self, stage: Stage, number: int = 0) -> StageInput:
        days = self.chain.pairs()[number]
        inputs = {f"satsar/{day:%Y%m%d}": self.chain.satsar(day) for day in days}
        if stage is Stage.UNWRAP:
            inputs = {"geometry": self.chain.satsar(self.chain.master)}
        return self.job(stage, RowKind.RSAR_IFG, inputs, *days)

    def date(self) -> StageInput:
        day = self.chain.dates[ABSENT]
        return self.job(Stage.SATSAR, RowKind.IFG, {"master": self.chain.satsar(self.chain.master)}, day)


def read(job: StageInput, one: Quicklook) -> tuple[np.ndarray, np.ndarray]:
    """Values of a picture (middle of each colour's range) and where it has data."""
    with Image.open(job.out_dir / one.file) as image:
        assert image.size == (one.cols, one.rows)
        assert Quicklook.from_json(json.loads(image.text["Quicklook"])) == one
        index = np.asarray(image).astype(int)
        colours = np.asarray(image.convert("RGBA"))
    known = index > 0
    assert (colours[..., 3] == 255 * known).all()
    assert (colours[known][:, :3] == palette(one.palette)[index[known] - 1]).all()
    return one.least + (index - 0.5) / 255 * (one.most - one.least), known


def made(job: StageInput) -> tuple[Quicklook, ...]:
    found = make(job)
    assert found.warnings == ()
    return found.quicklooks


def cells(values: np.ndarray) -> np.ndarray:
    """The raster's values on the picture's pixels: rows repeat, columns of the wide raster too."""
    rows, cols = np.arange(HIGH) * SHAPE[0] // HIGH, np.arange(WIDE) * SHAPE[1] // WIDE
    return values[rows][:, cols]


def test_a_pair_gets_its_wrapped_phase_and_coherence(pictured: Pictured) -> None:
    job = pictured.pair(Stage.COHERENCE)
    phase, coherence = made(job)
    assert (phase.file, phase.unit, phase.palette) == ("quicklooks/phase.png", "rad", "cyclic")
    assert (coherence.least, coherence.most, coherence.palette) == (0.0, 1.0, "grey")
    assert (phase.rows, phase.cols, phase.pixel_m) == (HIGH, WIDE, pytest.approx((3.5, 3.5), abs=0.02))
    assert phase.mm_per_unit == pytest.approx(-1000 * WAVELENGTH_M / (4 * np.pi), rel=1e-4)
    ifg = cells(read_raster(job.out_dir / "ifg.tif"))
    values, known = read(job, phase)
    assert (known == (ifg != 0)).all()
    error = np.angle(ifg * np.exp(-1j * values))[known]
    assert np.abs(error).max() < 0.02, "within a colour of 255"
    values, known = read(job, coherence)
    assert np.abs(values - np.abs(ifg))[known].max() < 0.003


def test_a_pair_gets_its_unwrapped_phase_about_the_median(pictured: Pictured) -> None:
    job = pictured.pair(Stage.UNWRAP)
    (one,) = made(job)
    unwrapped = cells(read_raster(job.out_dir / "unwrapped.tif"))
    middle, reach = (one.least + one.most) / 2, (one.most - one.least) / 2
    assert middle == pytest.approx(np.nanmedian(unwrapped), abs=1e-3) and one.palette == "diverging"
    inside = np.abs(unwrapped - middle) < reach
    assert inside[np.isfinite(unwrapped)].mean() > 0.95
    values, known = read(job, one)
    assert (known == np.isfinite(unwrapped)).all(), "no pixel that is not a point"
    assert np.abs(values - unwrapped)[inside].max() < reach / 255 * 1.01


def test_a_date_gets_its_amplitude_clear_where_a_burst_is_missing(pictured: Pictured) -> None:
    job = pictured.date()
    (one,) = made(job)
    assert (one.title, one.unit) == ("amplitude", "dB") and one.known == pytest.approx(1 - ABSENT_ROWS / SHAPE[0], abs=1e-4)
    values, known = read(job, one)
    assert not known[: HIGH * ABSENT_ROWS // SHAPE[0]].any() and known[HIGH * ABSENT_ROWS // SHAPE[0] + 5 :].all()
    water = cells(pictured.done.stack.classes == WATER) & known
    assert values[water].mean() < values[known & ~water].mean() - 3, "water is dark"


def test_a_frame_gets_its_mean_amplitude_and_velocity(pictured: Pictured) -> None:
    geometry = {"geometry": pictured.chain.satsar(pictured.chain.master)}
    job = pictured.job(Stage.COHERENCE, RowKind.MASTER, geometry, pictured.chain.master)
    (one,) = made(job)
    assert one.title == "mean amplitude of the initial stack"
    amplitude = cells(read_raster(job.out_dir / "amplitude.tif"))
    values, known = read(job, one)
    decibel = 20 * np.log10(np.where(known, amplitude, 1))
    inside = known & (decibel > one.least) & (decibel < one.most)
    assert np.abs(values - decibel)[inside].max() < (one.most - one.least) / 255 and inside.mean() > 0.9
    job = pictured.job(Stage.TIMESERIES, RowKind.MASTER, geometry, pictured.chain.master)
    (one,) = made(job)
    assert one.unit == "mm/yr" and one.least == -one.most and one.palette == "reversed", "warm is away from the satellite"
    velocity = cells(read_raster(job.out_dir / "velocity.tif"))
    values, known = read(job, one)
    assert np.abs(values - np.clip(velocity, one.least, one.most))[known].max() < one.most / 100


def test_pictures_stand_in_product_json_and_are_the_same_each_time(pictured: Pictured) -> None:
    job = pictured.pair(Stage.COHERENCE)
    before = json.loads((job.out_dir / "product.json").read_text())
    found = made(job)
    after = json.loads((job.out_dir / "product.json").read_text())
    assert after["quicklooks"] == {"made": [one.to_json() for one in found], "warnings": []}
    assert after["files"].keys() - before["files"].keys() == {one.file for one in found}
    assert {name: after[name] for name in before if name != "files"} == {name: before[name] for name in before if name != "files"}
    first = [(job.out_dir / one.file).read_bytes() for one in found]
    shutil.rmtree(job.out_dir / "quicklooks")
    assert [(job.out_dir / one.file).read_bytes() for one in made(job)] == first
    assert all(len(content) < 400_000 for content in first)


def test_what_cannot_be_shown_is_said_and_the_rest_is_shown(pictured: Pictured) -> None:
    job = pictured.pair(Stage.COHERENCE)
    whole = (job.out_dir / "ifg.tif").read_bytes()
    (job.out_dir / "ifg.tif").write_bytes(whole[:5000])
    found = make(job)
    assert found.quicklooks == () and found.warnings[0].startswith("no quicklook of ifg.tif: ")
    assert json.loads((job.out_dir / "product.json").read_text())["quicklooks"]["warnings"] == list(found.warnings)
    job = pictured.pair(Stage.UNWRAP)
    write_raster(job.out_dir / "unwrapped.tif", np.full(SHAPE, np.nan, np.float32), nodata=float("nan"))
    assert make(job) == Made((), ("no quicklook of unwrapped.tif: no pixel has data",))


def test_a_programs_own_product_json_is_left_as_it_is(pictured: Pictured) -> None:
    job = pictured.pair(Stage.UNWRAP)
    (job.out_dir / "product.json").write_text('{"mine": true}')
    assert len(made(job)) == 1
    assert (job.out_dir / "product.json").read_text() == '{"mine": true}'


def test_a_broken_geometry_costs_the_shape_not_the_picture(pictured: Pictured) -> None:
    job = pictured.pair(Stage.UNWRAP)
    geometry = pictured.place / "geometry"
    geometry.mkdir()
    for name in ("lon.tif", "lat.tif"):
        (geometry / name).write_bytes(b"no raster")
    found = make(replace(job, inputs={"geometry": geometry}))
    assert found.quicklooks[0].pixel_m is None and (found.quicklooks[0].rows, found.quicklooks[0].cols) == SHAPE
    assert found.warnings[0].startswith("quicklooks with square pixels: ")
