"""The pieces of which a product with gaps is made: the scene's annotation in one document, bursts, their names, the zip."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import fromstring, tostring

import numpy as np
import pytest
from simulated import member, member_name, zip_of

from satdaemon.archive.forms import burst_tiff, scene_xml
from satdaemon.archive.http import Bearer
from satdaemon.archive.secrets import Secret, redacted
from satdaemon.config import DownloadSettings
from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.combined import read_combined
from satdaemon.insar.container import MAX_TEXT_BYTES, open_container
from satdaemon.insar.partial import SwathPart, check_burst, held_bursts, write_partial
from satdaemon.insar.rasters import create_radar, open_radar, write_window
from satdaemon.insar.safe import read_container, read_product

LINES, SAMPLES = 40, 30
MADE = datetime(2021, 1, 1, tzinfo=UTC)


def combined(product: Path, swaths: tuple[str, ...] = ("IW1", "IW2"), manifest: bool = True) -> str:
    """A document of a product's annotation, written by hand."""
    with zipfile.ZipFile(product) as archive:
        whole = archive.read(f"{product.stem}.SAFE/manifest.safe").decode()
    parts = []
    for swath in swaths:
        for kind in ("product", "noise"):
            root = fromstring(member(product, {"product": "annotation"}.get(kind, kind), swath))
            content = "".join(tostring(child, encoding="unicode") for child in root)
            parts.append(f"<{kind}><swath>{swath}</swath><polarisation>VV</polarisation><content>{content}</content></{kind}>")
    first = f"<manifest>{whole.partition('?>')[2]}</manifest>" if manifest else ""
    return f"<burst>{first}<metadata>{''.join(parts)}</metadata></burst>"


def burst(path: Path, value: int, lines: int = LINES, samples: int = SAMPLES, dtype: str = "complex_int16") -> Path:
    with create_radar(path, (lines, samples), dtype, tiled=False) as out:
        write_window(out, 0, 0, np.full((lines, samples), value * (1 + 2j), np.complex64))
    return path


def test_the_document_reads_as_the_product(tmp_path: Path) -> None:
    product = zip_of(0)
    path = tmp_path / "scene.xml"
    path.write_text(combined(product))
    found = read_combined(path, product.stem)
    names = {Path(member_name(product, "annotation", swath)).name for swath in ("IW1", "IW2")}
    assert {Path(name).name for name in found.names()} == {"manifest.safe", *names}
    mine, whole = read_container(found), read_product(product)
    assert mine.bursts == whole.bursts and mine.state_vectors == whole.state_vectors and mine.proc_utc == whole.proc_utc
    original = fromstring(member(product, "annotation", "IW2"))
    kept = fromstring(found.read(next(n for n in found.names() if "-iw2-" in n)))
    said = [[(one.tag, one.attrib, (one.text or "").strip()) for one in root.iter()] for root in (kept, original)]
    assert said[0] == said[1] and len(said[0]) > 100, "unchanged"
    with pytest.raises(DataError):
        found.gdal_path("measurement/x.tiff")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html><body>Please log in</body></html>", "one without manifest"),
        ("<burst><metadata>", "no element found"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><burst>&a;</burst>', "EntitiesForbidden"),
        ("no document", "syntax error"),
        ("{whole}", "one without manifest"),
    ],
)
def test_no_document_of_a_scene(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scene.xml"
    path.write_text(combined(zip_of(0), manifest=False) if text == "{whole}" else text)
    with pytest.raises(CorruptProduct, match=words):
        read_combined(path, zip_of(0).stem)


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "scene.xml"
    with path.open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(CorruptProduct, match="allowed are"):
        read_combined(path, zip_of(0).stem)


def test_a_product_with_gaps(tmp_path: Path) -> None:
    product = zip_of(0)
    path, target = tmp_path / "scene.xml", tmp_path / f"{product.stem}.zip"
    path.write_text(combined(product))
    text = read_combined(path, product.stem)
    name = next(n for n in text.names() if "-iw1-" in n)
    place = burst(tmp_path / "b.tiff", 7)
    part = SwathPart(name, "IW1", "vv", 9, LINES, SAMPLES, {4: place})
    write_partial(target, text, [part], tmp_path, MADE)
    with open_container(target) as container:
        assert held_bursts(container) == {("IW1", "vv"): frozenset({4})}
        assert read_container(container).bursts == read_product(product).bursts
        with open_radar(container.gdal_path(part.measurement)) as source:
            pixels = source.read(1)
    assert pixels.shape == (9 * LINES, SAMPLES)
    assert np.all(pixels[4 * LINES : 5 * LINES] == 7 + 14j) and not pixels[: 4 * LINES].any() and not pixels[5 * LINES :].any()
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        stored = next(info for info in archive.infolist() if info.filename.endswith(part.measurement)).file_size
    assert stored < 2 * place.stat().st_size + 9 * LINES * 16, "nothing is stored of what is not there"
    again = tmp_path / "again.zip"
    write_partial(again, text, [part], tmp_path, MADE)
    assert again.read_bytes() == target.read_bytes()


def test_a_whole_product_lists_no_bursts() -> None:
    with open_container(zip_of(0)) as container:
        assert held_bursts(container) is None


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    product = zip_of(0)
    target = tmp_path / product.name
    target.write_bytes(product.read_bytes())
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(f"{product.stem}.SAFE/bursts.json", "[1]")
    with open_container(target) as container, pytest.raises(CorruptProduct, match="expected the bursts that it holds"):
        held_bursts(container)


def test_what_is_no_burst(tmp_path: Path) -> None:
    good = burst(tmp_path / "good.tiff", 3)
    check_burst(good, LINES, SAMPLES)
    for other in (
        burst(tmp_path / "lines.tiff", 3, lines=LINES + 1),
        burst(tmp_path / "samples.tiff", 3, samples=SAMPLES - 1),
        burst(tmp_path / "type.tiff", 3, dtype="complex64"),
    ):
        with pytest.raises(CorruptProduct, match="as annotated, got GTiff"):
            check_burst(other, LINES, SAMPLES)
    cut = tmp_path / "cut.tiff"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size - 500])
    with pytest.raises(CorruptProduct, match="lacks some of its lines"):
        check_burst(cut, LINES, SAMPLES)
    (tmp_path / "none.tiff").write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(CorruptProduct, match="not a readable raster"):
        check_burst(tmp_path / "none.tiff", LINES, SAMPLES)


def test_another_burst_is_known_by_its_name() -> None:
    scene = "S1A_IW_SLC__1SDV_20200604T022251_20200604T022318_032861_03CE65_7C85"
    form = burst_tiff(1000, scene, "IW2", "vv", datetime(2020, 6, 4, 2, 23, 12, 933000, UTC))
    assert not form.is_another("S1_136231_IW2_20200604T022312_VV_7C85-BURST.tiff")
    assert not form.is_another("") and not form.is_another("7.tiff"), "names of another kind say nothing"
    for name in ("IW1_20200604T022312_VV_7C85", "IW2_20200604T022315_VV_7C85", "IW2_20200604T022310_VV_7C85",
                 "IW2_20200604T022312_VH_7C85", "IW2_20200604T022312_VV_7C86"):  # fmt: skip
        assert form.is_another(f"S1_136231_{name}-BURST.tiff"), name
    assert form.fits(b"II*\0rest") and form.fits(b"MM") and not form.fits(b"PK\3\4") and not form.fits(b"<html>")
    assert scene_xml(10).fits(b"<?xml") and not scene_xml(10).fits(b"II*\0")


def test_a_cookie_goes_where_the_token_goes_and_is_not_shown() -> None:
    bearer = Bearer(Secret("token-of-somebody"), ("127.0.0.1:1",), Secret("asf-urs=value-of-a-cookie"))
    assert bearer.headers() == {"Authorization": "Bearer token-of-somebody", "Cookie": "asf-urs=value-of-a-cookie"}
    assert "value-of" not in repr(bearer) and "value-of" not in redacted("sent asf-urs=value-of-a-cookie to it")


@pytest.mark.parametrize(
    ("archives", "order"),
    [
        (("cdse", "asf"), ("asf", "cdse")),
        (("local", "cdse", "asf"), ("local", "asf", "cdse")),
        (("asf", "local"), ("asf", "local")),
        (("cdse",), ("cdse",)),
    ],
)
def test_whose_session_a_download_takes(archives: tuple[str, ...], order: tuple[str, ...]) -> None:
    assert DownloadSettings(archives=archives, bursts_only=True).order == order
    assert DownloadSettings(archives=archives).order == archives
