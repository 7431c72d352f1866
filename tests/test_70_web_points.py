"""Points on the map: pixels where points are, series as they were ingested, means as the database gives them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from browser import Watched, browser
from engine_parts import until
from frames_made import FRAME, make_frame
from PIL import Image
from playwright.sync_api import Browser, expect
from points_made import show_points, write_points
from test_70_web_map import tile_at
from web_parts import PASSWORD, Web, served

from satdaemon.db import Database
from satdaemon.db.points import mean_series
from satdaemon.db.tiles.grid import to_metres
from satdaemon.status import Role
from satdaemon.web.pages.series_plot import Curve, series_plot
from satdaemon.web.points_picture import SIDE, Cloud, Clouds, picture

__all__ = ["browser"]
COUNT, DATES = 2500, 9


@pytest.fixture
def web(database: Database, tmp_path: Path) -> Iterator[tuple[Web, dict[str, np.ndarray]]]:
    make_frame(database)
    columns = write_points(tmp_path / "ingested", COUNT, DATES)
    show_points(database, FRAME, tmp_path / "ingested")
    with served(database.settings) as found:
        yield found, columns


def image_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def cloud_of(lon: list[float], lat: list[float], velocity: list[float]) -> Cloud:
    metres = to_metres(np.column_stack([lon, lat]))
    order = np.argsort(metres[:, 0])
    box = (min(lon), min(lat), max(lon), max(lat))
    return Cloud(1, metres[order, 0], metres[order, 1], np.array(velocity, np.float32)[order], box)


def test_each_point_is_a_pixel_of_its_colour() -> None:
    tile = tile_at(10, -1.5, 52.1)
    west, south, east, north = tile.box.bounds
    lon = list(np.linspace(west + 0.1, east - 0.1, 5))
    lat = [(south + north) / 2 + 0.01 * k for k in range(5)]
    image = image_of(picture(cloud_of(lon, lat, [-30.0, -5.0, 0.0, 10.0, np.nan]), tile, 20.0))
    assert image.shape == (SIDE, SIDE, 4) and int((image[..., 3] > 0).sum()) == 4, "the unknown one is not drawn"
    place = to_metres(np.column_stack([lon, lat]))
    w, s, e, n = tile.metres
    for k, (x, y) in enumerate(place[:4]):
        column, row = int((x - w) / (e - w) * SIDE), int((n - y) / (n - s) * SIDE)
        red, _, blue, alpha = (int(v) for v in image[row, column])
        assert alpha == 255, k
        assert (red > blue) if k < 2 else (blue > red) if k == 3 else abs(red - 250) < 3
    assert tuple(image[int((n - place[0][1]) / (n - s) * SIDE), int((place[0][0] - w) / (e - w) * SIDE)][:3]) == (150, 10, 30)


def test_a_pixel_of_several_points_is_their_mean_and_near_ones_are_discs() -> None:
    tile = tile_at(8, -1.5, 52.1)
    image = image_of(picture(cloud_of([-1.5, -1.5000001], [52.1, 52.1], [20.0, -20.0]), tile, 20.0))
    (colour,) = image[image[..., 3] > 0]
    assert tuple(colour[:3]) == (250, 245, 180), "nought"
    close = image_of(picture(cloud_of([-1.5], [52.1], [20.0]), tile_at(16, -1.5, 52.1), 20.0))
    assert 40 <= int((close[..., 3] > 0).sum()) <= 60, "a disc of radius 4"
    edge = tile_at(16, -1.5, 52.1)
    west = edge.box.bounds[0] + 64 / 4096 * 360 / 2**16  # where the tile begins
    other = image_of(picture(cloud_of([west - 1e-7], [52.1], [20.0]), edge, 20.0))
    assert (other[..., 3] > 0).any(), "the disc reaches over from the tile beside"
    assert not image_of(picture(cloud_of([10.0], [10.0], [1.0]), tile, 20.0))[..., 3].any()


def test_points_are_kept_until_others_are_shown(database: Database, tmp_path: Path) -> None:
    make_frame(database)
    write_points(tmp_path / "a", 100, 3)
    show_points(database, FRAME, tmp_path / "a")
    clouds = Clouds(database)
    first = clouds.get(FRAME)
    assert len(first.x) == 100 and clouds.get(FRAME) is first
    write_points(tmp_path / "b", 200, 3, seed=1)
    show_points(database, FRAME, tmp_path / "b", job_id=2)
    assert len(clouds.get(FRAME).x) == 200


def test_the_page_gives_pictures_series_and_means(web: tuple[Web, dict[str, np.ndarray]]) -> None:
    server, columns = web
    client = server.user(Role.VIEWER)
    page = client.get(f"/frames/{FRAME}/points")
    assert "2\N{NARROW NO-BREAK SPACE}500 points" in page.text
    assert f"/frames/{FRAME}/points" in client.get(f"/frames/{FRAME}").text
    tile = tile_at(9, -1.75, 52.25)
    picture_ = client.get(f"/points/{FRAME}/1/{tile.z}/{tile.x}/{tile.y}?most=3")
    assert picture_.headers["content-type"] == "image/png" and (image_of(picture_.content)[..., 3] > 0).any()
    k = 1234
    lon, lat = float(columns["lon"][k]), float(columns["lat"][k])
    near = client.get(f"/points/{FRAME}/series", params={"lon": lon, "lat": lat}).text
    assert str(columns["id"][k]) in near and near.count("<circle") == int((columns["series"][k] != -32768).sum())
    last = columns["series"][k][columns["series"][k] != -32768][-1] / 10
    assert f"{last:.1f} mm" in near
    other = int(columns["id"][77])
    both = client.get(f"/points/{FRAME}/series", params={"ids": [other], "lon": lon, "lat": lat}).text
    assert 'class="curve1"' in both and f"point {other}" in both
    box = {"west": -1.9, "south": 52.1, "east": -1.7, "north": 52.3}
    mean = client.get(f"/points/{FRAME}/area", params=box).text
    found = mean_series(server.database, FRAME, shapely.box(-1.9, 52.1, -1.7, 52.3))
    assert f"mean of {found.points} points" in mean and f"{found.mean_mm[3]:.1f} mm" in mean
    assert "No point is there" in client.get(f"/points/{FRAME}/area?west=20&south=1&east=21&north=2").text
    for wrong, status in (
        (f"/points/{FRAME}/area?west=2&south=1&east=1&north=2", 400), (f"/points/{FRAME}/series", 400),
        (f"/points/{FRAME}/series?ids=999999", 404), ("/points/132A_NONE/series?ids=9", 404), ("/frames/132A_NONE/points", 404),
        (f"/points/{FRAME}/series?lon=999&lat=0", 422), (f"/points/{FRAME}/1/3/9/9", 400),
    ):  # fmt: skip
        assert client.get(wrong).status_code == status, wrong


def test_a_line_is_fitted_through_what_is_known() -> None:
    days = [date(2023, 1, 1) + timedelta(days=12 * k) for k in range(20)]
    years = np.array([(day - days[0]).days / 365.25 for day in days])
    mm = 3.0 - 25.0 * years
    mm[5] = np.nan
    curve = Curve("a", days, mm)
    assert curve.fit == pytest.approx((-25.0, 3.0))
    plot = series_plot([curve, Curve("b", days, np.full(20, np.nan))])
    assert plot is not None and [len(c.dots) for c in plot.curves] == [19, 0]
    assert plot.curves[0].velocity == pytest.approx(-25.0) and plot.curves[1].line is None
    xs = [x for x, _, _ in plot.curves[0].dots]
    assert xs == sorted(xs) and all(0 <= y <= plot.height for _, y, _ in plot.curves[0].dots)
    assert series_plot([Curve("b", days, np.full(20, np.nan))]) is None


@pytest.mark.slow
def test_a_click_shows_a_series_and_a_box_its_mean(browser: Browser, web: tuple[Web, dict[str, np.ndarray]]) -> None:
    server, _ = web
    server.user(Role.VIEWER)
    watched = Watched(browser, server.url)
    watched.log_in("viewer1", PASSWORD)
    page = watched.page
    page.goto(f"/frames/{FRAME}/points")
    until(lambda: page.evaluate("!!window.satdaemonMap && satdaemonMap.loaded()"), 60.0, "the map")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#series")).to_contain_text("m from the click", timeout=30_000)
    page.get_by_label("compare points").check()
    page.mouse.click(box["x"] + box["width"] / 2 + 60, box["y"] + box["height"] / 2)
    expect(page.locator("#series .legend li")).to_have_count(2, timeout=30_000)
    page.get_by_label("mean of a box").check()
    page.mouse.move(box["x"] + box["width"] / 2 - 80, box["y"] + box["height"] / 2 - 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 80, box["y"] + box["height"] / 2 + 80, steps=4)
    page.mouse.up()
    expect(page.locator("#series")).to_contain_text("mean of", timeout=30_000)
    watched.picture("points")
    assert watched.barriers() == []
    watched.close()
    assert watched.problems == []
