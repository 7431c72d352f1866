"""GeoJSON as GDAL opens it; the STAC catalogue against the standard's own schemas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pyogrio
import pystac.errors
import pystac.validation
import pytest
import shapely
from frames_made import FRAME, days, make_frame, step
from points_made import show_points, write_points
from web_parts import Web, served

from satdaemon.db import Burst, Database
from satdaemon.status import Role

DAYS = days(6)


@pytest.fixture
def web(database: Database, tmp_path: Path) -> Iterator[Web]:
    make_frame(database)
    for _ in range(3):
        step(database, product=True)
    write_points(tmp_path / "ingested", 300, 4, unknown=("height",))
    show_points(database, FRAME, tmp_path / "ingested")
    with served(database.settings) as found:
        yield found


def opened(client: httpx.Client, address: str, place: Path) -> tuple[list[str], list[object]]:
    """Columns and shapes, as GDAL reads them."""
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/geo+json"), answer.text
    file = place / "a.geojson"
    file.write_bytes(answer.content)
    meta, _, shapes, _ = pyogrio.raw.read(file)
    return list(meta["fields"]), [shapely.from_wkb(shape) for shape in shapes]


def test_gdal_opens_frames_bursts_and_points(web: Web, tmp_path: Path) -> None:
    client = web.user(Role.VIEWER)
    columns, frames = opened(client, "/api/geojson/frames", tmp_path)
    assert len(frames) == 1 and {"id", "track", "done", "failed"} <= set(columns)
    columns, bursts = opened(client, "/api/geojson/bursts?track=132", tmp_path)
    assert len(bursts) == len(web.database.query(Burst)) == 6 and {"id", "swath", "anx"} <= set(columns)
    _, some = opened(client, "/api/geojson/bursts?bbox=-2.1,52.0,-1.9,52.1", tmp_path)
    assert 0 < len(some) < 6
    columns, points = opened(client, f"/api/geojson/points/{FRAME}", tmp_path)
    assert len(points) == 300 and {"velocity", "height_m"} <= set(columns)
    _, few = opened(client, f"/api/geojson/points/{FRAME}?bbox=-2,52,-1.8,52.2&limit=40", tmp_path)
    assert 0 < len(few) <= 40 and all(shapely.box(-2, 52, -1.8, 52.2).covers(point) for point in few)
    nan = client.get(f"/api/geojson/points/{FRAME}").json()["features"]
    assert {f["properties"]["height_m"] is None for f in nan} == {True, False}, "unknown is null"
    assert len(client.get("/api/geojson/frames?bbox=170,-10,-170,10").json()["features"]) == 0, "over the date line"
    for wrong in ("frames?bbox=1,2,3", "frames?bbox=a,b,c,d", "frames?bbox=0,9,1,3", "frames?bbox=nan,0,1,1", "bursts"):
        assert client.get(f"/api/geojson/{wrong}").status_code == 400, wrong
    assert client.get("/api/geojson/points/132A_NONE").status_code == 404


def test_the_catalogue_is_as_the_standard_says(web: Web) -> None:
    client = web.user(Role.VIEWER)
    root = client.get("/stac").json()
    links = {link["rel"]: link["href"] for link in root["links"]}
    assert links["data"].endswith("/stac/collections")
    pystac.validation.validate_dict(root)
    collections = client.get("/stac/collections").json()
    assert collections["numberMatched"] == 1
    collection = client.get(f"/stac/collections/{FRAME}").json()
    pystac.validation.validate_dict(collection)
    assert collection["extent"]["temporal"]["interval"][0][0].startswith(str(DAYS[0]))
    page = client.get(f"/stac/collections/{FRAME}/items?limit=4").json()
    assert page["numberReturned"] == 4 and page["numberMatched"] >= 6
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    items = [*page["features"], *client.get(following.removeprefix(web.url)).json()["features"]]
    for document in items:
        pystac.validation.validate_dict(document)
        assert document["assets"]["download"]["href"].startswith("file:///")
    one = client.get(f"/stac/collections/{FRAME}/items/{DAYS[0]:%Y%m%d}").json()
    assert one["id"] == f"{FRAME}-{DAYS[0]:%Y%m%d}"
    assert client.get(f"/stac/collections/{FRAME}/items/19990101").status_code == 404
    assert client.get("/stac/collections/132A_NONE").json()["detail"].endswith("none of the name")
    assert web.stranger().get("/stac").status_code == 401
    del document["properties"]["datetime"]
    with pytest.raises(pystac.errors.STACValidationError):
        pystac.validation.validate_dict(document)
