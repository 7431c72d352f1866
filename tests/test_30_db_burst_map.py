"""A global burst map into the catalogue: ids by the rule, nothing doubled, nothing changed by a second run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from real_products import real_products
from realdata import data_dir

from satdaemon.db import Burst, Database
from satdaemon.db.burst_map import load_burst_map, source
from satdaemon.db.bursts import insert_bursts, to_value
from satdaemon.db.files import enter
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import CorruptProduct, RequestError
from satdaemon.insar.bursts import BURSTS_PER_REPEAT, place_of_esa_id, track_of_esa_id
from satdaemon.insar.safe import read_product
from satdaemon.planning.bursts import anx_difference

FIRST = 281_691
"""ESA id near 132_8603_IW1."""


def square(k: int, swath: int = 1) -> shapely.Polygon:
    """About the size of a burst."""
    lon, lat = -2.0 + 0.9 * swath, 52.0 + 0.18 * (k - FIRST)
    return shapely.box(lon, lat, lon + 1.3, lat + 0.2)


def esa_rows(count: int = 4, swaths: Sequence[int] = (1, 2, 3)) -> list[dict[str, Any]]:
    """Rows as ESA publishes them."""
    return [
        {"burst_id": FIRST + k, "subswath_name": f"IW{s}", "relative_orbit_number": 132, "orbit_pass": "ASCENDING",
         "time_from_anx_sec": 860.0, "geometry": square(FIRST + k, s)}
        for k in range(count)
        for s in swaths
    ]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]], *, crs: str = "EPSG:4326") -> Path:
    """Rows as a file of the format that the name says."""
    fields = [name for name in rows[0] if name != "geometry"]
    wkb = shapely.to_wkb([row["geometry"] for row in rows])
    if path.suffix == ".parquet":
        columns = {name: [row[name] for row in rows] for name in fields} | {"geometry": list(wkb)}
        pq.write_table(pa.table(columns), path)
        return path
    columns = [np.array([row[name] for row in rows], dtype=object if isinstance(rows[0][name], str) else None) for name in fields]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a shapefile's names are cut: meant
        pyogrio.raw.write(path, np.array(wkb, dtype=object), columns, fields, geometry_type="Polygon", crs=crs)
    return path


@given(esa_id=st.integers(1, BURSTS_PER_REPEAT), swath=st.integers(1, 3))
def test_the_rule_stays_within_one_orbit_and_agrees_with_esas_track(esa_id: int, swath: int) -> None:
    (track,), (anx,) = place_of_esa_id(np.array([esa_id]), np.array([swath]))
    (said,) = track_of_esa_id(np.array([esa_id]))
    assert 1 <= track <= 175 and 0 <= anx <= 59246
    assert track == said or min(anx, 59246 - anx) < 12


@pytest.mark.realdata
def test_the_rule_agrees_with_real_annotation() -> None:
    compared = 0
    for path in real_products():
        bursts = read_product(path).bursts
        track, anx = place_of_esa_id(np.array([b.esa_id for b in bursts]), np.array([int(b.swath[-1]) for b in bursts]))
        for burst, t, a in zip(bursts, track, anx, strict=True):
            assert (burst.track, abs(anx_difference(burst.anx, int(a))) <= 3) == (t, True), burst.id
            compared += 1
    assert compared >= 100


@pytest.mark.realdata
def test_the_rule_agrees_with_the_prediction_of_the_real_map() -> None:
    columns = ["burst_id", "swath", "track", "anx_ds_pred"]
    table = pq.read_table(data_dir() / "burst_map_global" / "esa_iw_bursts_2022.parquet", columns=columns)
    swath = pc.utf8_slice_codeunits(table["swath"].cast(pa.string()), 2, 3).cast(pa.int64()).to_numpy()
    track, anx = place_of_esa_id(table["burst_id"].to_numpy().astype(np.int64), swath)
    said, predicted = table["track"].to_numpy(), table["anx_ds_pred"].to_numpy()
    inside = (predicted > 0) & (predicted < 59245)
    assert len(said) == 1_100_336 and (~inside).sum() < 200
    np.testing.assert_array_equal(track[inside], said[inside])
    np.testing.assert_array_equal(anx[inside], predicted[inside])
    assert len(np.unique((track * 4 + swath) * 65536 + anx)) == len(track)


@pytest.mark.parametrize("name", ["map.parquet", "map.gpkg", "map.shp", "map.geojson", "map.fgb"])
def test_every_format_gives_the_same_bursts_and_a_second_run_changes_nothing(
    database: Database, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, esa_rows())
    calls: list[tuple[int, int]] = []
    report = load_burst_map(database, path, batch=5, progress=lambda done, total: calls.append((done, total)))
    assert (report.rows, report.added, report.known, report.left_out, report.clipped) == (12, 12, 0, {}, 0)
    assert calls[-1] == (12, 12)
    before = {b.id: (b.esa_id, b.geometry.normalize().wkt, b.minx, b.last_updated, b.number) for b in database.query(Burst)}
    (one,) = database.query(Burst, esa_id=FIRST, swath="IW1")
    assert (one.track, one.orbit_direction, one.swath) == (132, "A", "IW1") and abs(one.anx - 8603) <= 3
    assert one.geometry.normalize().equals_exact(square(FIRST, 1).normalize(), 1e-6) and one.minx == pytest.approx(-1.1)
    again = load_burst_map(database, path)
    assert (again.added, again.known, again.completed) == (0, 12, 0)
    assert {
        b.id: (b.esa_id, b.geometry.normalize().wkt, b.minx, b.last_updated, b.number) for b in database.query(Burst)
    } == before


def test_polygons_of_the_map_are_found_by_place(database: Database, tmp_path: Path) -> None:
    load_burst_map(database, write(tmp_path / "map.parquet", esa_rows()))
    with database.read_scope() as session:
        found = session.query(Burst).filter(Burst.geometry.intersects(shapely.Point(-0.5, 52.1))).all()
    assert sorted(b.swath for b in found) == ["IW1"] or {b.esa_id for b in found} >= {FIRST}


def test_bursts_that_files_brought_are_not_doubled(database: Database, tmp_path: Path) -> None:
    """Their ids differ by 0 to 3; one has no ESA id, one no polygon, and one lies elsewhere."""
    load_burst_map(database, write(tmp_path / "first.parquet", esa_rows(6, (1,))))
    by_rule = sorted((to_value(b) for b in database.query(Burst)), key=lambda b: b.anx)
    database.delete(Burst, track=132)
    files = []
    for k, burst in enumerate(by_rule[:4]):
        anx = burst.anx + (k % 4)
        footprint = () if k == 2 else burst.footprint
        files.append(BurstValue(f"132_{anx}_IW1", 132, "A", anx, "IW1", None if k == 1 else burst.esa_id, footprint))
    away = tuple((x + 40, y) for x, y in by_rule[4].footprint)
    files.append(BurstValue(by_rule[4].id, 132, "A", by_rule[4].anx, "IW1", None, away))
    insert_bursts(database, files)
    report = load_burst_map(database, write(tmp_path / "map.parquet", esa_rows(6, (1,))))
    assert (report.added, report.known, report.completed, report.left_out) == (
        1, 2, 2, {"its id belongs to a burst of the database that lies elsewhere": 1}
    )  # fmt: skip
    assert {b.id for b in database.query(Burst)} == {b.id for b in files} | {by_rule[5].id}
    for burst in files[:4]:
        (row,) = database.query(Burst, id=burst.id)
        assert row.esa_id is not None and row.geometry is not None
    again = load_burst_map(database, tmp_path / "map.parquet")
    assert (again.added, again.completed, again.known) == (0, 0, 5)


def test_what_cannot_be_used_is_counted_by_reason(database: Database, tmp_path: Path) -> None:
    rows = esa_rows(1)
    good = dict(rows[0])
    bow = shapely.Polygon([(0, 0), (1.5, 0.2), (1.5, 0), (0, 0.2)])
    bad = [
        {**good, "subswath_name": "EW1"},
        {**good, "burst_id": 0},
        {**good, "burst_id": 400_000},
        {**good, "relative_orbit_number": 7},
        {**good, "orbit_pass": "SIDEWAYS"},
        {**good, "geometry": shapely.Point(0, 0)},
        {**good, "geometry": shapely.box(0, 80, 1, 95)},
        {**good, "geometry": None},
        good,
    ]
    odd = [
        {**good, "burst_id": FIRST + 1, "geometry": bow},
        {**good, "burst_id": FIRST + 2, "geometry": shapely.box(0, 60, 0.1, 60.1)},
    ]
    report = load_burst_map(database, write(tmp_path / "map.parquet", rows + bad + odd))
    assert (report.rows, report.added, report.repaired, report.clipped) == (14, 5, 1, 1)
    assert report.left_out == {
        "swath is none of IW1, IW2, IW3": 1,
        "burst id is not within 1..375887": 2,
        "track is not that of the burst id": 1,
        "pass is neither ascending nor descending": 1,
        "no polygon": 3,
        "a second time in the map": 1,
    }
    assert "EW1" in report.examples["swath is none of IW1, IW2, IW3"]
    assert all(b.geometry.is_valid for b in database.query(Burst))


def test_parts_on_both_sides_of_the_date_line_become_one_polygon(database: Database, tmp_path: Path) -> None:
    parts = shapely.MultiPolygon([shapely.box(179.5, 60, 180, 60.2), shapely.box(-180, 60, -177, 60.2)])
    row = esa_rows(1, (1,))[0]
    report = load_burst_map(database, write(tmp_path / "map.parquet", [{**row, "geometry": parts}]))
    (burst,) = database.query(Burst)
    assert (report.joined, burst.geometry.geom_type) == (1, "Polygon")
    assert burst.geometry.bounds == pytest.approx((179.5, 60, 183, 60.2), abs=1e-5)


def test_a_map_by_our_own_ids_keeps_them(database: Database, tmp_path: Path) -> None:
    rows = [{"id": "132_8603_IW1", "orbit_direction": "A", "geometry": square(FIRST)}]
    report = load_burst_map(database, write(tmp_path / "map.geojson", rows))
    (burst,) = database.query(Burst)
    assert (report.added, burst.id, burst.esa_id, burst.track, burst.anx) == (1, "132_8603_IW1", None, 132, 8603)
    completed = load_burst_map(database, write(tmp_path / "same.geojson", [{**rows[0], "esa_id": 1}]))
    assert (completed.added, completed.known + completed.completed) == (0, 1)


def test_a_dry_run_writes_nothing(database: Database, tmp_path: Path) -> None:
    report = load_burst_map(database, write(tmp_path / "map.parquet", esa_rows()), dry_run=True)
    assert (report.added, database.query(Burst)) == (12, [])


def test_files_that_are_no_burst_map_are_refused_saying_what_was_expected(database: Database, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        load_burst_map(database, tmp_path / "none.gpkg")
    places = write(tmp_path / "places.geojson", [{"name": "Birmingham", "geometry": square(FIRST)}])
    with pytest.raises(RequestError, match=r"expected the columns of a burst map.*Got .*name"):
        load_burst_map(database, places)
    metres = write(tmp_path / "metres.gpkg", esa_rows(1), crs="EPSG:32630")
    with pytest.raises(RequestError, match="expected longitude and latitude"):
        load_burst_map(database, metres)
    nonsense = tmp_path / "nonsense.gpkg"
    nonsense.write_bytes(b"nonsense")
    with pytest.raises(CorruptProduct, match="GDAL"):
        load_burst_map(database, nonsense)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(write(tmp_path / "map.parquet", esa_rows()).read_bytes()[:400])
    with pytest.raises(CorruptProduct, match="Parquet"):
        load_burst_map(database, cut)
    useless = write(tmp_path / "ew.parquet", [{**row, "subswath_name": "EW1"} for row in esa_rows(2)])
    with pytest.raises(CorruptProduct, match="found none in 6 rows"):
        load_burst_map(database, useless)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"BURST_ID": "number", "Swath": "text"}, {"esa_id": "BURST_ID", "swath": "Swath"}),
        ({"relative_o": "number", "subswath_n": "text"}, {"track": "relative_o", "swath": "subswath_n"}),
        ({"id": "text", "burst_id": "number"}, {"id": "id", "esa_id": "burst_id"}),
        ({"lonlat_e6": "list", "passdir": "text"}, {"geometry": "lonlat_e6", "orbit_direction": "passdir"}),
        ({"the_shape": "geometry"}, {"geometry": "the_shape"}),
    ],
)
def test_columns_are_found_by_the_names_that_others_use(columns: dict[str, str], expected: dict[str, str]) -> None:
    assert source.match_columns(columns) == expected


@pytest.mark.realdata
def test_the_real_map_and_real_files_agree(database: Database, tmp_path: Path) -> None:
    """The map's bursts on the tracks of the real products; the products' bursts are then all known."""
    products = [read_product(path) for path in real_products()]
    tracks = sorted({b.track for p in products for b in p.bursts} | {132})
    source_path = data_dir() / "burst_map_global" / "esa_iw_bursts_2022.parquet"
    chosen = pq.read_table(source_path, filters=pc.field("track").isin(tracks))
    pq.write_table(chosen, tmp_path / "part.parquet")
    report = load_burst_map(database, tmp_path / "part.parquet")
    assert report.added == len(chosen) and report.left_out == {}
    (birmingham,) = database.query(Burst, id="132_8603_IW1")
    assert shapely.distance(birmingham.geometry, shapely.Point(-1.9, 52.5)) < 2
    with database.session_scope() as session:
        before = session.query(Burst).count()
        for product in products:
            assert enter(session, product, state="remote") == []
        assert session.query(Burst).count() == before


@pytest.mark.realdata
def test_the_uk_subset_as_geojson(database: Database) -> None:
    path = data_dir() / "burst_map_global" / "uk_subset.geojson"
    report = load_burst_map(database, path)
    assert report.added == report.rows == len(json.loads(path.read_text())["features"]) == 2578
