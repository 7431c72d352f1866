""" "slc: which bursts are taken, which are missing, what is refused."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from real_products import pair_t108
from sar_chain import Chain, Listener, scratch
from simulated import index_of, small_archive, small_truth

from satdaemon.domain import Frame
from satdaemon.errors import CorruptProduct, DataError, NotUsable
from satdaemon.insar.acquisition import Acquisition
from satdaemon.insar.container import open_container
from satdaemon.insar.safe import parse_xml, read_product
from satdaemon.insar.swath import state_vectors
from satdaemon.processors.builtin.slc import SlcProcessor
from satdaemon.status import Stage


@cache
def chain() -> Chain:
    """The small archive, with a plain date as master."""
    truth = small_truth()
    plain = next(d for d, record in zip(truth.dates, truth.document["dates"], strict=True) if not record["cases"])
    return Chain(small_archive(), scratch("slc"), plain)


def _day(case: str) -> date:
    return small_truth().dates[index_of(case)]


def _pixels(day: date, burst_id: str) -> np.ndarray:
    return chain().read(day, f"bursts/{burst_id}.tif", "slc")


def test_bursts_are_the_measurement_s_valid_part() -> None:
    day = chain().master
    result = chain().slc(day)
    acquisition = Acquisition.load(chain().place("slc", day))
    assert [b.id for b in acquisition.bursts] == [b.id for b in chain().frame.bursts]
    assert result.metrics["coverage"] == 1 and acquisition.arc.type == "POEORB" and not acquisition.missing
    product = read_product(next((small_archive() / "archive").rglob(f"{acquisition.scenes[0]}.zip")))
    for meta in acquisition.bursts:
        own = next(b for b in product.bursts if b.id == meta.source_id)
        with zipfile.ZipFile(product.path) as archive:
            name = next(n for n in archive.namelist() if "measurement/s1" in n and f"-{meta.swath.lower()}-slc-vv" in n)
        with rasterio.open(f"/vsizip/{product.path}/{name}") as source:
            whole = source.read(1)
        lines = slice(own.index * own.lines + own.valid_lines[0], own.index * own.lines + own.valid_lines[1] + 1)
        expected = whole[lines, own.valid_samples[0] : own.valid_samples[1] + 1]
        assert np.array_equal(_pixels(day, meta.id), expected)
        assert np.std(expected) > 10


def test_date_of_two_slices_whose_ids_differ() -> None:
    """The frame's id names the file, whatever the date's annotation calls the burst."""
    day = _day("split")
    result = chain().slc(day)
    assert result.metrics["bursts"] == 6 and result.metrics["scenes"] == 2
    bursts = Acquisition.load(chain().place("slc", day)).bursts
    assert [b.id for b in bursts] == [b.id for b in chain().frame.bursts]
    assert {b.id: b.source_id for b in bursts}["132_8603_IW1"] == "132_8602_IW1"
    assert all((chain().place("slc", day) / "bursts" / f"{b.id}.tif").is_file() for b in bursts)


def test_newest_of_two_processings_wins() -> None:
    day = _day("duplicate")
    record = small_truth().document["dates"][index_of("duplicate")]
    everything = sorted(
        p.stem for p in (small_archive() / "archive").rglob(f"*_{day:%Y%m%d}T*.zip") if p.stem[17:25] == f"{day:%Y%m%d}"
    )
    assert len(everything) == 2
    chain().download(day, products=everything)
    chain().slc(day)
    newest = max(
        (read_product(next((small_archive() / "archive").rglob(f"{n}.zip"))) for n in everything), key=lambda p: p.proc_utc
    )
    assert Acquisition.load(chain().place("slc", day)).scenes == (newest.id,)
    assert newest.id in record["products"] or len(record["products"]) == 2


def test_missing_burst_at_the_end_warns_and_excludes_a_master() -> None:
    day = _day("missing_burst")
    result = chain().slc(day)
    assert result.metrics["missing_bursts"] == 1 and "missing at a swath's end" in result.warnings[0]
    assert chain().reports["slc", day].warnings == list(result.warnings)
    with pytest.raises(NotUsable, match="min_coverage"):
        chain().slc(day, settings={"min_coverage": 0.9})
    as_master = Chain(small_archive(), scratch("master"), day)
    with pytest.raises(NotUsable, match="a master needs every burst"):
        as_master.slc(day)


def test_interior_burst_missing_is_not_usable() -> None:
    """The frame is given a burst between the first two of a swath, which no date has."""
    day = next(
        d
        for d, record in zip(small_truth().dates, small_truth().document["dates"], strict=True)
        if not record["cases"] and d != chain().master
    )
    frame = chain().frame
    first = frame.bursts[0]
    ghost = replace(first, id=f"{first.track}_{first.anx + 13}_{first.swath}", anx=first.anx + 13, esa_id=None)
    with pytest.raises(NotUsable, match=f"{ghost.id} missing in the interior"):
        chain().slc(day, frame=replace(frame, bursts=(*frame.bursts, ghost)))


def test_cut_measurement(tmp_path: Path) -> None:
    """A sound zip whose image ends half-way."""
    day = chain().master
    source = next((small_archive() / "archive").rglob(f"*{day:%Y%m%d}T*.zip"))
    cut = tmp_path / source.name
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(cut, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, content[: len(content) // 2] if info.filename.endswith(".tiff") else content)
    other = Chain(small_archive(), scratch("cut"), day)
    place = other.download(day)
    document = json.loads((place / "download.json").read_text())
    document["scenes"][0]["path"] = str(cut)
    (place / "download.json").write_text(json.dumps(document))
    with pytest.raises(CorruptProduct, match=r"cannot be read|not a readable raster"):
        other.slc(day)


def test_restituted_orbit_alone() -> None:
    result = chain().slc(_day("resorb_only"))
    assert result.metrics["orbit"] == "RESORB"


def test_other_polarisation_is_not_there() -> None:
    with pytest.raises(NotUsable, match="polarisation hh"):
        chain().slc(chain().master, polarisation="hh")


def test_orbit_of_another_satellite_or_day() -> None:
    day = chain().master
    platform = next(d for d in small_truth().document["dates"] if d["date"] == day.isoformat())["platform"]
    orbits = sorted((small_archive() / "orbits").glob("*POEORB*"))
    foreign = next(p for p in orbits if not p.name.startswith(platform))
    own = [p for p in orbits if p.name.startswith(platform)]
    other_day = next(p for p in own if f"V{day:%Y%m}" not in p.name or p != own[0])
    other = Chain(small_archive(), scratch("orbit"), day)
    other.download(day, orbits=[foreign.name])
    with pytest.raises(DataError, match=f"expected {platform}"):
        other.slc(day)
    other.download(day, orbits=[other_day.name])
    with pytest.raises(DataError, match="without a gap"):
        other.slc(day)


def test_download_product_that_is_none(tmp_path: Path) -> None:
    job = chain().job(Stage.SLC, chain().master, {"download": tmp_path})
    with pytest.raises(DataError, match="run the download again"):
        SlcProcessor().run(job, Listener())


@pytest.mark.realdata
def test_real_product_with_empty_measurement(tmp_path: Path) -> None:
    """On a real product all works up to the pixels; its emptied measurement is named."""
    path = pair_t108()[0]
    product = read_product(path)
    other = Chain(small_archive(), scratch("real"), product.start_utc.date())
    other.frame = Frame("108A_TEST", 108, "A", product.domain_bursts())
    place = other.place("download", other.master)
    place.mkdir(parents=True)
    orbit = tmp_path / "orbit.EOF"
    orbit.write_text(_orbit_text(path))
    (place / "download.json").write_text(
        json.dumps({"scenes": [{"id": product.id, "path": str(path)}], "orbit": {"type": "RESORB", "paths": [str(orbit)]}})
    )
    with pytest.raises(CorruptProduct, match=r"measurement/s1a-iw1-slc-vv.* is empty"):
        other.slc(other.master)


def _orbit_text(path: Path) -> str:
    """An orbit file made of the product's own state vectors."""
    with open_container(path) as container:
        name = next(n for n in container.names() if n.startswith("annotation/s1a-iw1-slc-vv"))
        vectors = state_vectors(parse_xml(container, name))
    items = "".join(
        f"<OSV><UTC>UTC={t}</UTC>"
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("X", "Y", "Z"), p, strict=True))
        + "".join(f"<{k}>{v}</{k}>" for k, v in zip(("VX", "VY", "VZ"), w, strict=True))
        + "</OSV>"
        for t, p, w in vectors
    )
    return (
        "<Earth_Explorer_File><Earth_Explorer_Header><Fixed_Header><Mission>Sentinel-1A</Mission>"
        "<File_Type>AUX_RESORB</File_Type></Fixed_Header><Variable_Header><Ref_Frame>EARTH_FIXED</Ref_Frame>"
        "<Time_Reference>UTC</Time_Reference></Variable_Header></Earth_Explorer_Header><Data_Block>"
        f"<List_of_OSVs>{items}</List_of_OSVs></Data_Block></Earth_Explorer_File>"
    )
