"""What readers ask of points, against the arrays that were loaded."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from points_made import show_points, write_points

from satdaemon.db import Database, points
from satdaemon.db.points.places import box_around, boxes_of, distance_m
from satdaemon.db.points.read import walk
from satdaemon.db.points.shown import shown
from satdaemon.errors import RequestError

FRAME = "132A_TEST"
BAY = shapely.Polygon([(-1.9, 52.1), (-1.7, 52.05), (-1.65, 52.3), (-1.8, 52.2), (-1.95, 52.35)])


@pytest.fixture
def made(database: Database, tmp_path: Path) -> dict[str, np.ndarray]:
    product = write_points(tmp_path / "p", 3000, 7)
    show_points(database, FRAME, tmp_path / "p")
    return product


def inside(made: dict[str, np.ndarray], polygon: shapely.Polygon) -> np.ndarray:
    return np.array([polygon.covers(shapely.Point(x, y)) for x, y in zip(made["lon"], made["lat"], strict=True)])


def test_series_of_many_points_in_the_order_asked_for(database: Database, made: dict[str, np.ndarray]) -> None:
    places = [2999, 5, 11, 5]
    many = points.series_of(database, FRAME, made["id"][places])
    raw = made["series"][places]
    np.testing.assert_array_equal(many.displacement_mm, np.where(raw == -32768, np.nan, raw / 10))
    assert list(many.point_id) == list(made["id"][places]) and many.dates[1] == date(2020, 1, 13)
    assert points.series_of(database, FRAME, []).displacement_mm.shape == (0, 7)
    with pytest.raises(RequestError, match=r"point 777777, 999999999: expected points of frame"):
        points.series_of(database, FRAME, [int(made["id"][0]), 999999999, 777777, 1])
    with pytest.raises(RequestError, match="point 999999999"):
        points.series(database, FRAME, 999999999)


@pytest.mark.parametrize("form", ["shape", "wkt", "geojson", "mapping", "feature", "file"])
def test_a_polygon_in_every_form(database: Database, made: dict[str, np.ndarray], tmp_path: Path, form: str) -> None:
    mapping = shapely.geometry.mapping(BAY)
    feature = {"type": "Feature", "geometry": mapping, "properties": {}}
    (tmp_path / "bay.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    given_as = {
        "shape": BAY, "wkt": BAY.wkt, "geojson": json.dumps(mapping), "mapping": mapping, "feature": feature,
        "file": tmp_path / "bay.geojson",
    }  # fmt: skip
    found = points.in_polygon(database, FRAME, given_as[form])
    assert set(found.point_id) == set(made["id"][inside(made, BAY)]) and 100 < len(found) < 1000
    assert len(np.unique(found.point_id)) == len(found)
    assert len(points.in_polygon(database, FRAME, given_as[form], limit=7)) == 7


def test_parts_whose_boxes_overlap_give_each_point_once(database: Database, made: dict[str, np.ndarray]) -> None:
    west, south, east, north = (f(made[axis]) for f, axis in ((np.min, "lon"), (np.min, "lat"), (np.max, "lon"), (np.max, "lat")))
    mid_x, mid_y = (west + east) / 2, (south + north) / 2
    corner = shapely.Polygon([(west, south), (east, south), (east, mid_y), (mid_x, mid_y), (mid_x, north), (west, north)])
    gap = (east - west) / 100
    nook = shapely.box(mid_x + gap, mid_y + gap, east, north)
    both = shapely.MultiPolygon([corner, nook])
    found = points.in_polygon(database, FRAME, both)
    expected = shapely.intersects_xy(both, made["lon"], made["lat"])
    assert len(found) == len(set(found.point_id)) == int(expected.sum()) > 100


def test_polygons_that_are_none(database: Database, made: dict[str, np.ndarray]) -> None:
    for wrong in ("POINT (1 2)", "nonsense", '{"type": "Nothing"}', 5, "POLYGON ((400000 0, 400100 0, 400100 100, 400000 0))"):
        with pytest.raises(RequestError, match="polygon"):
            points.in_polygon(database, FRAME, wrong)
    assert len(points.in_polygon(database, FRAME, shapely.box(10, 10, 11, 11))) == 0


def test_bounds_on_quality_and_unknown_values(database: Database, made: dict[str, np.ndarray]) -> None:
    everywhere = (-180, -90, 180, 90)
    least = float(np.sort(made["coherence"])[1000])
    found = points.in_box(database, FRAME, *everywhere, quality=points.Quality(min_coherence=least))
    assert set(found.point_id) == set(made["id"][made["coherence"] >= np.float32(least)]) and len(found) == 2000
    quality = points.Quality(min_velocity=-0.5, max_velocity=1.0, max_velocity_std=0.3)
    wanted = (made["velocity"] >= -0.5) & (made["velocity"] <= 1) & (made["velocity_std"] <= np.float32(0.3))
    assert set(points.in_box(database, FRAME, *everywhere, quality=quality).point_id) == set(made["id"][wanted])
    for unbounded in ({"min_velocity": -1e9}, {"max_velocity": 1e9}):
        assert len(points.in_box(database, FRAME, *everywhere, quality=points.Quality(**unbounded))) == 3000


def test_a_value_that_is_unknown_meets_no_bound(database: Database, tmp_path: Path) -> None:
    made = write_points(tmp_path / "p", 40, 3, unknown=("velocity", "coherence"))
    show_points(database, FRAME, tmp_path / "p")
    for quality in (points.Quality(min_velocity=-1e9), points.Quality(max_velocity=1e9), points.Quality(min_coherence=-1e9)):
        found = points.in_box(database, FRAME, -180, -90, 180, 90, quality=quality)
        assert len(found) == np.isfinite(made["velocity"]).sum() < 40


def test_columns_are_what_was_asked_for(database: Database, made: dict[str, np.ndarray]) -> None:
    found = points.in_box(database, FRAME, -180, -90, 180, 90, columns=("velocity", "dem_error_m"))
    assert list(found.values) == ["velocity", "dem_error_m"] and found.values["velocity"].dtype == np.float32
    assert np.isnan(found.values["dem_error_m"]).sum() == len(range(0, 3000, 7))
    with pytest.raises(RequestError, match=r"expected columns out of height_m.* got colour"):
        points.in_box(database, FRAME, 0, 0, 1, 1, columns=("colour",))


def test_the_nearest_are_the_nearest(database: Database, made: dict[str, np.ndarray]) -> None:
    for lon, lat, count in ((-1.75, 52.25, 5), (-1.75, 53.0, 3), (120.0, -80.0, 2), (0, 90, 1), (-1.8, 52.1, 3000), (1, 1, 9999)):
        found = points.nearest(database, FRAME, lon, lat, count)
        metres = distance_m(lon, lat, made["lon"], made["lat"])
        assert len(found) == min(count, 3000)
        np.testing.assert_allclose(distance_m(lon, lat, found.lon, found.lat), np.sort(metres)[: len(found)])
    quality = points.Quality(min_coherence=0.5)
    found = points.nearest(database, FRAME, -1.75, 52.25, 4, quality=quality)
    good = made["coherence"] >= 0.5
    order = np.argsort(distance_m(-1.75, 52.25, made["lon"][good], made["lat"][good]))[:4]
    assert list(found.point_id) == list(made["id"][good][order])
    assert (found.values["temporal_coherence"] >= 0.5).all()
    with pytest.raises(RequestError, match="place: expected"):
        points.nearest(database, FRAME, 200, 0)


def test_the_mean_of_an_area(database: Database, made: dict[str, np.ndarray]) -> None:
    chosen = made["series"][inside(made, BAY)] / 10
    chosen[chosen == -3276.8] = np.nan
    found = points.mean_series(database, FRAME, BAY)
    assert found.points == len(chosen) and found.dates[0] == date(2020, 1, 1)
    assert list(found.count) == list(np.isfinite(chosen).sum(axis=0)) and found.count[-1] < found.count[0]
    np.testing.assert_allclose(found.mean_mm, np.nanmean(chosen, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std_mm, np.nanstd(chosen, axis=0, ddof=1), rtol=1e-9)
    assert points.mean_series(database, FRAME).points == 3000


def test_the_mean_of_nothing_and_of_one(database: Database, made: dict[str, np.ndarray]) -> None:
    none = points.mean_series(database, FRAME, shapely.box(10, 10, 11, 11))
    assert none.points == 0 and list(none.count) == [0] * 7 and np.isnan(none.mean_mm).all() and np.isnan(none.std_mm).all()
    lon, lat = made["lon"][11], made["lat"][11]
    one = points.mean_series(database, FRAME, shapely.Point(lon, lat).buffer(1e-6))
    assert one.points == 1 and list(one.count) == [1] * 6 + [0] and np.isnan(one.std_mm).all() and np.isnan(one.mean_mm[-1])


def test_a_walk_sees_every_point_once_whatever_its_step(database: Database, made: dict[str, np.ndarray]) -> None:
    for piece, region in ((7, None), (1000, None), (64, BAY), (5000, shapely.box(-1.9, 52.1, -1.7, 52.3))):
        wanted = made["id"] if region is None else made["id"][inside(made, region)]
        with shown(database, FRAME) as view:
            parts = list(walk(view, region, columns=(), piece=piece))
        assert {len(part) for part in parts[:-1]} <= {piece} and 0 < len(parts[-1]) <= piece
        assert sorted(np.concatenate([p.point_id for p in parts])) == sorted(wanted)


def test_points_that_share_a_place(database: Database, tmp_path: Path) -> None:
    made = write_points(tmp_path / "p", 100, 3, one_place=True)
    show_points(database, FRAME, tmp_path / "p")
    with shown(database, FRAME) as view:
        assert np.concatenate([p.point_id for p in walk(view, columns=(), piece=9)]).tolist() == sorted(made["id"])
    assert len(points.nearest(database, FRAME, 0, 0, 100)) == 100


def test_a_frame_across_the_180th_meridian(database: Database, tmp_path: Path) -> None:
    made = write_points(tmp_path / "p", 400, 3, west=179.8)
    assert made["lon"].min() < -179.8 and made["lon"].max() > 179.8
    show_points(database, FRAME, tmp_path / "p")
    found = points.in_box(database, FRAME, 179.9, 52.1, -179.9, 52.3)
    wanted = (np.abs(made["lon"]) >= 179.9) & (made["lat"] >= 52.1) & (made["lat"] <= 52.3)
    assert set(found.point_id) == set(made["id"][wanted]) and len(found) > 10
    assert set(points.in_box(database, FRAME, 179.9, 52.1, 180.1, 52.3).point_id) == set(found.point_id)
    near = points.nearest(database, FRAME, 179.999, 52.25, 12)
    metres = distance_m(179.999, 52.25, made["lon"], made["lat"])
    assert set(near.point_id) == set(made["id"][np.argsort(metres)[:12]])
    assert (near.lon < 0).any() and (near.lon > 0).any()


def test_boxes_that_are_none() -> None:
    for wrong in ((1, 0, 0, 1), (0, 1, 1, 0), (0, -91, 1, 0), (math.nan, 0, 1, 1), (0, 0, 1e9, 1)):
        with pytest.raises(RequestError, match="box: expected degrees with west <= east"):
            boxes_of(*wrong)
    assert boxes_of(170, 0, -170, 1) == [(170, 0, 180, 1), (-180, 0, -170, 1)]
    assert boxes_of(-200, 0, 200, 1) == [(-180, 0, 180, 1)]


@given(st.floats(-180, 180), st.floats(-89.9, 89.9), st.floats(0.001, 100), st.floats(0, 360), st.floats(0, 0.999))
def test_a_box_around_holds_its_circle(lon: float, lat: float, half_deg: float, bearing: float, share: float) -> None:
    """A place at a distance and bearing (Snyder, Map Projections, 1987, equations 5-5 and 5-6)."""
    away, course, up = math.radians(half_deg * share), math.radians(bearing), math.radians(lat)
    there = math.asin(max(-1, min(1, math.sin(up) * math.cos(away) + math.cos(up) * math.sin(away) * math.cos(course))))
    across = math.atan2(
        math.sin(away) * math.sin(course), math.cos(up) * math.cos(away) - math.sin(up) * math.sin(away) * math.cos(course)
    )
    x = (lon + math.degrees(across) + 180) % 360 - 180
    y = math.degrees(there)
    slack = 1e-6
    boxes = box_around(lon, lat, half_deg)
    assert any(w - slack <= x + turn <= e + slack and s - slack <= y <= n + slack
               for w, s, e, n in boxes for turn in (0, 360, -360))  # fmt: skip
