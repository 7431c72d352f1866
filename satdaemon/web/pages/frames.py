"""All frames: searched, sorted and filtered, by an address that can be kept."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, field_validator

from satdaemon.db.frame_list import Show, Sort, frame_page
from satdaemon.web.render import page
from satdaemon.web.state import state_of

router = APIRouter(include_in_schema=False)
SIZES = (25, 50, 100, 200)


class Wanted(BaseModel):
    """What the address asks for."""

    q: str = Field("", max_length=200)
    show: Show = Show.ALL
    track: int | None = Field(None, ge=1, le=175)
    direction: Literal["A", "D"] | None = None
    sort: Sort = Sort.ID
    down: bool = False
    size: int = Field(50, ge=1, le=200)
    page: int = Field(1, ge=1, le=1_000_000)

    @field_validator("track", "direction", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        """A field that a form sends empty."""
        return None if value == "" else value

    def address(self, **changed: object) -> str:
        """The address of this list with other values."""
        values = {**self.model_dump(mode="json"), **changed}
        defaults = type(self)().model_dump(mode="json")
        kept = {key: value for key, value in values.items() if value is not None and value != defaults[key]}
        return "/frames" + (f"?{urlencode(kept)}" if kept else "")

    def sorted_by(self, sort: str) -> str:
        """The address of this list sorted by a column; by the same again, the other way round."""
        down = not self.down if self.sort == sort else sort != Sort.ID.value
        return self.address(sort=sort, down=down, page=1)


@router.get("/frames")
def frames(request: Request, wanted: Annotated[Wanted, Query()]) -> Response:
    """The page; the table alone where HTMX asks for it."""
    found = frame_page(
        state_of(request).database,
        text=wanted.q,
        show=wanted.show,
        track=wanted.track,
        direction=wanted.direction,
        sort=wanted.sort,
        descending=wanted.down,
        limit=wanted.size,
        offset=(wanted.page - 1) * wanted.size,
    )
    last = max(-(-found.total // wanted.size), 1)
    part = request.headers.get("hx-target") == "frames"
    values = {"wanted": wanted, "found": found, "last": last, "shows": list(Show), "sizes": SIZES, "here": "frames"}
    return page(request, "parts/frames.html" if part else "frames.html", values)
