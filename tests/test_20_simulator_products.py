"""Simulated products: names, manifest, annotation, special cases; and readers written by others."""

from __future__ import annotations

import binascii
import hashlib
import re
import struct
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import realdata
from simulated import SMALL, index_of, member, member_name, small_archive, small_truth, zip_of

from satdaemon.domain import ORBIT_S, Burst
from satdaemon.simulator.instrument import LINE_INTERVAL_S

NAME = re.compile(r"^S1[AB]_IW_SLC__1SSV_\d{8}T\d{6}_\d{8}T\d{6}_\d{6}_[0-9A-F]{6}_[0-9A-F]{4}$")
ABSENT = {
    # Interference annotation and its switch exist in newer products only; readers here use neither.
    "rfi",
}


def annotation(index: int, swath: str = "IW1", which: int = 0) -> ET.Element:
    return ET.fromstring(member(zip_of(index, which), "annotation", swath))


def text(root: ET.Element, path: str) -> str:
    found = root.findtext(path)
    assert found is not None, path
    return found


def test_names_are_esa_s_and_end_in_the_manifest_s_crc() -> None:
    for path in sorted((small_archive() / "archive" / "T132").iterdir()):
        assert NAME.match(path.stem), path.name
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert all(n.startswith(f"{path.stem}.SAFE/") for n in names)
            content = archive.read(f"{path.stem}.SAFE/manifest.safe")
        assert f"{binascii.crc_hqx(content, 0xFFFF):04X}" == path.stem[-4:]
        orbit = int(path.stem[49:55])
        assert (orbit - (73 if path.stem[2] == "A" else 27)) % 175 + 1 == 132


def test_manifest_lists_every_file_with_size_and_checksum() -> None:
    path = zip_of(0)
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read(f"{path.stem}.SAFE/manifest.safe"))
        listed = {}
        for item in root.iter("byteStream"):
            href = item.find("fileLocation").get("href").removeprefix("./")
            listed[href] = (int(item.get("size")), item.findtext("checksum"))
        for href, (size, digest) in listed.items():
            content = archive.read(f"{path.stem}.SAFE/{href}")
            assert len(content) == size
            assert hashlib.md5(content, usedforsecurity=False).hexdigest() == digest
        inside = {n.split("/", 1)[1] for n in archive.namelist() if not n.endswith("/")}
    assert inside - set(listed) == {"manifest.safe"}
    space = "{http://www.esa.int/safe/sentinel-1.0}"
    assert root.find(f".//{space}relativeOrbitNumber").text == "132"
    assert root.find(f".//{space}startTime").text.startswith("2021-04-04T17:50:2")


def test_measurement_is_complex_int16_with_control_points_and_right_offsets() -> None:
    path = zip_of(0)
    name, content = member_name(path, "measurement", "IW2"), member(path, "measurement", "IW2")
    root = annotation(0, "IW2")
    with rasterio.open(f"/vsizip/{path}/{name}") as file:
        assert file.dtypes == ("complex_int16",)
        points, crs = file.gcps
        assert crs.to_epsg() == 4326
        grid = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
        assert len(points) == len(grid)
        samples = file.read(1)
    assert samples.shape == (int(text(root, ".//numberOfLines")), int(text(root, ".//numberOfSamples")))
    lines = int(text(root, "swathTiming/linesPerBurst"))
    for k, burst in enumerate(root.findall("swathTiming/burstList/burst")):
        first = np.array(burst.findtext("firstValidSample").split(), int)
        last = np.array(burst.findtext("lastValidSample").split(), int)
        row = int(np.argmax(first >= 0)) + 5
        offset = int(burst.findtext("byteOffset")) + 4 * row * samples.shape[1] + 4 * first[row]
        real, imaginary = struct.unpack_from("<2h", content, offset)
        assert samples[k * lines + row, first[row]] == real + 1j * imaginary != 0
        block = samples[k * lines : (k + 1) * lines]
        columns = np.arange(block.shape[1])
        valid = (first[:, None] >= 0) & (columns >= first[:, None]) & (columns <= last[:, None])
        assert not block[~valid].any()
        assert (block[valid] == 0).mean() < 0.02


def test_timing_follows_the_rules_of_bursts() -> None:
    starts = {}
    for swath in SMALL.swath_names:
        root = annotation(0, swath)
        node = datetime.fromisoformat(text(root, ".//ascendingNodeTime"))
        for burst in root.findall("swathTiming/burstList/burst"):
            time = datetime.fromisoformat(burst.findtext("azimuthTime"))
            anx = float(burst.findtext("azimuthAnxTime"))
            assert (time - node) / timedelta(seconds=1) == pytest.approx(anx, abs=1e-6)
            identifier = int(burst.findtext("burstId"))
            starts[swath, identifier] = anx
            offset = {"IW1": -1.114, "IW2": -0.167}[swath]
            nominal = (identifier - 1) * 2.758273 + 2.299849 - 131 * ORBIT_S + offset
            assert anx == pytest.approx(nominal, abs=0.12)
            sensing = (datetime.fromisoformat(burst.findtext("sensingTime")) - node) / timedelta(seconds=1)
            if swath == "IW2":
                assert identifier == 1 + int((sensing + 131 * ORBIT_S - 2.299849) // 2.758273)
    values = np.array(sorted(starts.values()))
    lines = (values - values[0]) / LINE_INTERVAL_S
    assert np.abs(lines - np.round(lines)).max() < 1e-3, "one line grid for all bursts of a date"
    for swath in SMALL.swath_names:
        steps = np.diff([v for (s, _), v in sorted(starts.items()) if s == swath])
        np.testing.assert_allclose(steps, 2.758273, atol=LINE_INTERVAL_S)


def test_ids_of_one_burst_differ_by_at_most_one_between_dates() -> None:
    ids = [[Burst.parse_id(b)[1] for b in d["burst_ids"]["IW1"]] for d in small_truth().document["dates"]]
    spread = np.ptp(np.array([i[0] for i in ids]))
    assert spread == 1


def test_state_vectors_agree_with_the_precise_orbit_to_centimetres() -> None:
    root = annotation(0)
    folder = small_archive() / "orbits"
    (path,) = folder.glob("S1A_OPER_AUX_POEORB*V20210403T*.EOF")
    vectors = {o.findtext("UTC")[4:]: o for o in ET.parse(path).getroot().iter("OSV")}
    times = np.array(sorted(vectors), "datetime64[us]")
    for orbit in root.findall("generalAnnotation/orbitList/orbit")[4:8]:
        at = np.datetime64(orbit.findtext("time"), "us")
        k = int(np.searchsorted(times, at))
        near = [vectors[str(t)] for t in times[k - 4 : k + 4]]
        seconds = (times[k - 4 : k + 4] - at) / np.timedelta64(1, "s")
        position = np.array([[float(o.findtext(c)) for c in "XYZ"] for o in near])
        interpolated = np.array([np.polynomial.polynomial.polyfit(seconds, position[:, c], 7)[0] for c in range(3)])
        told = np.array([float(orbit.findtext(f"position/{c}")) for c in "xyz"])
        assert 1e-4 < np.linalg.norm(interpolated - told) < 0.3


@pytest.mark.realdata
def test_annotation_has_every_element_of_a_real_one() -> None:
    archive = realdata.data_dir() / "isce2_pair_t108_2025" / "packaging.tar.xz"
    wanted = ("iw1-slc-vv-20250406t022009", "manifest.safe")
    kinds: dict[str, ET.Element] = {}
    with tarfile.open(archive) as tar:
        for info in tar:
            if "20250406T022008" in info.name and info.isfile() and any(w in info.name for w in wanted):
                name = Path(info.name).name
                if name.startswith("rfi-") or name.endswith(".tiff"):
                    continue
                kind = name.split("-")[0] if name != "manifest.safe" else name
                kinds["annotation" if kind == "s1a" else kind] = ET.fromstring(tar.extractfile(info).read())
    assert set(kinds) == {"annotation", "calibration", "noise", "manifest.safe"}
    path = zip_of(0)
    for kind, real in kinds.items():
        if kind == "manifest.safe":
            with zipfile.ZipFile(path) as archive_file:
                ours = ET.fromstring(archive_file.read(f"{path.stem}.SAFE/{kind}"))
        else:
            ours = ET.fromstring(member(path, kind, "IW1"))
        missing = {p for p in paths(real) - paths(ours) if not any(a in p.lower() for a in ABSENT)}
        allowed = PROVENANCE if kind == "manifest.safe" else set()
        assert {p for p in missing if not any(p.startswith(a) for a in allowed)} == set()
        assert {p for p in paths(ours) - paths(real) if "[" not in p} == set()


PROVENANCE = {
    # What the ground segment tells of its raw data has no counterpart in a simulation.
    "XFDU/metadataSection/metadataObject/metadataWrap/xmlData/processing/resource/processing/resource/processing",
}


def paths(root: ET.Element) -> set[str]:
    found: set[str] = set()

    def walk(node: ET.Element, above: str) -> None:
        here = f"{above}/{bare(node.tag)}" if above else bare(node.tag)
        found.add(here)
        found.update(f"{here}@{bare(a)}" for a in node.attrib)
        for child in node:
            walk(child, here)

    walk(root, "")
    return found


def bare(tag: str) -> str:
    return tag.split("}")[-1]


def test_special_cases_are_what_truth_says() -> None:
    truth = small_truth().document
    missing = annotation(index_of("missing_burst"), "IW2")
    assert len(missing.findall("swathTiming/burstList/burst")) == SMALL.bursts - 1
    assert len(annotation(index_of("missing_burst"), "IW1").findall("swathTiming/burstList/burst")) == SMALL.bursts

    split = truth["dates"][index_of("split")]
    ids = [[b.findtext("burstId") for b in annotation(index_of("split"), "IW1", k).iter("burst")] for k in (0, 1)]
    assert len(split["products"]) == 2
    assert ids == [[str(SMALL.first_burst + k) for k in part] for part in ((0, 1), (1, 2))]

    double = truth["dates"][index_of("duplicate")]
    assert len(double["products"]) == 2
    assert double["products"][0][:62] == double["products"][1][:62]
    times = {p: processing_time(small_archive() / "archive" / "T132" / f"{p}.zip") for p in double["products"]}
    assert min(times, key=times.get) == double["outdated"]

    bad = zip_of(index_of("corrupt"))
    with zipfile.ZipFile(bad) as archive:
        assert archive.testzip() == truth["dates"][index_of("corrupt")]["corrupt_member"]
        ET.fromstring(archive.read(f"{bad.stem}.SAFE/manifest.safe"))
    with zipfile.ZipFile(zip_of(0)) as archive:
        assert archive.testzip() is None


def processing_time(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read(f"{path.stem}.SAFE/manifest.safe"))
    return root.find(".//{http://www.esa.int/safe/sentinel-1.0}processing").get("stop")


def test_fatal_cases_leave_the_first_and_the_middle_dates_alone() -> None:
    truth = small_truth().document["dates"]
    fatal = {"corrupt", "no_orbit", "resorb_only"}
    assert all(not fatal & set(d["cases"]) for d in truth[: 2 * len(truth) // 3])


def test_orbit_files_are_found_and_read_by_sentineleof() -> None:
    from eof.parsing import parse_orbit
    from eof.products import SentinelOrbit

    folder = small_archive() / "orbits"
    files = [SentinelOrbit(p.name) for p in folder.glob("*.EOF")]
    for k, record in enumerate(small_truth().document["dates"]):
        path = zip_of(k)
        start = datetime.strptime(path.stem[17:32], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        stop = start + timedelta(seconds=12)
        covering = {
            f.orbit_type
            for f in files
            if f.mission == record["platform"]
            and aware(f.start_time) <= start - timedelta(seconds=ORBIT_S + 60)
            and aware(f.stop_time) >= stop + timedelta(seconds=60)
        }
        expected = {"precise", "restituted"}
        if "resorb_only" in record["cases"]:
            expected = {"restituted"}
        if "no_orbit" in record["cases"]:
            expected = set()
        assert covering == expected
    (path,) = folder.glob("S1A_OPER_AUX_RESORB*V20210404T*.EOF")
    vectors = parse_orbit(path, datetime(2021, 4, 4, 17, 50), datetime(2021, 4, 4, 17, 51), extra_osvs=2)
    assert len(vectors) >= 10
    assert 7.0e6 < np.linalg.norm(vectors[0][1:4]) < 7.15e6


def aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
