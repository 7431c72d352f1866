"""What kinds of files come over HTTP, and how each begins: a page for people in its place is found out at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_BURST = re.compile(r"S1_\d+_(?P<swath>IW[123])_(?P<start>\d{8}T\d{6})_(?P<pol>[VH]{2})_(?P<crc>[0-9A-F]{4})-BURST\b")
"""How the burst extractor calls a file."""
_APART_S = 2.0
"""Bursts of a swath begin 2.76 s apart; the name has whole seconds."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of file."""

    name: str
    """With its article, for messages."""
    begins: tuple[bytes, ...]
    most_bytes: int | None = None
    """A larger one is none."""
    is_made_on_demand: bool = False
    """202 says that it is being made: ask again."""

    is_another: Callable[[str], bool] = field(default=lambda name: False, compare=False)
    """True for what a server calls a file that is not the one that was asked for."""

    def fits(self, head: bytes) -> bool:
        """True where these bytes may be its beginning."""
        return any(head.startswith(one[: len(head)]) for one in self.begins)


ZIP = Form("a zip", (b"PK",))
TIFF_BEGINS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""TIFF 6.0 and BigTIFF, of both byte orders."""
XML_BEGINS = (b"<", b"\xef\xbb\xbf<")


def burst_tiff(most_bytes: int, scene_id: str, swath: str, polarisation: str, azimuth_utc: datetime) -> Form:
    """A burst's pixels, cut out on demand. `azimuth_utc`: of its first line."""

    def is_another(name: str) -> bool:
        match = _BURST.match(name)
        if match is None:
            return False
        apart_s = (datetime.strptime(match["start"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) - azimuth_utc).total_seconds() + 0.5
        own = (swath, polarisation.upper(), scene_id[-4:])
        return (match["swath"], match["pol"], match["crc"]) != own or abs(apart_s) > _APART_S

    return Form("a TIFF", TIFF_BEGINS, most_bytes, is_made_on_demand=True, is_another=is_another)


def scene_xml(most_bytes: int) -> Form:
    """A scene's annotation in one document, gathered on demand."""
    return Form("an XML document", XML_BEGINS, most_bytes, is_made_on_demand=True)
