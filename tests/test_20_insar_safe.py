"""SAFE products: what is read from real ones, and what is refused."""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import tempfile
import zipfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from real_products import pair_t108, real_products
from simulated import small_archive, zip_of

from satdaemon.domain import ORBIT_S
from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar import container
from satdaemon.insar.annotation import iso_utc
from satdaemon.insar.bursts import burst_id, esa_burst_id, track_of_burst, track_of_orbit
from satdaemon.insar.container import open_container
from satdaemon.insar.safe import annotation_names, inspect, parse_xml, read_product
from satdaemon.insar.safe_probe import probe
from satdaemon.planning.bursts import match_bursts

BURST = re.compile(rb"<azimuthAnxTime>([^<]+)</azimuthAnxTime>")


@pytest.mark.realdata
def test_real_burst_ids_follow_the_rule() -> None:
    seen = 0
    for path in real_products():
        product = read_product(path)
        for swath in {b.swath for b in product.bursts}:
            bursts = [b for b in product.bursts if b.swath == swath]
            with open_container(path) as opened:
                names = annotation_names(opened.names())
                name = next(
                    n
                    for (s, p), n in names.items()
                    if (s == swath and p in product.polarisations[:1])
                    or (s == swath and (s, product.polarisations[0]) not in names)
                )
                anx = [float(t) for t in BURST.findall(opened.read(name))]
            expected = [f"{product.track}_{int(10 * (t % ORBIT_S) + 0.5)}_{swath}" for t in anx]
            assert [b.id for b in bursts] == expected
            seen += len(bursts)
    assert seen >= 110


@pytest.mark.realdata
def test_esa_ids_by_rule_equal_the_annotated_ones() -> None:
    compared = 0
    for path in real_products():
        product = read_product(path)
        with open_container(path) as opened:
            for (swath, _), name in annotation_names(opened.names()).items():
                root = parse_xml(opened, name)
                node = iso_utc(root.findtext("imageAnnotation/imageInformation/ascendingNodeTime") or "")
                for burst in root.iterfind("swathTiming/burstList/burst"):
                    if (annotated := burst.findtext("burstId")) is None:
                        continue
                    since = (iso_utc(burst.findtext("sensingTime") or "") - node).total_seconds()
                    assert esa_burst_id(since, swath, product.track, product.stop_track) == int(annotated)
                    compared += 1
    assert compared >= 130


@pytest.mark.realdata
def test_real_footprints_tile_the_product() -> None:
    path, _ = pair_t108()
    product = read_product(path)
    outline = shapely.Polygon(product.footprint).buffer(0.05)
    polygons = [shapely.Polygon(b.footprint) for b in product.bursts]
    assert all(p.is_valid and outline.contains(p) for p in polygons)
    for one, two in zip(product.bursts, product.bursts[1:], strict=False):
        if one.swath == two.swath:
            a, b = shapely.Polygon(one.footprint), shapely.Polygon(two.footprint)
            assert 0.03 < a.intersection(b).area / a.area < 0.2
    assert shapely.union_all(polygons).area > 0.9 * shapely.Polygon(product.footprint).area


@pytest.mark.realdata
def test_two_real_dates_match_burst_by_burst() -> None:
    first, second = (read_product(p).domain_bursts() for p in pair_t108())
    matches = match_bursts(first, second)
    assert len(matches) == 27
    esa = {b.id: b.esa_id for b in second}
    assert all(esa[matches[b.id]] == b.esa_id for b in first)


@pytest.mark.realdata
def test_real_product_facts() -> None:
    product = read_product(next(p for p in real_products() if "20200511T135117" in p.name))
    assert (product.platform, product.absolute_orbit, product.track, product.orbit_direction) == ("S1A", 32518, 71, "D")
    assert product.proc_utc == datetime(2020, 5, 11, 15, 51, 2, tzinfo=UTC)
    assert product.polarisations == ("vv", "vh") and len(product.bursts) == 27
    assert product.acquisition == product.id[:62] and product.to_scene().track == 71
    assert product.missing_files == ()


@pytest.mark.realdata
def test_cut_down_products_say_what_is_missing() -> None:
    product = read_product(next(p for p in real_products() if "20221016" in p.name))
    assert len(product.bursts) == 9 and "IW2" in product.bursts[0].id
    assert any(name.startswith("annotation/s1a-iw1") for name in product.missing_files)


def test_inspect_is_json() -> None:
    document = json.loads(json.dumps(inspect(zip_of(0))))
    assert document["orbit"]["track"] == 132
    burst = document["bursts"][0]
    assert {"id", "esa_id", "anx", "swath", "footprint"} <= set(burst) and len(burst["footprint"]) == 4


@pytest.mark.parametrize(
    ("anx_s", "tracks", "expected"),
    [
        (860.26, (132, 132), "132_8603_IW1"),
        (ORBIT_S - 1.0, (174, 175), "174_59236_IW1"),
        (ORBIT_S + 2.0, (174, 175), "175_20_IW1"),
        (ORBIT_S + 2.0, (175, 175), "175_20_IW1"),
        (ORBIT_S + 2.0, (175, 1), "1_20_IW1"),
    ],
)
def test_bursts_past_one_orbit(anx_s: float, tracks: tuple[int, int], expected: str) -> None:
    assert burst_id(track_of_burst(anx_s, *tracks), anx_s, "IW1") == expected


def test_tracks_of_the_satellites() -> None:
    assert track_of_orbit("S1A", 32518) == 71
    assert track_of_orbit("S1B", 26269) == 168
    assert track_of_orbit("S1C", 8018) == (8018 - 172) % 175 + 1
    assert track_of_orbit("S1C", 8019) == (8019 - 99) % 175 + 1
    with pytest.raises(ValueError, match="S1X"):
        track_of_orbit("S1X", 1)


def _copy(source: Path, target: Path, change: dict[str, bytes | None], extra: dict[str, bytes] | None = None) -> Path:
    """A zip like `source` without measurement; members whose name ends with a key are replaced or left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            key = next((k for k in change if info.filename.endswith(k)), None)
            content = old.read(info) if key is None and "measurement" not in info.filename else change.get(key or "")
            if content is not None:
                new.writestr(info.filename, content)
        for name, content in (extra or {}).items():
            new.writestr(name, content)
    return target


def test_truncated_zip(tmp_path: Path) -> None:
    source = zip_of(0)
    cut = tmp_path / source.name
    cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(CorruptProduct, match="not a complete zip"):
        read_product(cut)


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil", "a\\b", "C:/evil"])
def test_unsafe_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorruptProduct, match="unsafe"):
        read_product(_copy(zip_of(0), tmp_path / zip_of(0).name, {}, {name: b"x"}))


def test_bomb(tmp_path: Path) -> None:
    bomb = b"<product>" + b" " * 40_000_000 + b"</product>"
    with pytest.raises(CorruptProduct, match="unpacks from"):
        read_product(_copy(zip_of(0), tmp_path / "x.zip", {"manifest.safe": bomb}))


def test_overlapping_members(tmp_path: Path) -> None:
    """Many names for one packed member: a bomb that no ratio shows."""
    path = _copy(zip_of(0), tmp_path / "x.zip", {})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("big.bin", random.Random(0).randbytes(200_000))
        big = archive.getinfo("big.bin")
        for k in range(40):
            twin = copy.copy(big)
            twin.filename = f"big{k}.bin"
            archive.filelist.append(twin)
    with pytest.raises(CorruptProduct, match="members overlap"):
        read_product(path)


def test_encrypted_members(tmp_path: Path) -> None:
    path = _copy(zip_of(0), tmp_path / "x.zip", {})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1  # general purpose bit flag, APPNOTE.TXT 4.3.12
    path.write_bytes(content)
    with pytest.raises(CorruptProduct, match="is encrypted"):
        read_product(path)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_huge_table_of_contents_is_not_read(tmp_path: Path, zip64: bool) -> None:
    path = tmp_path / "x.zip"
    size = 0xFFFFFFFF if zip64 else 2**30
    end = struct.pack("<4s4HIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0)
    large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**24, 2**24, 2**33, 0) if zip64 else b""
    path.write_bytes(bytes(1000) + large + end)
    with pytest.raises(CorruptProduct, match="table of contents has"):
        read_product(path)


def test_total_size_and_number_of_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _copy(zip_of(0), tmp_path / "x.zip", {})
    with monkeypatch.context() as patch:
        patch.setattr(container, "MAX_TOTAL_BYTES", 1000)
        with pytest.raises(CorruptProduct, match="would unpack to"):
            read_product(path)
    monkeypatch.setattr(container, "MAX_MEMBERS", 3)
    with pytest.raises(CorruptProduct, match="members; a product has fewer"):
        read_product(path)


@given(st.binary(max_size=300), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_any_damage_is_a_clear_error_or_none(noise: bytes, place: int) -> None:
    """Bytes overwritten anywhere, the table of contents included: refused with a reason, or read."""
    content = bytearray(_bare_zip())
    at = place % len(content)
    content[at : at + len(noise)] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.zip"
        path.write_bytes(content)
        found = probe(path, checksum=False, settle_s=0)
    assert (found.product is None) == bool(found.problem)
    assert found.product is not None or str(path) in found.problem


@cache
def _bare_zip() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return _copy(zip_of(0), Path(folder) / "bare.zip", {}).read_bytes()


def test_entity_trick(tmp_path: Path) -> None:
    trick = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with pytest.raises(CorruptProduct, match="not acceptable XML"):
        read_product(_copy(zip_of(0), tmp_path / "x.zip", {"manifest.safe": trick}))


def test_missing_manifest_and_annotation(tmp_path: Path) -> None:
    with pytest.raises(CorruptProduct, match=r"manifest\.safe"):
        read_product(_copy(zip_of(0), tmp_path / "a.zip", {"manifest.safe": None}))
    with pytest.raises(CorruptProduct, match="no annotation"):
        read_product(_copy(zip_of(0), tmp_path / "b.zip", {".xml": None}))
    with pytest.raises(DataError, match="found nothing"):
        read_product(tmp_path / "none.zip")
    with pytest.raises(CorruptProduct, match=r"manifest\.safe"):
        read_product(tmp_path)


def test_other_product_under_the_name(tmp_path: Path) -> None:
    wrong = tmp_path / zip_of(1).name
    wrong.write_bytes(zip_of(0).read_bytes())
    with pytest.raises(CorruptProduct, match="not the product of its name"):
        read_product(wrong)


def test_ground_range_product_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "S1A_IW_GRDH_1SDV_20200511T135117_20200511T135144_032518_03C421_7768.SAFE"
    path.mkdir()
    (path / "manifest.safe").write_text("<x/>")
    with pytest.raises(DataError, match="IW SLC"):
        read_product(path)


def test_every_simulated_product_reads_fast() -> None:
    zips = sorted((small_archive() / "archive").rglob("*.zip"))
    start = datetime.now(UTC)
    for path in zips:
        assert read_product(path).track == 132
    assert (datetime.now(UTC) - start).total_seconds() < 0.5 * len(zips)
