"""Pictures of products on pages and by the API: seen by those who may, read from the product's directory alone."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from browser import Watched, browser
from frames_made import FRAME
from pictured import pictured_frame, product_of, record
from PIL import Image
from playwright.sync_api import Browser
from web_parts import PASSWORD, Web, served

from satdaemon.db import Database, Product
from satdaemon.db.quicklook_view import quicklooks_of
from satdaemon.status import Role, Stage

__all__ = ["browser"]
FIRST, SECOND = "2023-01-01", "2023-01-13"
DATE, PAIR = "20230101", "20230101_20230113"


@pytest.fixture
def web(database: Database) -> Iterator[Web]:
    pictured_frame(database)
    with served(database.settings) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1000, "dark"), (1900, "light")])
def test_pictures_are_seen_on_all_pages_of_their_product(browser: Browser, web: Web, width: int, scheme: str) -> None:
    web.user(Role.VIEWER)
    job_id = product_of(web.database, Stage.UNWRAP, PAIR).job_id
    watched = Watched(browser, web.url, width, scheme)
    watched.log_in("viewer1", PASSWORD)
    pages = {
        "quicklook-image": (f"/frames/{FRAME}/{FIRST}", ["Amplitude"]),
        "quicklook-pair": (f"/frames/{FRAME}/{FIRST}/{SECOND}", ["Wrapped phase", "Coherence", "Unwrapped phase"]),
        "quicklook-frame": (f"/frames/{FRAME}", ["Mean amplitude of the initial stack", "Mean velocity"]),
        "quicklook-job": (f"/jobs/{job_id}", ["Unwrapped phase"]),
    }
    for name, (address, titles) in pages.items():
        watched.page.goto(address)
        figures = watched.page.locator(".quicklooks figure")
        assert figures.locator("strong").all_inner_texts() == titles, name
        for k, title in enumerate(titles):
            image = figures.nth(k).locator("img")
            image.scroll_into_view_if_needed()
            watched.page.wait_for_function("image => image.complete", arg=image.element_handle())
            assert image.evaluate("image => image.naturalWidth") > 100, f"{name}: {title}"
            assert str(image.get_attribute("alt")).startswith(f"{title} of {FRAME} ")
            colours = figures.nth(k).locator("svg.colours rect")
            assert colours.evaluate("rect => getComputedStyle(rect).fill").startswith("url("), "the legend has its colours"
        watched.picture(name)
        assert (watched.barriers(), watched.is_too_wide()) == ([], False), name
    watched.close()
    assert watched.problems == []


def test_captions_say_range_unit_and_millimetres(web: Web) -> None:
    page = web.user(Role.VIEWER).get(f"/frames/{FRAME}/{FIRST}/{SECOND}").text
    for words in ("3.14 rad", "\N{MINUS SIGN}13.9 mm", "13.9", "away from the satellite", "about north up", "89.5 % has data"):
        assert words in page, words
    (unwrapped,) = quicklooks_of(product_of(web.database, Stage.UNWRAP, PAIR))
    assert f"{unwrapped.most:.3g} rad" in page and f"{abs(unwrapped.most * (unwrapped.mm_per_unit or 0)):.3g} mm" in page


def test_a_picture_is_served_to_viewers_with_its_headers(web: Web) -> None:
    product = product_of(web.database, Stage.COHERENCE, PAIR)
    address = f"/api/products/{product.id}/quicklooks/phase"
    client = web.user(Role.VIEWER)
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.content == Path(product.path, "quicklooks/phase.png").read_bytes()
    assert np.asarray(Image.open(io.BytesIO(answer.content))).any()
    assert answer.headers["content-type"] == "image/png" and answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, max-age=86400" and product.fingerprint[:16] in answer.headers["etag"]
    again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web.stranger().get(address).status_code == 401
    listed = client.get(f"/api/products/{product.id}/quicklooks").json()
    assert [one["name"] for one in listed] == ["phase", "coherence"] and listed[0]["href"] == address
    row = client.get(f"/api/frames/{FRAME}/pairs/{FIRST}/{SECOND}").json()
    assert row["products"][0]["quicklooks"] == listed and row["products"][0]["id"] == product.id
    for wrong, status in (("none", 404), ("..", 404), ("phase.png", 422), ("%2e%2e%2fproduct", 404), ("Phase", 422)):
        assert client.get(f"/api/products/{product.id}/quicklooks/{wrong}").status_code == status, wrong
    assert client.get("/api/products/999999/quicklooks/phase").status_code == 404


def test_nothing_outside_of_the_product_is_served(web: Web, tmp_path: Path) -> None:
    """Whatever a record or a link in the product says."""
    client, product = web.user(Role.VIEWER), product_of(web.database, Stage.SATSAR, DATE)
    (one,) = quicklooks_of(product)
    secret = Path(product.path).parent / "secret.png"
    secret.write_bytes(b"secret")
    address = f"/api/products/{product.id}/quicklooks"
    file = Path(product.path, one.file)
    whole = file.read_bytes()
    file.unlink()
    file.symlink_to(secret)
    assert client.get(f"{address}/amplitude").status_code == 404
    file.unlink()
    file.write_bytes(whole)
    assert client.get(f"{address}/amplitude").status_code == 200
    for outside in ("../secret.png", str(secret), "quicklooks/../../secret.png"):
        web.database.update(Product, {"quicklooks": [{**one.to_json(), "file": outside}]}, id=product.id)
        answer = client.get(f"{address}/secret")
        assert answer.status_code == 404 and answer.content != b"secret", outside
        assert "does not lie in the product" in client.get(f"/frames/{FRAME}/{FIRST}").text.replace("&#39;", "'")


def test_a_picture_that_cannot_be_seen_is_said(web: Web) -> None:
    client, product = web.user(Role.VIEWER), product_of(web.database, Stage.SATSAR, DATE)
    page, address = f"/frames/{FRAME}/{FIRST}", f"/api/products/{product.id}/quicklooks/amplitude"
    Path(product.path, "quicklooks/amplitude.png").unlink()
    assert "amplitude.png is gone" in client.get(page).text and address not in client.get(page).text.split("<defs>")[0]
    answer = client.get(address)
    assert answer.status_code == 404 and "is gone" in answer.json()["detail"]
    shutil.rmtree(product.path)
    assert "is not seen from the host of these pages" in client.get(page).text
    web.database.update(Product, {"removed_utc": datetime(2024, 5, 6, tzinfo=UTC)}, id=product.id)
    assert "files were removed on 2024-05-06 to free space" in client.get(page).text
    record(web.database, product, ())
    assert "quicklooks" not in client.get(page).text


def test_stac_items_have_thumbnails(web: Web) -> None:
    client = web.user(Role.VIEWER)
    item = client.get(f"/stac/collections/{FRAME}/items/{PAIR}").json()
    thumbnails = {name: asset for name, asset in item["assets"].items() if asset["roles"] == ["thumbnail"]}
    assert thumbnails.keys() == {"coherence-phase", "coherence-coherence", "unwrap-unwrapped"}
    for asset in thumbnails.values():
        assert asset["type"] == "image/png" and asset["href"].startswith(f"{web.url}/api/products/")
        assert client.get(asset["href"]).headers["content-type"] == "image/png"
    of_date = client.get(f"/stac/collections/{FRAME}/items/{DATE}").json()["assets"]
    assert of_date["satsar-amplitude"]["title"].startswith("amplitude, ")
