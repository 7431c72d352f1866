"""What archives have answered becomes scenes; what is none, or is hostile, does not."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib import import_module

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from product_zips import SQUARE, START, product_name
from realdata import data_dir

from satdaemon.archive import asf, cdse
from satdaemon.archive.found import Finds, Listed, NotListed, footprint_of, moment
from satdaemon.archive.product import track_of

NAME = product_name()
URL = f"https://datapool.asf.alaska.edu/SLC/SA/{NAME}.zip"
UNIQUE = "0123abcd-0000-4000-8000-0123456789ab"


def feature(**more) -> Listed:
    """A product of asf-search's GeoJSON, with changes."""
    properties = {
        "sceneName": NAME,
        "processingLevel": "SLC",
        "beamModeType": "IW",
        "startTime": "2023-01-08T13:52:49.250Z",
        "stopTime": "2023-01-08T13:53:16.750Z",
        "pathNumber": 71,
        "flightDirection": "DESCENDING",
        "url": URL,
        "bytes": 4_000_000_000,
        "md5sum": "AB" * 16,
        "processingDate": "2023-01-08T13:52:49.250Z",
    }
    geometry = more.pop("geometry", {"type": "Polygon", "coordinates": [[list(c) for c in (*SQUARE, SQUARE[0])]]})
    return asf.listed({**properties, **more}, geometry)


def entry(**more) -> Listed:
    """An entry of the Copernicus catalogue, with changes; `attributes` are changed one by one."""
    attributes = {
        "relativeOrbitNumber": 71,
        "orbitDirection": "DESCENDING",
        "processingDate": "2023-01-08T15:52:25.000000Z",
        **more.pop("attributes", {}),
    }
    value = {
        "Id": UNIQUE,
        "Name": f"{NAME}.SAFE",
        "ContentLength": 4_000_000_000,
        "PublicationDate": "2023-01-08T18:00:00.000000Z",
        "ContentDate": {"Start": "2023-01-08T13:52:49.250000Z", "End": "2023-01-08T13:53:16.750000Z"},
        "Checksum": [{"Value": "cd" * 32, "Algorithm": "BLAKE3"}, {"Value": "AB" * 16, "Algorithm": "MD5"}],
        "GeoFootprint": {"type": "Polygon", "coordinates": [[list(c) for c in (*SQUARE, SQUARE[0])]]},
        "Attributes": [{"Name": k, "Value": v} for k, v in attributes.items()],
        **more,
    }
    return cdse.listed(value)


# recorded answers


@cache
def recorded_features(name: str) -> Finds:
    finds = Finds()
    for each in json.loads((data_dir() / "search_api" / "s1_frame_enumerator" / name).read_text()):
        finds.add(asf.listed(each["properties"], each["geometry"]))
    return finds


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "scenes", "duplicates", "tracks"),
    [
        ("CA-subset_2021-09-14_asf_results.json", 2, 1, {64: 2}),
        ("frame_13403_asf_results.json", 448, 0, {86: 298, 87: 150}),
        ("frame_13404_asf_results.json", 225, 0, {87: 225}),
        ("frame_9847_asf_results.json", 496, 0, {64: 496}),
        ("frame_9848_asf_results.json", 654, 0, {64: 654}),
    ],
)
def test_recorded_answers_of_asf(name: str, scenes: int, duplicates: int, tracks: dict[int, int]) -> None:
    finds = recorded_features(name)
    all_of_it = [each.scene for each in finds.listed.values()]
    assert (len(all_of_it), finds.duplicates, sum(finds.skipped.values())) == (scenes, duplicates, 0)
    assert Counter(s.track for s in all_of_it) == tracks and {s.orbit_direction for s in all_of_it} == {"A"}
    assert all(s.track == track_of(s.platform, s.absolute_orbit) for s in all_of_it)
    assert all(s.size and 1e9 < s.size < 1.2e10 and s.checksum and len(s.checksum) == 36 for s in all_of_it)
    assert {s.proc_utc for s in all_of_it} == {None}, "the archive gives the start of sensing in its place"
    assert {len(each.footprint) for each in finds.listed.values()} <= {4, 5, 6, 7, 8}


@pytest.mark.realdata
def test_a_recorded_scene_of_asf_in_full() -> None:
    listed = recorded_features("CA-subset_2021-09-14_asf_results.json").listed[
        "S1A_IW_SLC__1SDV_20210915T015012_20210915T015041_039686_04B155_1D7D"
    ]
    scene = listed.scene
    assert (scene.size, scene.checksum) == (4664399101, "md5:3e3e432e9beb2dc7c96b1acfa160ca5c")
    assert scene.start_utc == datetime(2021, 9, 15, 1, 50, 12, 165000, UTC) and scene.absolute_orbit == 39686
    assert scene.url == f"https://datapool.asf.alaska.edu/SLC/SA/{scene.id}.zip"
    assert listed.footprint == (
        (-118.832741, 33.983501), (-118.418472, 32.186947), (-115.774376, 32.588387), (-116.131279, 34.382645),
    )  # fmt: skip


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "scenes", "skipped"),
    [
        ("Fairbanks_SLC.yml", 1, 0),
        ("Fairbanks_S1_stack.yml", 3, 0),
        ("S1_response.yml", 0, 1),
        ("Alos_response.yml", 0, 1),
        ("JERS.yml", 0, 1),
        ("OPERA_Products.yml", 0, 4),
        ("SLC_BURST.yml", 0, 1),
    ],
)
def test_recorded_entries_of_cmr_read_by_asf_search(name: str, scenes: int, skipped: int) -> None:
    asf._library()
    read = import_module("asf_search.search.search_generator").as_ASFProduct
    session = import_module("asf_search").ASFSession()
    with tarfile.open(data_dir() / "search_api" / "asf_search" / "resources.tar.xz") as tar:
        file = tar.extractfile(f"yml_tests/Resources/{name}")
        assert file is not None
        documents = yaml.safe_load(file)
    finds = Finds()
    for document in documents if isinstance(documents, list) else [documents]:
        product = read({"umm": document["umm"], "meta": document["meta"]}, session)
        try:
            finds.add(asf.listed(product.properties, product.geometry, product.umm, product.meta))
        except NotListed as reason:
            finds.skip(str(reason))
    assert (len(finds.listed), sum(finds.skipped.values())) == (scenes, skipped)
    if name == "Fairbanks_SLC.yml":
        (listed,) = finds.listed.values()
        assert listed.scene.start_utc == datetime(2021, 1, 2, 3, 20, 31, 92706, UTC), "not cut to whole seconds"
        assert (listed.scene.size, listed.scene.checksum) == (4193723581, "md5:6dd7f6a56ed98ba7037dfeb833217d5b")
        assert (listed.scene.track, listed.scene.orbit_direction, listed.scene.proc_utc) == (94, "A", None)
        assert listed.published_utc == datetime(2023, 6, 16, 3, 4, 36, 493000, UTC)


@cache
def recorded_pages() -> tuple[dict, ...]:
    folder = data_dir() / "search_api" / "cdsetool_odata"
    return tuple(json.loads((folder / f"odata_page_{k}.json").read_text()) for k in range(1, 6))


@pytest.mark.realdata
def test_recorded_pages_of_the_copernicus_catalogue() -> None:
    """They hold auxiliary files only: none is a scene, and each says so."""
    entries = [each for page in recorded_pages() for each in page["value"]]
    reasons = Counter()
    for each in entries:
        with pytest.raises(NotListed) as caught:
            cdse.listed(each)
        reasons[str(caught.value)] += 1
    assert reasons == {"no IW SLC product by its name": 47} and recorded_pages()[0]["@odata.count"] == 47


@pytest.mark.realdata
def test_a_recorded_entry_that_is_made_a_scene() -> None:
    """Its id, size, checksums and dates of publication are read as they stand."""
    recorded = recorded_pages()[0]["value"][0]
    assert recorded["Checksum"][1]["Algorithm"] == "BLAKE3"
    got = entry(**{k: recorded[k] for k in ("Id", "ContentLength", "Checksum", "PublicationDate")})
    assert (got.scene.size, got.scene.checksum) == (728976, "md5:23383d85c5231487ce13d1c10aeb8e7b")
    assert got.scene.url == f"https://download.dataspace.copernicus.eu/odata/v1/Products({recorded['Id']})/$value"
    assert got.published_utc == datetime(2025, 7, 17, 11, 55, 7, 282635, UTC)


# made up


def test_what_an_entry_of_the_copernicus_catalogue_says() -> None:
    got = entry()
    assert (got.scene.id, got.scene.checksum, got.footprint) == (NAME, "md5:" + "ab" * 16, SQUARE)
    assert got.scene.proc_utc == datetime(2023, 1, 8, 15, 52, 25, tzinfo=UTC)


def test_a_footprint_that_is_cut_at_the_180th_meridian() -> None:
    east = [[179, -18], [180, -18], [180, -16], [179, -16], [179, -18]]
    west = [[-180, -18], [-179, -18], [-179, -16], [-180, -16], [-180, -18]]
    got = entry(GeoFootprint={"type": "MultiPolygon", "coordinates": [[east], [west]]})
    assert sorted({lon for lon, _ in got.footprint}) == [-179, 179]


@pytest.mark.parametrize("value", [None, 0, -5, "4000", 4e9, True, [], {"a": 1}])
def test_a_size_that_is_none_is_not_known(value: object) -> None:
    assert feature(bytes=value).scene.size is entry(ContentLength=value).scene.size is None


@pytest.mark.parametrize("value", [None, "", "zz" * 16, "ab" * 15, "ab" * 17, 5, ["ab" * 16], "ab" * 16 + "\n"])
def test_a_checksum_that_is_none_is_not_known(value: object) -> None:
    assert feature(md5sum=value).scene.checksum is None
    assert entry(Checksum=[{"Value": value, "Algorithm": "MD5"}]).scene.checksum is None


@pytest.mark.parametrize("value", [None, [], {}, "x", [None], [{}], [{"Algorithm": "BLAKE3", "Value": "ab" * 32}]])
def test_checksums_of_another_shape(value: object) -> None:
    assert entry(Checksum=value).scene.checksum is None


@pytest.mark.parametrize("value", [None, 0, 176, -1, "71", True, 71.0, []])
def test_a_track_that_is_none_is_that_of_the_orbit(value: object) -> None:
    assert feature(pathNumber=value).scene.track == entry(attributes={"relativeOrbitNumber": value}).scene.track == 71


@pytest.mark.parametrize(
    "name",
    [
        None,
        5,
        "",
        f"../../{NAME}",
        f"/etc/{NAME}",
        f"{NAME}/../x",
        f"{NAME}\n",
        f"{NAME}\x00",
        f"{NAME}.zip",
        NAME.replace("SLC_", "GRDH"),
        NAME.replace("S1A", "S1E"),
        NAME.replace("20230108T135249", "20239908T135249"),
        NAME.replace("046693", "٠٤٦٦٩٣"),
        "x" * 1_000_000,
    ],
)
def test_names_that_are_no_product(name: object) -> None:
    for make in (lambda: feature(sceneName=name, url=f"{URL[: URL.rindex('/')]}/{name}.zip"), lambda: entry(Name=name)):
        with pytest.raises(NotListed, match=r"name|address"):
            make()


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        f"file:///etc/{NAME}.zip",
        f"http://datapool.asf.alaska.edu/SLC/SA/{NAME}.zip",
        f"https://evil.example/{NAME}.zip",
        f"https://asf.alaska.edu.evil.example/{NAME}.zip",
        f"https://evilasf.alaska.edu/{NAME}.zip",
        f"https://user:word@datapool.asf.alaska.edu/{NAME}.zip",
        f"https://datapool.asf.alaska.edu:444/{NAME}.zip",
        f"https://datapool.asf.alaska.edu\\@evil.example/{NAME}.zip",
        f"https://datapool.asf.alaska.edu/{NAME}.zip?to=https://evil.example",
        "https://datapool.asf.alaska.edu/SLC/SA/other.zip",
        f"https://datapool.asf.alaska.edu/\r\nX: y/{NAME}.zip",
        "https://[",
    ],
)
def test_addresses_that_get_no_login(url: object) -> None:
    with pytest.raises(NotListed, match="an address that is not the archive's"):
        feature(url=url)


@pytest.mark.parametrize("unique", [None, 5, "", "x", f"{UNIQUE})/$value?", f"{UNIQUE}\n", "../../../../etc/passwd"])
def test_ids_of_the_copernicus_catalogue_that_are_none(unique: object) -> None:
    with pytest.raises(NotListed, match="no id"):
        entry(Id=unique)


@pytest.mark.parametrize(
    "ring",
    [
        None,
        [],
        "abc",
        [[1, 2]] * 5,
        [[1, 2], [3, 4]],
        [[1, 2], [3, 4], [5, "x"]],
        [[1, 2], [3, 4], [5]],
        [[1, 2], [3, 91], [4, 4]],
        [[1, 2], [float("nan"), 4], [5, 6]],
        [[1, 2], [float("inf"), 4], [5, 6]],
        [[k / 7, 2] for k in range(5000)],
    ],
)
def test_footprints_that_are_none(ring: object) -> None:
    with pytest.raises(NotListed, match="footprint"):
        footprint_of(ring)
    with pytest.raises(NotListed, match="footprint"):
        entry(GeoFootprint={"type": "Polygon", "coordinates": [ring]})


@pytest.mark.parametrize(
    "value", [None, 5, "x", {"type": "Point", "coordinates": [1]}, {"type": "MultiPolygon", "coordinates": 3}]
)
def test_geometries_that_are_no_polygon(value: object) -> None:
    with pytest.raises(NotListed, match="footprint"):
        entry(GeoFootprint=value)
    with pytest.raises(NotListed, match=r"footprint|no product"):
        feature(geometry=None if not isinstance(value, dict) else {"coordinates": None})


@pytest.mark.parametrize("value", [None, "", "yesterday", 5, "2023-13-08T00:00:00Z", "2024-01-08T13:52:49Z"])
def test_times_that_are_none_or_not_those_of_the_name(value: object) -> None:
    with pytest.raises(NotListed, match="times of sensing"):
        feature(startTime=value)
    with pytest.raises(NotListed, match="times of sensing"):
        entry(ContentDate={"Start": value, "End": "2023-01-08T13:53:16.750000Z"})


@pytest.mark.parametrize("value", [None, "", "UP", 5, "ascending", []])
def test_a_direction_that_is_none(value: object) -> None:
    with pytest.raises(NotListed, match="no direction"):
        feature(flightDirection=value)


def test_moments_are_in_utc() -> None:
    assert moment("2023-01-08T14:52:49+01:00") == moment("2023-01-08T13:52:49Z") == moment("2023-01-08T13:52:49") == START
    assert moment("0001-01-01T00:00:00+23:59") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([NAME, URL, UNIQUE, "SLC"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
FIELDS = ["sceneName", "startTime", "stopTime", "pathNumber", "flightDirection", "url", "bytes", "md5sum", "geometry"]
ENTRY_FIELDS = ["Id", "Name", "ContentLength", "PublicationDate", "ContentDate", "Checksum", "GeoFootprint", "Attributes"]


def changes(fields: list[str]) -> st.SearchStrategy:
    return st.dictionaries(st.sampled_from(fields), JSON, max_size=3)


@settings(max_examples=120, deadline=None)
@given(ours=changes(FIELDS), theirs=changes(ENTRY_FIELDS))
def test_whatever_is_answered_is_a_scene_or_is_not_listed(ours: dict, theirs: dict) -> None:
    for make, fields in ((feature, ours), (entry, theirs)):
        try:
            got = make(**fields)
        except NotListed:
            continue
        assert got.scene.id == NAME and got.scene.url.endswith((f"/{NAME}.zip", "/$value")) and len(got.footprint) >= 3


@settings(max_examples=60, deadline=None)
@given(value=JSON, umm=JSON, meta=JSON)
def test_what_is_no_entry_at_all(value: object, umm: object, meta: object) -> None:
    for make in (lambda: asf.listed(value, value), lambda: cdse.listed(value)):
        with pytest.raises(NotListed):
            make()
    listed = asf.listed({**_known(), "url": URL}, {"coordinates": [[list(c) for c in SQUARE]]}, umm, meta)
    assert listed.scene.id == NAME


def _known() -> dict:
    return {
        "sceneName": NAME,
        "processingLevel": "SLC",
        "beamModeType": "IW",
        "startTime": "2023-01-08T13:52:49.250Z",
        "stopTime": "2023-01-08T13:53:16.750Z",
        "flightDirection": "DESCENDING",
    }
