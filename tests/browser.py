"""A real browser: Debian's Chromium, driven by Playwright; what axe-core finds on a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("SATDAEMON_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = Path(os.environ.get("SATDAEMON_PICTURES", "build/pictures"))
"""Where pictures of the pages are kept, for people to look at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        found.close()


class Watched:
    """A page that remembers what went wrong on it."""

    def __init__(self, browser: Browser, url: str, width: int = 1400, scheme: Any = "light") -> None:
        context = browser.new_context(base_url=url, viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page: Page = context.new_page()
        self.width, self.scheme = width, scheme
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:  # drawn without a graphics card
            self.problems.append(message.text)

    def log_in(self, name: str, password: str) -> None:
        """By the form."""
        self.page.goto("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/")

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}-{self.width}-{self.scheme}.png", full_page=True)

    def barriers(self) -> list[str]:
        """What axe-core finds that keeps people from using the page."""
        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:160]}" for v in found]

    def is_too_wide(self) -> bool:
        """True where the page has to be scrolled sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def close(self) -> None:
        """End it."""
        self.page.context.close()
