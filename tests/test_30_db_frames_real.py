"""Frames over Birmingham from ESA's burst map: by id, by polygon, by LiCSAR id."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely
from realdata import data_dir

from satdaemon.db import Database, Frame
from satdaemon.db.burst_map import load_burst_map
from satdaemon.db.export import export_bursts, export_frames
from satdaemon.db.frame_choice import by_polygon, tracks_at, warnings_of
from satdaemon.db.frames import frame_of, make_frame_of_licsar_id, make_frame_of_polygon
from satdaemon.db.licsar import by_licsar_id, fit, licsar_id, parse_licsar_id
from satdaemon.db.preview import preview_bursts
from satdaemon.db.regions import read_region
from satdaemon.errors import RequestError

pytestmark = pytest.mark.realdata
SPECIFIED = ["132_8603_IW1", "132_8612_IW2", "132_8594_IW3", "132_8575_IW1", "132_8584_IW2", "132_8566_IW3"]
"""The burst list of the specification's example."""
BIRMINGHAM = "POLYGON ((-2.10 52.35, -1.65 52.35, -1.65 52.62, -2.10 52.62, -2.10 52.35))"
CENTRE = shapely.Point(-1.90, 52.48)


@pytest.fixture
def britain(database: Database) -> Database:
    """A database with the bursts of the United Kingdom."""
    load_burst_map(database, data_dir() / "burst_map_global" / "uk_subset.geojson")
    return database


def test_the_example_of_the_specification_makes_a_frame(britain: Database) -> None:
    report = britain.make_new_frame_using_burstlist(SPECIFIED, "132A_CUSTOM_FRAME")
    assert len(report.bursts) == 6 and all("taken as" in warning for warning in report.warnings)
    (frame,) = britain.query(Frame)
    assert {b.swath for b in frame.bursts} == {"IW1", "IW2", "IW3"}
    assert len(frame.geometry.geoms) == 1 and frame.geometry.contains(CENTRE)
    for wanted in SPECIFIED:
        track, anx, swath = wanted.split("_")
        assert any(b.track == int(track) and b.swath == swath and abs(b.anx - int(anx)) <= 1 for b in frame.bursts)


def test_birmingham_by_polygon(britain: Database) -> None:
    place = read_region(BIRMINGHAM)
    with britain.read_scope() as session:
        found = tracks_at(session, place)
        assert {(30, "A"), (132, "A"), (154, "D"), (81, "D")} == set(found)
        with pytest.raises(RequestError, match=r"say which \(track and pass\): tracks there: .*132 A \("):
            by_polygon(session, place)
        choice = by_polygon(session, place, 132, "A")
    report = make_frame_of_polygon(britain, place, "132A_BIRMINGHAM")
    assert list(report.bursts) == sorted(choice.ids) and report.warnings == ()
    with britain.read_scope() as session:
        frame = frame_of(session, "132A_BIRMINGHAM")
    assert choice.covered == pytest.approx(1) and britain.query(Frame)[0].geometry.covers(place)
    assert {b.swath for b in frame.bursts} == {"IW1"} and any(abs(b.anx - 8603) <= 1 for b in frame.bursts)
    for burst in frame.bursts:
        others = shapely.union_all([shapely.Polygon(b.footprint) for b in frame.bursts if b is not burst])
        assert not others.covers(place), f"{burst.id} is not needed"


def test_every_polygon_in_britain_is_shown_whole_and_without_gaps(britain: Database) -> None:
    for west, south, size in [(-2.9, 51.3, 0.3), (-3.4, 55.8, 0.6), (-1.0, 52.9, 1.5), (-4.5, 56.5, 0.05)]:
        place = shapely.box(west, south, west + size, south + size)
        with britain.read_scope() as session:
            for track, direction in tracks_at(session, place):
                choice = by_polygon(session, place, track, direction)
                assert warnings_of(choice.bursts) == []
                shown = shapely.union_all([shapely.Polygon(b.footprint) for b in choice.bursts])
                everything = shapely.union_all(
                    [shapely.Polygon(b.footprint) for b in tracks_at(session, place)[track, direction]]
                )
                lost = everything.intersection(place).difference(shown).area
                assert lost <= 0.002 * len(choice.bursts) * 0.2


@pytest.mark.parametrize("name", ["132A_03579_131313", "132A_03760_131313", "154D_03742_101112", "030A_03750_000300"])
def test_licsar_ids(britain: Database, name: str) -> None:
    wanted = parse_licsar_id(name)
    with britain.read_scope() as session:
        choice = by_licsar_id(session, name)
    assert tuple(sum(b.swath == swath for b in choice.bursts) for swath in ("IW1", "IW2", "IW3")) == wanted.counts
    assert warnings_of(choice.bursts) == []
    again = parse_licsar_id(licsar_id(choice.bursts))
    assert abs(again.latitude_deg - wanted.latitude_deg) < 0.03 and again.counts == wanted.counts
    assert fit(again, choice.bursts)[0] == list(choice.bursts)
    report = make_frame_of_licsar_id(britain, name)
    assert report.frame_id == name and sorted(report.bursts) == sorted(choice.ids)


def test_licsar_ids_come_back_from_every_arrangement(britain: Database) -> None:
    """The three ways to lay the bursts, and every place along the track, are told apart by the latitude."""
    with britain.read_scope() as session:
        line = by_licsar_id(session, "132A_03750_202020").bursts
        swaths = [[b for b in line if b.swath == swath] for swath in ("IW1", "IW2", "IW3")]
        for start in range(3, 9):
            for shifts in ((0, 0, 0), (1, 0, 0), (1, 1, 0)):
                laid = [b for swath, shift in zip(swaths, shifts, strict=True) for b in swath[start + shift : start + shift + 6]]
                assert set(by_licsar_id(session, licsar_id(laid)).ids) == {b.id for b in laid}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("132A_08742_000300", "no burst of track 132 A near 2.58 degrees north"),
        ("132A_09999_131313", "9.99 degrees south"),
        ("132D_03579_131313", "no burst of track 132 D"),
        ("132A_03150_404040", "expected 40 bursts of IW1, .* in a row around 58.50 degrees north, found none"),
        ("132A_3579_131313", "expected track, A or D, colatitude"),
        ("132A_03579_000000", "at least one burst"),
        ("132A_19000_131313", "a colatitude up to 18000"),
    ],
)
def test_licsar_ids_that_cannot_be(britain: Database, name: str, message: str) -> None:
    with britain.read_scope() as session, pytest.raises(RequestError, match=message):
        by_licsar_id(session, name)


def test_real_frames_for_a_map(britain: Database, tmp_path: Path) -> None:
    britain.make_new_frame_using_burstlist(SPECIFIED, "132A_CUSTOM_FRAME")
    assert preview_bursts(britain, SPECIFIED).dates == ()
    assert export_frames(britain, tmp_path / "frames.gpkg").rows == 1
    assert export_bursts(britain, tmp_path / "bursts.parquet").rows == 2578
