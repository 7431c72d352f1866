"""Templates to answers. Everything that is put into a page is escaped; what states look like is said in one place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from satdaemon import __version__
from satdaemon.status import LedgerState, Role, Stage
from satdaemon.web.access.person import Person
from satdaemon.web.state import state_of

HERE = Path(__file__).parent
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
PAGES = (
    ("overview", "/", "Overview"),
    ("frames", "/frames", "Frames"),
    ("map", "/map", "Map"),
    ("jobs", "/jobs", "Jobs"),
    ("failures", "/failures", "Failures"),
    ("machines", "/machines", "Machines"),
    ("history", "/history", "History"),
)
"""What the menu has: name, address, title."""


def page(request: Request, template: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """A whole page, or the part of one that a template is."""
    found = getattr(request.state, "person", None)
    who = found if isinstance(found, Person) else Person(None, None)
    state = state_of(request)
    ui = state.settings.web.prefect_ui or state.settings.parameters.prefect_api.removesuffix("/api")
    shared = {"request": request, "person": who, "version": __version__, "pages": PAGES, "prefect_ui": ui.rstrip("/")}
    text = environment().get_template(template).render(**shared, **values)
    return HTMLResponse(text, status)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, with what they use."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(time=time_text, ago=ago_text, span=span_text, number=number_text, size=size_text, day=day_text)
    found.globals.update(Stage=Stage, LedgerState=LedgerState, Role=Role)
    return found


def time_text(value: datetime | None) -> str:
    """A time in UTC."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def day_text(value: date | None) -> str:
    """A date."""
    return "" if value is None else value.isoformat()[:10]


def ago_text(value: datetime | None, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    return "never" if value is None else f"{span_text((now - value).total_seconds())} ago"


def span_text(seconds: float | timedelta | None) -> str:
    """A span of time in the largest unit that fits: 3.2 h."""
    if seconds is None:
        return ""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    for unit_s, name in _UNITS:
        if abs(value) >= unit_s:
            return f"{value / unit_s:.3g} {name}"
    return f"{value:.2g} s"


def number_text(value: float | None, digits: int = 0) -> str:
    """A number with thin groups of thousands."""
    return "" if value is None else f"{value:,.{digits}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size_text(value: float | None) -> str:
    """Bytes in the largest unit that fits."""
    if value is None:
        return ""
    for power, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= power:
            return f"{value / power:.3g} {name}"
    return f"{value:.0f} B"
