"""Frames: made from bursts and polygons, and previewed."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
from frames_made import FRAME, add_dates, bursts

from satdaemon.db import (
    Database,
    Frame,
)
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.frame_choice import by_polygon
from satdaemon.db.frames import make_frame_of_polygon
from satdaemon.db.outline import outline, rolled, unrolled
from satdaemon.db.preview import preview_bursts, preview_frame
from satdaemon.db.regions import read_region
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import RequestError

IDS = [b.id for b in bursts()]
IW1, IW2 = IDS[:3], IDS[3:]


def region(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(west, south, east, north)


# From a polygon.


def test_a_polygon_takes_the_bursts_that_it_needs_and_no_more(database: Database) -> None:
    insert_bursts(database, bursts())
    with database.read_scope() as session:
        # Bursts are 0.2 degrees high, one every 0.18: the middle one shows all of this by itself.
        assert by_polygon(session, region(-1.9, 52.185, -1.5, 52.375)).ids == [IW1[1]]
        # Parts that the neighbours show too are not worth a burst.
        assert by_polygon(session, region(-1.9, 52.19, -1.5, 52.379)).ids == [IW1[1]]
        # Swaths overlap by 0.05 degrees.
        assert by_polygon(session, region(-1.9, 52.05, -1.5, 52.3)).ids == IW1[:2]
        both = by_polygon(session, region(-1.5, 52.05, -0.5, 52.5))
    assert sorted(both.ids) == sorted(IDS) and both.covered == pytest.approx(1) and both.warnings == ()


def test_a_polygon_with_a_hole_in_the_middle_leaves_no_gap_in_a_swath(database: Database) -> None:
    insert_bursts(database, bursts(5, ("IW1",)))
    two = shapely.union_all([region(-1.9, 52.02, -1.5, 52.1), region(-1.9, 52.8, -1.5, 52.9)])
    with database.read_scope() as session:
        assert by_polygon(session, two).ids == [b.id for b in bursts(5, ("IW1",))]


def test_a_polygon_that_several_tracks_show_is_asked_about(database: Database) -> None:
    insert_bursts(database, [*bursts(), *bursts(1, ("IW1",), track=30)])
    place = region(-1.9, 52.05, -1.5, 52.3)
    with database.read_scope() as session:
        with pytest.raises(RequestError, match=r"say which .*132 A \(2 bursts, 100% of it\), 30 A \(1 bursts, 60% of it\)"):
            by_polygon(session, place)
        part = by_polygon(session, place, 30, "A")
        assert len(part.ids) == 1 and "show 60.0% of the polygon" in part.warnings[0] and "132 A" in part.warnings[0]
        with pytest.raises(RequestError, match="no burst of track 132, pass D of the database lies there; tracks there: 132 A"):
            by_polygon(session, place, 132, "D")
        with pytest.raises(RequestError, match="pass: expected A"):
            by_polygon(session, place, 132, "ascending")
        with pytest.raises(RequestError, match="none of any track there"):
            by_polygon(session, region(40, 10, 41, 11), 132)
    with pytest.raises(RequestError, match="its id says track 132, pass A; got track 30, pass A"):
        make_frame_of_polygon(database, place, "132A_HERE", track=30)
    report = make_frame_of_polygon(database, place, "132A_HERE")
    assert list(report.bursts) == IW1[:2]
    assert database.query(Frame, id="132A_HERE")[0].geometry.covers(place)


def test_an_empty_catalogue_says_how_to_fill_it(database: Database) -> None:
    with database.read_scope() as session, pytest.raises(RequestError, match="init-database --burst-map"):
        by_polygon(session, region(0, 0, 1, 1))
    with pytest.raises(RequestError, match="init-database --burst-map"):
        database.make_new_frame_using_burstlist(IDS, FRAME)


def test_two_rows_of_one_burst_are_taken_once(database: Database) -> None:
    one = bursts(1, ("IW1",))[0]
    with_id = BurstValue("132_8568_IW1", 132, "A", 8568, "IW1", 281690, one.footprint)
    insert_bursts(database, [one, with_id])
    with database.read_scope() as session:
        assert by_polygon(session, region(-1.9, 52.05, -1.5, 52.15)).ids == ["132_8568_IW1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("somewhere", "expected a file, or WKT"),
        ("POINT (1 2)", "expected a polygon, got a Point"),
        ("POLYGON EMPTY", "an empty shape"),
        ("POLYGON ((52 -200, 53 -200, 53 -199, 52 -200))", "longitude first"),
        ("POLYGON ((0 0, 1 1, 2 2, 0 0))", "with an area"),
    ],
)
def test_what_is_no_polygon(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_region(text)


def test_polygons_of_files_also_in_other_coordinates(tmp_path: Path) -> None:
    import pyogrio

    place = region(-2.1, 52.3, -1.6, 52.7)
    projected = shapely.box(500_000, 5_800_000, 510_000, 5_810_000)  # UTM 30N: three degrees west of Greenwich
    for name, shape, crs in [("a.geojson", place, "EPSG:4326"), ("b.gpkg", projected, "EPSG:32630")]:
        geometry = shapely.to_wkb([shape])
        pyogrio.raw.write(tmp_path / name, geometry, [], [], geometry_type="Polygon", crs=crs)
    assert read_region(tmp_path / "a.geojson").equals(place)
    west, south, east, _ = read_region(str(tmp_path / "b.gpkg")).bounds
    assert (
        west == pytest.approx(-3, abs=1e-3) and east == pytest.approx(-2.85, abs=0.01) and south == pytest.approx(52.35, abs=0.01)
    )
    (tmp_path / "c.txt").write_text("nothing")
    with pytest.raises(RequestError, match="a vector file that GDAL reads"):
        read_region(tmp_path / "c.txt")
    assert read_region(place.wkt).equals(place)
    assert read_region("POLYGON ((179 0, 181 0, 181 1, 179 1, 179 0))").equals(
        shapely.union_all([region(179, 0, 180, 1), region(-180, 0, -179, 1)])
    )


def test_frames_across_the_180th_meridian(database: Database) -> None:
    def burst(number: int, west: float) -> BurstValue:
        south, anx = 50 + 0.18 * number, 8566 + round(27.58 * number)
        corners = tuple(
            ((lon + 180) % 360 - 180, lat) for lon, lat in region(west, south, west + 1, south + 0.2).exterior.coords[:-1]
        )
        return BurstValue(f"1_{anx}_IW1", 1, "A", anx, "IW1", None, corners)

    made = [burst(0, 179.4), burst(1, 179.2), burst(2, -180.9)]
    insert_bursts(database, made)
    far = burst(0, 10.0)
    insert_bursts(database, [BurstValue("2_8566_IW1", 2, "A", 8566, "IW1", None, far.footprint)])
    with database.read_scope() as session:
        choice = by_polygon(session, read_region("POLYGON ((179.5 50.05, 180.1 50.05, 180.1 50.5, 179.5 50.5, 179.5 50.05))"))
        assert choice.ids == [b.id for b in made] and choice.covered == pytest.approx(1)
        assert by_polygon(session, region(10.1, 50.05, 10.9, 50.15)).track == 2
    database.make_new_frame_using_burstlist(choice.ids, "001A_DATELINE")
    (frame,) = database.query(Frame)
    west, _, east, _ = frame.geometry.bounds
    assert (west, east) == (-180, 180) and 0.5 < frame.geometry.area < 0.65
    wide = shapely.Polygon(made[0].footprint)
    assert unrolled(wide).bounds[2] == pytest.approx(180.4) and rolled(unrolled(wide)).area == pytest.approx(0.2)
    assert outline([None]) is None


# Warnings.


def test_odd_sets_of_bursts_are_told(database: Database) -> None:
    insert_bursts(database, bursts(4, ("IW1", "IW2", "IW3")))
    ids = [b.id for b in bursts(4, ("IW1", "IW2", "IW3"))]
    make = database.make_new_frame_using_burstlist
    assert make(ids, "132A_ALL").warnings == ()
    assert make([ids[0], ids[8]], "132A_TWO").warnings[0].startswith("IW2 is left out between IW1 and IW3")
    assert make([ids[0], ids[8]], "132A_THREE").warnings[-1] == "the bursts fall into 2 parts that do not touch"
    (gap,) = (w for w in make([ids[0], ids[3]], "132A_GAP").warnings if "missing" in w)
    assert gap == f"IW1: 2 burst(s) missing between {ids[0]} and {ids[3]}"
    with pytest.raises(RequestError, match=r"unknown ones: 132_8400_IW1 \(the nearest to 132_8400_IW1 is 132_8566_IW1\)"):
        make(["132_8400_IW1"], "132A_NO")
    for name in ("132A", "132X_A", "132A_a", "132A_A B", "999A_X", "000A_X", "132A_X\n", "../132A_X"):
        with pytest.raises(RequestError, match="frame id: expected"):
            make(ids, name)


# Preview.


def test_a_preview_says_what_each_date_has_and_what_a_drop_would_gain(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    no_last = [b for b in every if b.id not in (IW1[2], IW2[2])]
    no_middle = [b for b in every if b.id != IW1[1]]
    made = add_dates(database, [every, no_last, no_last, no_middle])
    found = preview_bursts(database, IDS, min_coverage=1.0)
    assert [day.date for day in found.dates] == made
    assert [day.usable for day in found.dates] == [True, False, False, False]
    assert (found.usable, found.complete, len(found.bursts)) == (1, 1, 6)
    assert set(found.dates[1].present) == set(IDS) - {IW1[2], IW2[2]} and found.dates[1].share == pytest.approx(2 / 3)
    assert "missing in the interior" in found.dates[3].reason
    best = found.drops[0]
    assert set(best.bursts) == {IW1[2], IW2[2]} and (best.usable, best.gain, best.complete, best.gap) == (3, 2, 3, False)
    middle = next(d for d in found.drops if d.bursts == (IW1[1],))
    assert middle.gap and middle.gain == 1
    looser = preview_bursts(database, IDS, min_coverage=0.6)
    assert looser.usable == 3 and looser.dates[1].usable
    assert database.query(Frame) == []
    with pytest.raises(RequestError, match="expected a share"):
        preview_bursts(database, IDS, min_coverage=1.5)
    with pytest.raises(RequestError, match="at least one burst"):
        preview_bursts(database, [])


def test_a_preview_agrees_with_what_the_frame_then_has(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    add_dates(database, [every, every[:5], every[:3], every, every])
    before = preview_bursts(database, IDS)
    database.make_new_frame_using_burstlist(IDS, FRAME)
    report = database.update_procdates(FRAME)
    assert [d.date for d in before.dates] == report.dates
    assert {d.date for d in before.dates if not d.usable} == set(report.excluded)
    assert preview_frame(database, FRAME) == before
    fewer = preview_frame(database, FRAME, drop=IW2)
    assert fewer.usable == 5 and [b.id for b in fewer.bursts] == IW1
    with pytest.raises(RequestError, match="bursts of the frame to drop"):
        preview_frame(database, FRAME, drop=["132_1_IW1"])
    with pytest.raises(RequestError, match="at least one burst to be left"):
        preview_frame(database, FRAME, drop=IDS)
