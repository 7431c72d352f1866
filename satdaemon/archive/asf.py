"""Search of NASA's archive (Alaska Satellite Facility) by asf-search, which asks the Common Metadata Repository."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from satdaemon.archive.area import Area, Query
from satdaemon.archive.asf_pages import Pages
from satdaemon.archive.found import Finds, Found, Listed, NotListed, first_of, listed_scene
from satdaemon.archive.web import Asker, checked_base
from satdaemon.errors import RequestError

CATALOGUE = "https://cmr.earthdata.nasa.gov"
PRODUCT_HOSTS = ("asf.alaska.edu", "earthdatacloud.nasa.gov")
"""Where products may be: a login goes to their addresses."""
PAGE = 1000
LIBRARY_ERRORS = ("ASFError", "CMRError")


class AsfCatalogue:
    """The catalogue at `base`. Products are believed to be at `hosts` (or below them) and at the catalogue's own host."""

    name = "asf"

    def __init__(
        self,
        base: str = CATALOGUE,
        hosts: tuple[str, ...] = PRODUCT_HOSTS,
        *,
        timeout_s: float = 60.0,
        pause_s: float = 1.0,
        page: int = PAGE,
    ) -> None:
        self.base = checked_base(self.name, base)
        self.hosts = hosts if base == CATALOGUE else (*hosts, urlsplit(self.base).netloc)
        self.timeout_s, self.pause_s, self.page = timeout_s, pause_s, page

    def search(self, area: Area) -> Found:
        """All IW SLC scenes of the area.

        Raises ArchiveError where the catalogue does not answer as it should, RequestError where it refuses the question.
        """
        asf_search = _library()
        finds = Finds()
        with Asker(self.name, self.base, timeout_s=self.timeout_s, pause_s=self.pause_s) as asker:
            for query in area.queries():
                self._ask(asf_search, query, Pages(asf_search, asker, finds, self.page), finds)
            return finds.of(area, asker.requests)

    def _ask(self, asf_search: Any, query: Query, pages: Pages, finds: Finds) -> None:
        options = asf_search.ASFSearchOptions(host=urlsplit(self.base).netloc, session=pages.session, **asked(asf_search, query))
        errors = tuple(getattr(asf_search, name) for name in LIBRARY_ERRORS)
        try:
            for _ in asf_search.search_generator(opts=options):
                for product in pages.take():
                    try:
                        finds.add(listed(product.properties, product.geometry, product.umm, product.meta, self.hosts))
                    except NotListed as reason:
                        finds.skip(str(reason))
        except errors as error:
            raise RequestError(f"{self.name}: expected a question that asf-search takes, got: {error}") from error


def asked(asf_search: Any, query: Query) -> dict[str, Any]:
    """A question in the words of asf-search."""
    found: dict[str, Any] = {
        "dataset": asf_search.DATASET.SENTINEL1,
        "processingLevel": asf_search.PRODUCT_TYPE.SLC,
        "beamMode": asf_search.BEAMMODE.IW,
        "flightDirection": {"A": "ASCENDING", "D": "DESCENDING", None: None}[query.direction],
        "relativeOrbit": _tracks(query.tracks),
        "start": None if query.start_utc is None else query.start_utc.astimezone(UTC),
        "end": None if query.stop_utc is None else query.stop_utc.astimezone(UTC),
    }
    keywords = []
    if query.ring is not None:
        # asf-search's own way makes a box around the globe of what crosses the 180th meridian.
        keywords.append(("polygon", ",".join(f"{lon:.6f},{lat:.6f}" for lon, lat in query.ring)))
    if query.since_utc is not None:
        # asf-search's own way finds what had its description revised, which happens to years of products at once.
        until = "" if query.until_utc is None else f"{query.until_utc.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        keywords.append(("created_at[]", f"{query.since_utc.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ},{until}"))
    found["cmr_keywords"] = keywords or None
    return {name: value for name, value in found.items() if value is not None}


def listed(properties: Any, geometry: Any, umm: Any = None, meta: Any = None, hosts: tuple[str, ...] = PRODUCT_HOSTS) -> Listed:
    """A scene from a product of asf-search, or from its GeoJSON (which has no `umm`). Raises NotListed with the reason."""
    if not isinstance(properties, Mapping) or not isinstance(geometry, Mapping):
        raise NotListed("no product")
    if properties.get("processingLevel") != "SLC" or properties.get("beamModeType") != "IW":
        raise NotListed("no IW SLC product")
    name, rings = properties.get("sceneName"), geometry.get("coordinates")
    sensing = _inner(umm, "TemporalExtent", "RangeDateTime")
    return listed_scene(
        name,
        # asf-search cuts times to whole seconds.
        start=first_of((sensing.get("BeginningDateTime"), properties.get("startTime"))),
        stop=first_of((sensing.get("EndingDateTime"), properties.get("stopTime"))),
        track=properties.get("pathNumber"),
        direction=properties.get("flightDirection"),
        url=product_url(properties.get("url"), name, hosts),
        ring=rings[0] if isinstance(rings, list) and rings else None,
        size=properties.get("bytes"),
        md5=properties.get("md5sum"),
        # Usually the start of sensing. PROCESSING_DATE of the `umm` is when NASA took it in, years later for some.
        processed=properties.get("processingDate"),
        published=_inner(meta).get("revision-date"),
    )


def product_url(value: Any, name: Any, hosts: tuple[str, ...]) -> str:
    """An address that may be given a login: of a known host, of this product, without a login in it. Raises NotListed."""
    try:
        parts = urlsplit(value) if isinstance(value, str) and value.isascii() and value.isprintable() else None
        netloc = "" if parts is None else parts.netloc.lower()
    except ValueError:
        parts, netloc = None, ""
    known = "@" not in netloc and any(netloc == host or netloc.endswith(f".{host}") for host in hosts)
    if parts is None or not known or parts.path.rpartition("/")[2] != f"{name}.zip" or parts.query or parts.fragment:
        raise NotListed("an address that is not the archive's")
    # Without TLS only at an address that is configured with its port: a stand-in, or a mirror of the site.
    if parts.scheme != "https" and not (parts.scheme == "http" and netloc in hosts and parts.port):
        raise NotListed("an address that is not the archive's")
    return str(value)


def _library() -> Any:
    """asf-search, which takes seconds to load, and left alone reports errors to its makers."""
    library: Any = import_module("asf_search")
    library.REPORT_ERRORS = False
    # It logs each page as incomplete, and each error that is raised here.
    library.ASF_LOGGER.setLevel(logging.CRITICAL)
    return library


def _tracks(tracks: tuple[int, ...]) -> list[Any] | None:
    """Neighbours as one range, which is one question; track 175 and 1 are two."""
    if not tracks:
        return None
    first, last = min(tracks), max(tracks)
    return [(first, last)] if last - first <= 1 else [first, last]


def _inner(value: Any, *path: str) -> Mapping[str, Any]:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
