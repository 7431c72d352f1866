"""The pages as people use them: in Chromium, by mouse and keyboard, in both schemes and widths."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from browser import Watched, browser
from frames_made import FRAME, days
from playwright.sync_api import Browser, expect
from web_parts import PASSWORD, Web, failing_frame

from satdaemon.db import FailedJob, Frame, daemon
from satdaemon.db.failure_groups import failure_groups
from satdaemon.status import Role

__all__ = ["browser", "failing_frame"]
DAYS = days(6)
PAGES = {
    "overview": "/", "frames": "/frames", "frame": f"/frames/{FRAME}", "image": f"/frames/{FRAME}/{DAYS[0]}",
    "interferogram": f"/frames/{FRAME}/{DAYS[0]}/{DAYS[1]}", "jobs": "/jobs", "failures": "/failures", "machines": "/machines",
    "history": "/history", "account": "/account", "users": "/users", "dialog": f"/do/frame/{FRAME}/master",
}  # fmt: skip
pytestmark = [pytest.mark.slow]


def opened(browser: Browser, web: Web, role: Role, width: int = 1400, scheme: Literal["light", "dark"] = "light") -> Watched:
    web.user(role)
    watched = Watched(browser, web.url, width, scheme)
    watched.log_in(f"{role}1", PASSWORD)
    return watched


@pytest.mark.parametrize(("width", "scheme"), [(1000, "dark"), (1900, "light")])
def test_every_page_is_fit_for_people(browser: Browser, web: Web, width: int, scheme: Literal["light", "dark"]) -> None:
    watched = opened(browser, web, Role.ADMIN, width, scheme)
    barriers, wide = {}, []
    for name, address in PAGES.items():
        answer = watched.page.goto(address)
        assert answer is not None and answer.status == 200, address
        watched.picture(name)
        if found := watched.barriers():
            barriers[name] = found
        if watched.is_too_wide():
            wide.append(name)
    watched.close()
    assert (barriers, wide, watched.problems) == ({}, [], [])


def test_a_frame_is_switched_off_by_keyboard_alone(browser: Browser, web: Web) -> None:
    watched = opened(browser, web, Role.OPERATOR)
    page = watched.page
    page.goto(f"/frames/{FRAME}")
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the content")).to_be_focused()
    page.get_by_role("button", name="Switch off").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert web.database.query(Frame)[0].processing, "only shown"
    page.get_by_role("button", name="Switch off").focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Switch off").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text(f"{FRAME} is off")
    assert not web.database.query(Frame)[0].processing
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
    watched.close()
    assert watched.problems == []


def test_what_cannot_be_done_is_said_in_the_dialog(browser: Browser, web: Web) -> None:
    watched = opened(browser, web, Role.OPERATOR)
    page = watched.page
    page.goto(f"/frames/{FRAME}")
    page.get_by_role("button", name="Dates from, to").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("First date").fill("2023-05-01")
    dialog.get_by_label("Last date").fill("2023-01-01")
    dialog.get_by_role("button", name="Dates from, to").click()
    expect(dialog.get_by_role("alert")).to_contain_text("expected a start that is not after the end")
    dialog.get_by_label("Last date").fill("2023-06-01")
    dialog.get_by_role("button", name="Dates from, to").click()
    expect(page.get_by_role("status")).to_contain_text("2023-05-01 to 2023-06-01")
    watched.close()


def test_the_overview_renews_itself_and_says_when_it_is_old(browser: Browser, web: Web) -> None:
    watched = opened(browser, web, Role.OPERATOR)
    page = watched.page
    expect(page.get_by_text("running", exact=True).first).to_be_visible()
    daemon_paused = "paused"
    web.database.write(lambda session: daemon.command(session, "pause", who="somebody"))
    expect(page.get_by_text(daemon_paused, exact=True)).to_be_visible(timeout=10_000)
    page.context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("what is shown is old", timeout=10_000)
    page.context.set_offline(False)
    expect(page.get_by_role("status")).to_have_text("", timeout=10_000)
    watched.close()


def test_frames_are_searched_while_one_types_and_the_address_can_be_kept(browser: Browser, web: Web) -> None:
    web.database.insert([Frame(id=f"044D_F{n:03d}", track=44, orbit_direction="D", priority=n) for n in range(60)])
    watched = opened(browser, web, Role.VIEWER)
    page = watched.page
    page.goto("/frames")
    page.get_by_label("Search").fill("F05")
    expect(page.get_by_text("10 frames")).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=F05"))
    page.get_by_role("link", name="priority").click()
    expect(page.locator("tbody tr").first).to_contain_text("044D_F059")
    page.reload()
    expect(page.locator("tbody tr").first).to_contain_text("044D_F059")
    page.get_by_label("Search").fill("")
    page.get_by_role("link", name="next").click()
    expect(page.get_by_text("page 2 of 2")).to_be_visible()
    watched.close()
    assert watched.problems == []


def test_failures_are_tried_again_one_then_all(browser: Browser, web: Web) -> None:
    watched = opened(browser, web, Role.OPERATOR)
    page = watched.page
    page.goto("/failures")
    expect(page.get_by_role("article")).to_have_count(2)
    double = next(group for group in failure_groups(web.database) if group.count == 2)
    card = page.locator(f"[id='{double.key}']")
    card.get_by_role("button", name="Retry one").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry one").click()
    expect(page.get_by_role("status")).to_contain_text("is in the queue again")
    page.locator(f"[id='{double.key}']").get_by_role("button", name="Retry all 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry all").click()
    expect(page.get_by_role("article")).to_have_count(1)
    assert len(web.database.query(FailedJob)) == 1
    watched.close()
    assert watched.problems == []
