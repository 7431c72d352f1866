"""Search of the Copernicus Data Space by its OData catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from shapely.affinity import translate
from shapely.geometry import box

from satdaemon.archive.area import Area, Footprint, Query, unrolled
from satdaemon.archive.found import Finds, Found, Listed, NotListed, listed_scene
from satdaemon.archive.web import Asker, checked_base
from satdaemon.errors import ArchiveError, RequestError

CATALOGUE = "https://catalogue.dataspace.copernicus.eu"
DOWNLOAD = "https://download.dataspace.copernicus.eu"
PATH = "/odata/v1/Products"
PAGE = 1000
"""The most that the catalogue gives at once."""
MOST_SKIP = 10000
"""It does not count further than this."""
UNIQUE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class CdseCatalogue:
    """The catalogue at `base`; the products it lists have addresses at `download`."""

    name = "cdse"

    def __init__(
        self,
        base: str = CATALOGUE,
        download: str | None = None,
        *,
        timeout_s: float = 60.0,
        pause_s: float = 1.0,
        page: int = PAGE,
    ) -> None:
        self.base = checked_base(self.name, base)
        self.download = checked_base(self.name, download or (DOWNLOAD if base == CATALOGUE else base))
        self.timeout_s, self.pause_s, self.page = timeout_s, pause_s, page

    def search(self, area: Area) -> Found:
        """All IW SLC scenes of the area.

        Raises ArchiveError where the catalogue does not answer as it should, RequestError where it refuses the question, or
        the question has more than 11,000 answers.
        """
        finds = Finds()
        with Asker(self.name, self.base, timeout_s=self.timeout_s, pause_s=self.pause_s) as asker:
            for query in area.queries():
                for entry in self._entries(asker, query):
                    try:
                        finds.add(listed(entry, self.download))
                    except NotListed as reason:
                        finds.skip(str(reason))
            return finds.of(area, asker.requests)

    def _entries(self, asker: Asker, query: Query) -> Iterator[Any]:
        asked = [
            ("$filter", filter_of(query)),
            ("$expand", "Attributes"),
            ("$top", str(self.page)),
            ("$orderby", "ContentDate/Start asc" if query.since_utc is None else "PublicationDate asc"),
        ]
        yield from self.entries(asker, asked)

    def entries(self, asker: Asker, asked: list[tuple[str, str]]) -> Iterator[Any]:
        """Every entry that a question finds, page by page. ArchiveError where the pages are odd."""
        seen: set[str] = set()
        while True:
            value = asker.ask("GET", PATH, query=asked).value
            entries = value.get("value") if isinstance(value, dict) else None
            if not isinstance(entries, list):
                raise self._odd("a document without a list of products")
            yield from entries
            link = value.get("@odata.nextLink")
            if link is None or not entries:
                return
            asked = self._next(link)
            if link in seen:
                raise self._odd("a next page that was there before")
            seen.add(link)
            if any(name == "$skip" and (not text.isdigit() or int(text) > MOST_SKIP) for name, text in asked):
                raise RequestError(
                    f"{self.name}: expected at most {MOST_SKIP + PAGE} products, got more; narrow the times or the area"
                )
            if len(seen) > 2 * MOST_SKIP / self.page + 2:
                raise self._odd("pages without end")

    def _next(self, link: Any) -> list[tuple[str, str]]:
        """The question of a next link, which has to be one to the same catalogue."""
        if not isinstance(link, str):
            raise self._odd("a next page without an address")
        try:
            parts, own = urlsplit(link), urlsplit(self.base)
            same = (parts.hostname, parts.port) == (own.hostname, own.port) and parts.username is None
        except ValueError as error:
            raise self._odd("a next page without an address") from error
        if not same or parts.path != f"{own.path}{PATH}":
            raise self._odd("a next page at another place")
        return parse_qsl(parts.query, keep_blank_values=True)

    def _odd(self, got: str) -> ArchiveError:
        return ArchiveError(f"{self.name} ({urlsplit(self.base).netloc}): expected pages of products, got {got}; try again later")


def filter_of(query: Query) -> str:
    """`$filter` of a question."""
    terms = ["Collection/Name eq 'SENTINEL-1'", _attribute("String", "productType", "'IW_SLC__1S'")]
    if query.direction is not None:
        terms.append(_attribute("String", "orbitDirection", "'ASCENDING'" if query.direction == "A" else "'DESCENDING'"))
    if query.tracks:
        terms.append(f"({' or '.join(_attribute('Integer', 'relativeOrbitNumber', str(track)) for track in query.tracks)})")
    if query.ring is not None:
        areas = [f"OData.CSC.Intersects(area=geography'SRID=4326;{wkt}')" for wkt in _polygons(query.ring)]
        terms.append(areas[0] if len(areas) == 1 else f"({' or '.join(areas)})")
    if query.start_utc is not None:
        terms.append(f"ContentDate/End ge {zulu(query.start_utc)}")
    if query.stop_utc is not None:
        terms.append(f"ContentDate/Start le {zulu(query.stop_utc)}")
    if query.since_utc is not None:
        terms.append(f"PublicationDate ge {zulu(query.since_utc)}")
    if query.until_utc is not None:
        terms.append(f"PublicationDate lt {zulu(query.until_utc)}")
    return " and ".join(terms)


def listed(entry: Any, download: str = DOWNLOAD) -> Listed:
    """A scene from an entry of the catalogue. Raises NotListed with the reason."""
    if not isinstance(entry, Mapping):
        raise NotListed("no product")
    name, unique, dates = entry.get("Name"), entry.get("Id"), entry.get("ContentDate")
    if not isinstance(unique, str) or UNIQUE.match(unique) is None:
        raise NotListed("no id")
    dates = dates if isinstance(dates, Mapping) else {}
    attributes = _attributes(entry.get("Attributes"))
    return listed_scene(
        name.removesuffix(".SAFE") if isinstance(name, str) else name,
        start=dates.get("Start"),
        stop=dates.get("End"),
        track=attributes.get("relativeOrbitNumber"),
        direction=attributes.get("orbitDirection"),
        url=f"{download}{PATH}({unique})/$value",
        ring=_ring(entry.get("GeoFootprint")),
        size=entry.get("ContentLength"),
        md5=_md5(entry.get("Checksum")),
        processed=attributes.get("processingDate"),
        published=entry.get("PublicationDate"),
    )


def _attributes(value: Any) -> dict[Any, Any]:
    pairs = value if isinstance(value, list) else []
    return {a["Name"]: a.get("Value") for a in pairs if isinstance(a, Mapping) and isinstance(a.get("Name"), str)}


def _md5(value: Any) -> Any:
    sums = value if isinstance(value, list) else []
    return next((s.get("Value") for s in sums if isinstance(s, Mapping) and s.get("Algorithm") == "MD5"), None)


def _ring(value: Any) -> Any:
    """The outer ring; around all parts where the footprint is cut at the 180th meridian."""
    if not isinstance(value, Mapping):
        return None
    parts = value.get("coordinates")
    try:
        if value.get("type") == "Polygon":
            return parts[0]  # type: ignore[index]
        if value.get("type") == "MultiPolygon":
            corners = [(float(lon), float(lat)) for part in parts for lon, lat in part[0]]  # type: ignore[union-attr]
            return [((lon + 180) % 360 - 180, lat) for lon, lat in unrolled(corners).exterior.coords]
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise NotListed("a footprint that is none") from error
    return None


def _attribute(kind: str, name: str, value: str) -> str:
    return (
        f"Attributes/OData.CSC.{kind}Attribute/any(att:att/Name eq '{name}' and att/OData.CSC.{kind}Attribute/Value eq {value})"
    )


def _polygons(ring: Footprint) -> list[str]:
    """Well-known text; in two parts where the ring crosses the 180th meridian, which the catalogue does not know."""
    whole = unrolled(ring)
    parts = [translate(whole.intersection(box(west, -90, west + 360, 90)), -180 - west) for west in (-540, -180, 180)]
    return [f"POLYGON(({', '.join(f'{lon:.6f} {lat:.6f}' for lon, lat in p.exterior.coords)}))" for p in parts if p.area > 0]


def zulu(time_utc: datetime) -> str:
    """As the catalogue wants times."""
    return f"{time_utc.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
