"""The pages over a finished demo, in Chromium: what a person sees of a real frame, and the pictures that the docs show."""

from __future__ import annotations

import re

from browser import Watched
from engine_parts import until
from playwright.sync_api import Browser, expect
from web_parts import PASSWORD, served

from satdaemon.config import Settings
from satdaemon.db import Database, RsarIfg
from satdaemon.db.access import users
from satdaemon.status import ProcStatus, Role
from satdaemon.web.access.passwords import hashed

PERSON = "demo.operator"


def look_at_every_page(browser: Browser, settings: Settings, frame_id: str, kept: str = "demo", width: int = 1400) -> None:
    """Each page says what the frame is, without a barrier, an error or a sideways scroll; pictures are kept as `KEPT-PAGE`."""
    database = Database(settings)
    if users.find(database, PERSON) is None:
        users.create(database, PERSON, Role.OPERATOR, password=hashed(PASSWORD), who="the test")
    done = [pair for pair in database.query(RsarIfg, frame_id=frame_id) if pair.status is ProcStatus.DONE]
    pair = min(done, key=lambda one: (one.date1, one.date2))
    addresses = {
        "overview": "/", "frames": "/frames", "frame": f"/frames/{frame_id}", "image": f"/frames/{frame_id}/{pair.date2}",
        "pair": f"/frames/{frame_id}/{pair.date1}/{pair.date2}", "failures": "/failures", "machines": "/machines",
        "history": "/history",
    }  # fmt: skip
    words = {
        "frame": "Mean velocity", "pair": "Unwrapped phase", "image": "Amplitude", "frames": frame_id, "machines": "CPU",
        "overview": "Machines", "failures": "Failures by cause", "history": "History",
    }  # fmt: skip
    with served(settings) as web:
        watched = Watched(browser, web.url, width)
        watched.log_in(PERSON, PASSWORD)
        barriers: dict[str, list[str]] = {}
        for name, address in addresses.items():
            _open(watched, address)
            expect(watched.page.locator("main")).to_contain_text(words[name])
            watched.picture(f"{kept}-{name}")
            if found := [*watched.barriers(), *(["too wide"] if watched.is_too_wide() else []), *_broken(watched)]:
                barriers[name] = found
        _on_the_map(watched, kept)
        _among_the_points(watched, frame_id, kept)
        watched.close()
        assert (barriers, watched.problems) == ({}, [])
    database.close()


def _open(watched: Watched, address: str) -> None:
    answer = watched.page.goto(address)
    assert answer is not None and answer.status == 200, address
    if address.startswith("/frames"):  # the others renew themselves without end
        watched.page.wait_for_load_state("networkidle")


def _broken(watched: Watched) -> list[str]:
    """Pictures that did not come."""
    script = "[...document.images].filter((one) => one.complete && !one.naturalWidth).map((one) => one.src)"
    return [f"no picture: {source}" for source in watched.page.evaluate(script)]


def _on_the_map(watched: Watched, kept: str) -> None:
    watched.page.goto("/map")
    watched.page.wait_for_load_state("networkidle")
    expect(watched.page.locator("#map canvas")).to_be_visible()
    shown = "satdaemonMap.queryRenderedFeatures({layers: ['frame-points']}).length === 1"
    until(lambda: watched.page.evaluate(shown), 60.0, "the frame on the map")
    watched.picture(f"{kept}-map")


def _among_the_points(watched: Watched, frame_id: str, kept: str) -> None:
    """The middle of the map is the middle of the frame: a click finds the point nearest to it."""
    page = watched.page
    page.goto(f"/frames/{frame_id}/points")
    page.wait_for_load_state("networkidle")
    canvas = page.locator("#map canvas")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#series svg")).to_be_visible()
    expect(page.locator("#series")).to_contain_text(re.compile(r"mm"))
    watched.picture(f"{kept}-points")
