"""Tiles and the map: the same on both databases, where things are, and a frame made from bursts that one clicks."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import mapbox_vector_tile
import numpy as np
import pyproj
import pytest
import shapely
from browser import Watched, browser
from engine_parts import until
from frames_made import FRAME, add_file, bursts, make_frame
from playwright.sync_api import Browser, Page, expect
from web_parts import PASSWORD, Web, act, csrf_of, served

from satdaemon.db import Burst, Database, Frame
from satdaemon.db.frame_progress import Progress, frame_progress, latest_latency
from satdaemon.db.models import DateLatency
from satdaemon.db.tiles import Tile, burst_cells, burst_tile, frame_tile
from satdaemon.db.tiles.grid import MOST_LAT, to_metres
from satdaemon.errors import RequestError
from satdaemon.status import Role
from satdaemon.web.app import STATIC
from satdaemon.web.cache import Drawn, Kept, Shared

__all__ = ["browser"]


@pytest.fixture
def web(database: Database) -> Iterator[Web]:
    make_frame(database)
    with served(database.settings) as found:
        yield found


def tile_at(z: int, lon: float, lat: float) -> Tile:
    """The tile of a place, by the usual formula."""
    n = 2**z
    y = (1 - math.log(math.tan(math.radians(lat)) + 1 / math.cos(math.radians(lat))) / math.pi) / 2
    return Tile(z, int((lon + 180) / 360 * n), int(y * n))


def shapes_of(content: bytes, tile: Tile, layer: str) -> dict[str, Any]:
    """id -> shape in Web Mercator metres."""
    decoded = mapbox_vector_tile.decode(content, default_options={"y_coord_down": False})
    west, south, east, north = tile.metres
    found = {}
    for feature in decoded[layer]["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        scale = lambda xy: xy / 4096 * [east - west, north - south] + [west, south]  # noqa: E731
        found[feature["properties"]["id"]] = shapely.transform(shape, scale)
    return found


def test_tiles_lie_where_others_put_them() -> None:
    assert Tile(0, 0, 0).metres == pytest.approx((-20037508.343, -20037508.343, 20037508.343, 20037508.343))
    assert pytest.approx(85.0511287798) == MOST_LAT
    assert tile_at(8, -1.5, 52.1) == Tile(8, 126, 84), "as OpenStreetMap numbers it"
    west, south, east, north = Tile(8, 126, 84).box.bounds
    assert west < -1.5 < east and south < 52.1 < north
    mercator = pyproj.Transformer.from_crs(4326, 3857, always_xy=True)
    for lon, lat in ((-1.5, 52.1), (179.9, -60.0), (-70.0, 84.0)):
        assert tuple(to_metres(np.array([[lon, lat]]))[0]) == pytest.approx(mercator.transform(lon, lat), abs=0.01)
    for z, x_, y_ in ((-1, 0, 0), (21, 0, 0), (3, 8, 0), (3, 0, 8)):
        with pytest.raises(RequestError, match="expected z of 0 to 20"):
            Tile(z, x_, y_)


def test_bursts_are_drawn_where_they_are(database: Database) -> None:
    make_frame(database)
    tile = tile_at(8, -1.5, 52.1)
    found = shapes_of(burst_tile(database, tile), tile, "bursts")
    known = {row.id: row.geometry for row in database.query(Burst) if row.geometry.intersects(tile.box)}
    assert found.keys() == known.keys() and len(found) >= 2
    west, south, east, north = tile.metres
    pixel = (east - west) / 4096
    for name, shape in found.items():
        wanted = shapely.intersection(
            shapely.transform(known[name], to_metres), shapely.box(west, south, east, north).buffer(64.5 * pixel)
        )
        assert shapely.hausdorff_distance(shapely.box(*shape.bounds), shapely.box(*wanted.bounds)) < 3 * pixel, name
    assert burst_tile(database, tile_at(4, -1.5, 52.1)) == b"", "counts of cells stand for them"
    assert mapbox_vector_tile.decode(burst_tile(database, tile, direction="D")).get("bursts", {}).get("features", []) == []
    assert mapbox_vector_tile.decode(burst_tile(database, tile, track=7)).get("bursts", {}).get("features", []) == []
    assert shapes_of(burst_tile(database, tile, track=132, direction="A"), tile, "bursts").keys() == known.keys()
    assert sum(cell.bursts for cell in burst_cells(database)) == len(database.query(Burst))
    assert all(abs(cell.lon + 1.5) <= 2 and abs(cell.lat - 52.3) <= 2 for cell in burst_cells(database))


def test_frames_are_drawn_with_how_far_they_are(database: Database) -> None:
    make_frame(database)
    far = shapely.multipolygons([shapely.box(100, 10, 101, 11)])
    database.insert(Frame(id="044D_FAR", track=44, orbit_direction="D", geometry=far))
    progress = frame_progress(database)
    assert (progress[FRAME].dates, progress[FRAME].share) == (5, 0.0)
    tile = tile_at(7, -1.5, 52.1)
    content = frame_tile(database, tile, {FRAME: Progress(dates=4, dates_done=2, failed=3, age_days=12, latency_s=3.25 * 86400)})
    (feature,) = mapbox_vector_tile.decode(content)["frames"]["features"]
    assert feature["properties"] == {
        "id": FRAME, "track": 132, "pass": "A", "on": True, "priority": 0, "done": 0.5, "failed": 3, "age": 12, "late": 3.25,
    }  # fmt: skip
    world = mapbox_vector_tile.decode(frame_tile(database, Tile(0, 0, 0), {}))["frames"]["features"]
    assert {f["properties"]["id"] for f in world} == {FRAME, "044D_FAR"}
    assert {f["geometry"]["type"] for f in world} == {"Point"}, "points, from afar"


def test_latency_is_that_of_the_newest_date_that_is_kept(database: Database) -> None:
    make_frame(database)
    rows = [(FRAME, 1, 9.0), (FRAME, 25, 4.0), (FRAME, 13, 7.0)]
    with database.session_scope() as session:
        for frame_id, day, total_d in rows:
            same = {"late_part": "unwrap running", "moments": {}, "parts": {}}
            session.add(DateLatency(frame_id=frame_id, date=date(2023, 1, day), total_s=86400 * total_d, **same))
    database.insert(Frame(id="044D_FAR", track=44, orbit_direction="D"))
    found = frame_progress(database)
    assert found[FRAME].latency_s == 4.0 * 86400 and "044D_FAR" not in found
    plan = " ".join(how_it_reads(database, latest_latency()))
    assert "date_latency" in plan and not re.search(r"SCAN date_latency|Seq Scan on date_latency|TEMP B-TREE", plan), plan


def how_it_reads(database: Database, query: Any) -> list[str]:
    """The database's plan of a query, where it is not tempted by the table being small."""
    text = str(query.compile(database.engine, compile_kwargs={"literal_binds": True}))
    with database.read_scope() as session:
        if not database.on_postgresql:
            return [row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [row[0] for row in session.connection().exec_driver_sql(f"EXPLAIN {text}")]


def test_the_server_gives_tiles_and_refuses_what_is_none(web: Web) -> None:
    client = web.user(Role.VIEWER)
    tile = tile_at(8, -1.5, 52.1)
    answer = client.get(f"/tiles/bursts/{tile.z}/{tile.x}/{tile.y}?direction=A")
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert shapes_of(answer.content, tile, "bursts")
    assert client.get(f"/tiles/frames/{tile.z}/{tile.x}/{tile.y}").content
    assert client.get("/tiles/bursts/3/9/0").status_code == 400
    assert client.get("/tiles/bursts/99/0/0").status_code == 400
    assert client.get("/tiles/bursts/5/0/0?track=x").status_code == 422
    assert sum(f["properties"]["bursts"] for f in client.get("/map/cells").json()["features"]) == len(web.database.query(Burst))


def test_bursts_are_previewed_and_made_a_frame(web: Web) -> None:
    ids = [row.id for row in web.database.query(Burst)][:4]
    add_file(web.database, datetime(2023, 3, 3, 6, 14, tzinfo=UTC), bursts())
    client = web.user(Role.OPERATOR)
    text = client.get("/map/preview", params={"bursts": ",".join(ids)}).text
    assert "4 bursts" in text and "2023-03-03" in text
    assert "1_2_IW9" in client.get("/map/preview?bursts=1_2_IW9").text
    assert "No burst is picked" in client.get("/map/preview").text
    wrong = act(client, "/map/frame", bursts=",".join(ids), frame_id="<b>")
    assert wrong.status_code == 400 and "<b>" not in wrong.text.split("frame_id")[0]
    made = client.post("/map/frame", data={"csrf": csrf_of(client), "bursts": ",".join(ids), "frame_id": "132A_MADE_HERE"})
    assert (made.status_code, made.headers["location"]) == (303, "/frames/132A_MADE_HERE")
    (frame,) = web.database.query(Frame, id="132A_MADE_HERE")
    assert not frame.processing and [b.id for b in frame.bursts] == sorted(ids)
    assert act(web.user(Role.VIEWER), "/map/frame", bursts=ids[0], frame_id="132A_X").status_code == 403


@pytest.mark.slow
def test_the_land_is_where_it_is_on_both_sides_of_the_180th_meridian() -> None:
    world = json.loads((STATIC / "vendor" / "world.json").read_text())
    land = [shapely.Polygon(rings[0], rings[1:]) for rings in world["features"][0]["geometry"]["coordinates"]]
    parts = shapely.STRtree([shapely.make_valid(one) for one in land])
    dry = [(-0.1, 51.5), (-175, 66.5), (179, 66), (178, -17.8), (0, -89), (-100, 60), (-40, 72)]
    wet = [(-40, 55), (-150, 0), (-178, 58), (0, 85), (100, 82), (-20, 66.8), (170, 0)]
    for places, is_dry in ((dry, True), (wet, False)):
        for place in places:
            assert bool(len(parts.query(shapely.Point(place), predicate="intersects"))) is is_dry, place
    assert 21_000 < sum(one.area for one in land) < 22_000, "square degrees, Antarctica to the pole"


def _drag(page: Page, corners: list[tuple[float, float]]) -> None:
    """Along the corners and back to the first, with the button down."""
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in (*corners[1:], corners[0]):
        page.mouse.move(*corner, steps=5)
    page.mouse.up()


def test_a_frame_is_made_by_clicks_on_the_map(browser: Browser, web: Web) -> None:
    web.user(Role.OPERATOR)
    watched = Watched(browser, web.url)
    watched.log_in("operator1", PASSWORD)
    page = watched.page
    page.goto("/map")
    until(lambda: page.evaluate("!!window.satdaemonMap && satdaemonMap.loaded()"), 60.0, "the map")
    expect(page.locator("#colours li")).to_have_text(["nothing done", "half of all rows done", "all done"])
    page.get_by_label("Frames coloured by").select_option("latency, from sensing to points")
    expect(page.locator("#colours li")).to_have_count(4)
    expect(page.locator("#colours")).to_contain_text("7 days after sensing")
    watched.picture("map-latency")
    page.get_by_label("Frames coloured by").select_option("not shown")
    expect(page.locator("#colours li")).to_have_count(0)
    page.locator("[name=bursts]").select_option("ascending")
    page.evaluate("satdaemonMap.jumpTo({center: [-1.53, 52.1], zoom: 9})")
    until(lambda: page.evaluate("satdaemonMap.queryRenderedFeatures({layers: ['bursts']}).length > 3"), 60.0, "bursts")
    watched.picture("map")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#preview")).to_contain_text("of track 132, ascending", timeout=30_000)
    page.get_by_role("button", name="Pick none").click()
    expect(page.locator("#picked-words")).to_have_text("No burst is picked.")
    page.evaluate("satdaemonMap.jumpTo({center: [-1.53, 52.1], zoom: 7.5})")  # all of each is in sight
    until(lambda: page.evaluate("satdaemonMap.loaded() && satdaemonMap.areTilesLoaded()"), 60.0, "the map from farther off")
    page.get_by_label("pick bursts by a lasso").check()
    left, top, right, bottom = box["x"] + 5, box["y"] + 5, box["x"] + box["width"] - 60, box["y"] + box["height"] - 5
    _drag(page, [(left, top), (right, top), (left, bottom)])
    expect(page.locator("#picked-words")).to_have_text(re.compile("^[1-5] bursts$"))  # the triangle has the north and west alone
    _drag(page, [(left, top), (right, top), (right, bottom), (left, bottom)])
    expect(page.locator("#preview")).to_contain_text("6 bursts", timeout=30_000)
    watched.picture("map-picked")
    assert watched.barriers() == []
    page.get_by_label("Id of the new frame").fill("132A_CLICKED_HERE")
    page.get_by_role("button", name="Make the frame").click()
    page.wait_for_url("**/frames/132A_CLICKED_HERE", timeout=30_000)
    assert len(web.database.query(Frame, id="132A_CLICKED_HERE")[0].bursts) == 6
    watched.close()
    assert watched.problems == []


def test_what_takes_long_is_kept_and_read_again_in_the_background() -> None:
    reads: list[int] = []

    def read() -> int:
        reads.append(len(reads))
        if len(reads) == 2:
            raise OSError("away")
        return reads[-1]

    kept = Kept(read, every_s=0.05)
    assert [kept.get() for _ in range(3)] == [0, 0, 0]
    until(lambda: kept.get() >= 2, 10.0, "another reading, after one that failed")


def test_many_share_one_reading_and_a_change_is_seen_at_once() -> None:
    count = iter(range(100))

    def read() -> int:
        time.sleep(0.2)
        return next(count)

    shared = Shared(read, lasts_s=30.0)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: shared.get(), range(16))) == {0}
    shared.forget()
    assert shared.get() == 1 and shared.get() == 1
    short = Shared(read, lasts_s=0.0)
    first = short.get()
    assert short.get() == first, "lasts as long as reading took"
    until(lambda: short.get() > first, 5.0, "another reading")


def test_what_was_drawn_stays_until_it_is_of_something_else() -> None:
    drawn: Drawn[int] = Drawn()
    one, other = object(), object()
    assert [drawn.get(1, one, lambda text=text: text) for text in (b"a", b"b")] == [b"a", b"a"]  # type: ignore[misc]
    assert drawn.get(2, one, lambda: b"c") == b"c"
    assert drawn.get(1, other, lambda: b"d") == b"d"
