"""What is asked of an archive: the fewest questions, and exactly what they are to show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_stand_ins import item
from product_zips import SQUARE
from shapely.geometry import Polygon

from satdaemon.archive.area import Area, Footprint, before
from satdaemon.archive.asf import _tracks
from satdaemon.archive.cdse import filter_of
from satdaemon.archive.product import scene_of_name
from satdaemon.domain import Burst, Frame, Scene
from satdaemon.errors import RequestError

DAY = datetime(2023, 1, 8, tzinfo=UTC)


def square(lon: float, lat: float, size: float = 2.0) -> Footprint:
    return ((lon, lat), (lon + size, lat), (lon + size, lat + size), (lon, lat + size))


def frame(name: str, *footprints: Footprint, track: int = 71, direction: str = "D") -> Frame:
    bursts = tuple(Burst(f"{track}_{k}_IW1", track, direction, k, "IW1", None, each) for k, each in enumerate(footprints))
    return Frame(name, track, direction, bursts)


def scene(track: int = 71, direction: str = "D") -> Scene:
    known = scene_of_name(Path(item().name))
    assert known is not None
    return replace(known, track=track, orbit_direction=direction)


def test_one_frame_is_one_question() -> None:
    (query,) = Area.of_frames([frame("071D_A", square(10, 50), square(12, 50))]).queries()
    assert (query.tracks, query.direction) == ((70, 71), "D")
    assert query.ring is not None and query.ring[0] == query.ring[-1]
    ring = Polygon(query.ring)
    assert ring.exterior.is_ccw and ring.contains(Polygon(((10, 50), (14, 50), (14, 52), (10, 52))))
    assert ring.area < 4.3 * 2.3


def test_near_frames_are_one_question_without_what_they_do_not_share() -> None:
    frames = [frame("071D_A", square(10, 50)), frame("015A_B", square(14, 48), track=15, direction="A")]
    (query,) = Area.of_frames(frames).queries()
    assert (query.tracks, query.direction) == ((), None)


def test_frames_far_apart_are_one_question_each_unless_the_time_is_short() -> None:
    frames = [frame("071D_A", square(10, 50)), frame("071D_B", square(-70, -20)), frame("071D_C", square(100, 0))]
    assert len(Area.of_frames(frames).queries()) == 3
    assert len(Area.of_frames(frames, start_utc=DAY, stop_utc=DAY + timedelta(days=100)).queries()) == 3
    for times in ({"since_utc": DAY}, {"start_utc": DAY, "stop_utc": DAY + timedelta(days=2)}):
        (query,) = Area.of_frames(frames, **times).queries()
        assert query.ring is None and query.tracks == (70, 71)


def test_a_question_across_the_180th_meridian_stays_within_180_and_is_two_parts_for_copernicus() -> None:
    (query,) = Area.of_frames([frame("071D_FIJI", square(179, -18, 0.5), square(-179.8, -18))]).queries()
    assert query.ring is not None and {-1, 1} == {1 if lon > 0 else -1 for lon, _ in query.ring}
    assert all(178 < abs(lon) <= 180 or lon < -177 for lon, _ in query.ring)
    text = filter_of(query)
    assert text.count("OData.CSC.Intersects(") == 2 and " or OData.CSC.Intersects(" in text


@pytest.mark.parametrize("lon", [10.0, 179.5, -180.0, 358.0])
def test_what_is_shown_is_looked_at_by_burst(lon: float) -> None:
    left, right = square(lon, 50, 1), square(lon + 3, 53, 1)
    area = Area.of_frames([frame("071D_A", left, right)])
    inside = tuple(((x + 180) % 360 - 180, y) for x, y in square(lon + 0.2, 50.2, 0.2))
    between = tuple(((x + 180) % 360 - 180, y) for x, y in square(lon + 2, 51.5, 0.5))
    assert area.shown(scene(), inside) == ("071D_A",)
    assert not area.shows(scene(), between), "within the hull of the frame, on none of its bursts"


@pytest.mark.parametrize(
    "of_frame", [square(179.5, 50, 1), square(-180.5, 50, 1), tuple(square(179.5, 50, 1)[k] for k in (1, 2, 3, 0))]
)
@pytest.mark.parametrize("lon", [179.7, -179.8])
def test_both_sides_of_the_180th_meridian_are_one_place(of_frame: Footprint, lon: float) -> None:
    area = Area.of_frames([frame("071D_A", of_frame)])
    assert area.shows(scene(), square(lon, 50.2, 0.1)) and not area.shows(scene(), square(lon - 2, 50.2, 0.1))


@pytest.mark.parametrize(("track", "shown"), [(71, True), (70, True), (72, False), (69, False)])
def test_a_slice_may_begin_on_the_track_before(track: int, shown: bool) -> None:
    area = Area.of_frames([frame("071D_A", SQUARE)])
    assert area.shows(scene(track), SQUARE) is shown
    assert not area.shows(scene(track, "A"), SQUARE)


def test_tracks_wrap() -> None:
    assert (before(71), before(1), before(175)) == (70, 175, 174)
    assert (_tracks((70, 71)), _tracks((175, 1)), _tracks(())) == ([(70, 71)], [1, 175], None)


def test_without_places_everything_is_shown() -> None:
    assert Area(since_utc=DAY).shows(scene(3, "A"), SQUARE)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(RequestError, match="that is the whole archive"):
        Area().queries()
    with pytest.raises(RequestError, match="071D_A: expected bursts with footprints, got none; load the burst map"):
        Area.of_frames([frame("071D_A")])
    with pytest.raises(RequestError, match="071D_A: expected a place of at most 25 degrees"):
        Area.of_frames([frame("071D_A", square(0, 0), square(40, 0))]).queries()


@pytest.mark.parametrize(
    "text", ["", "x", "POINT (1 2)", "POLYGON EMPTY", "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))", "POLYGON ((0 0))"]
)
def test_text_that_is_no_polygon(text: str) -> None:
    with pytest.raises(RequestError, match="area: expected"):
        Area.of_wkt(text)


def test_several_polygons_and_heights_in_text() -> None:
    area = Area.of_wkt("MULTIPOLYGON Z (((0 0 5, 1 0 5, 1 1 5, 0 0 5)), ((3 3 5, 4 3 5, 4 4 5, 3 3 5)))", direction="A")
    assert [len(each) for each in area.places[0].footprints] == [3, 3]
    assert area.shows(scene(9, "A"), square(3.5, 3.1, 0.2)) and not area.shows(scene(9, "D"), square(3.5, 3.1, 0.2))
