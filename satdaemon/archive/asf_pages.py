"""The pages that asf-search asks for: fetched by our own means, so that a bad entry or a bad page never breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from satdaemon.archive.found import Finds
from satdaemon.archive.web import Asker
from satdaemon.errors import ArchiveError, RequestError

AFTER = "CMR-Search-After"
MOST_PAGES = 100
BAD_ENTRY = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, RecursionError)


class Pages:
    """Stands where asf-search has its HTTP session's `post`, and reads each page's entries with asf-search's own reader.

    asf-search loses a page for one entry that it cannot read, and ends when it has as many entries as the catalogue
    announced: too early where one appears on two pages, never where the announcement is not kept. So it is shown
    pages without entries, which say whether there are more; `take` has what was read.
    """

    def __init__(self, asf_search: Any, asker: Asker, finds: Finds, page: int) -> None:
        self._read = import_module(f"{asf_search.__name__}.search.search_generator").as_ASFProduct
        self._asker, self._finds, self._page = asker, finds, page
        self._products: list[Any] = []
        self._known: set[str] = set()
        self._pages = 0
        self.session = asf_search.ASFSession()
        self.session.post = self.post

    def take(self) -> list[Any]:
        """Products that were read since the last call."""
        taken, self._products = self._products, []
        return taken

    def post(self, url: str, data: Any, timeout: float | None = None) -> _Page:
        """Fetch and read one page. Raises as `Asker.ask` does, and RequestError where there are too many."""
        after = self.session.headers.get(AFTER)
        if after is None:
            self._known.clear()
            self._pages = 0
        form = [(name, str(self._page) if name == "page_size" else str(value)) for name, value in data]
        reply = self._asker.ask("POST", urlsplit(url).path, form=form, headers={} if after is None else {AFTER: after})
        value = reply.value
        items, hits = (value.get("items"), value.get("hits")) if isinstance(value, dict) else (None, None)
        if not isinstance(items, list) or not isinstance(hits, int):
            raise self._odd("a document without a list of products")
        coming = reply.headers.get(AFTER)
        self._pages += 1
        if coming is not None and hits > MOST_PAGES * self._page:
            most = MOST_PAGES * self._page
            raise RequestError(
                f"{self._asker.archive}: expected at most {most} products, got {hits}; narrow the times or the area"
            )
        if self._pages > MOST_PAGES or (coming is not None and coming == after):
            raise self._odd("pages without end")
        before = len(self._known)
        for item in items:
            self._add(item)
        if coming is not None and before < len(self._known) < hits:
            return _Page({"items": [], "hits": 1}, {AFTER: coming})
        return _Page({"items": [], "hits": 0}, {})

    def _add(self, item: Any) -> None:
        try:
            product = self._read(item, self.session)
            self._known.add(str(product.umm.get("GranuleUR")))
            self._products.append(product)
        except BAD_ENTRY:
            self._finds.skip("an entry that cannot be read")
            self._known.add(f"unreadable {len(self._known)}")

    def _odd(self, got: str) -> ArchiveError:
        host = urlsplit(self._asker.base).netloc
        return ArchiveError(f"{self._asker.archive} ({host}): expected pages of products, got {got}; try again later")


class _Page:
    """As much of a response as asf-search looks at."""

    def __init__(self, value: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self._value = value
        self.headers = headers
        self.status_code = 200

    def json(self) -> Mapping[str, Any]:
        return self._value

    def raise_for_status(self) -> None:
        """What is bad was raised before."""
