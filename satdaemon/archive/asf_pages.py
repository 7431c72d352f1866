"""The pages that asf-search asks for: fetched by our own means, so that a bad entry or a bad page never breaks it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from satdaemon.archive.found import Finds
from satdaemon.archive.web import Asker
from satdaemon.errors import ArchiveError

AFTER = "CMR-Search-After"
MOST_PAGES = 100
BAD_ENTRY = (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, RecursionError)


class Pages:
    """Stands where asf-search has its HTTP session's `post`.

    asf-search ends when it has as many entries as the catalogue announced. An entry that appears on two pages would
    make it end too early, an announcement that is not kept never; here the end is where nothing new can come.
    """

    def __init__(self, asf_search: Any, asker: Asker, finds: Finds, page: int) -> None:
        self._parsed = _parser(asf_search)
        self._asker, self._finds, self._page = asker, finds, page
        self._known: set[str] = set()
        self._given = self._pages = 0
        self.session = asf_search.ASFSession()
        self.session.post = self.post

    def post(self, url: str, data: Any, timeout: float | None = None) -> _Page:
        """One page, without the entries that asf-search cannot read. Raises as `Asker.ask` does."""
        after = self.session.headers.get(AFTER)
        if after is None:
            self._known.clear()
            self._given = self._pages = 0
        form = [(name, str(self._page) if name == "page_size" else str(value)) for name, value in data]
        reply = self._asker.ask("POST", urlsplit(url).path, form=form, headers={} if after is None else {AFTER: after})
        value = reply.value
        items, hits = (value.get("items"), value.get("hits")) if isinstance(value, dict) else (None, None)
        if not isinstance(items, list) or not isinstance(hits, int):
            raise self._odd("a document without a list of products")
        return self._page_of(items, hits, after, reply.headers.get(AFTER))

    def _page_of(self, items: list[Any], hits: int, after: str | None, coming: str | None) -> _Page:
        self._pages += 1
        if self._pages > MOST_PAGES or (coming is not None and coming == after):
            raise self._odd("pages without end")
        before = len(self._known)
        good = [item for item in items if self._is_readable(item)]
        more = coming is not None and bool(items) and len(self._known) < hits and len(self._known) > before
        self._given += len(good)
        return _Page({"items": good, "hits": self._given + more}, {AFTER: coming} if more and coming is not None else {})

    def _is_readable(self, item: Any) -> bool:
        try:
            product = self._parsed(item, self.session)
            self._known.add(str(product.umm.get("GranuleUR")))
        except BAD_ENTRY:
            self._finds.skip("an entry that cannot be read")
            self._known.add(f"unreadable {len(self._known)}")
            return False
        return True

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


def _parser(asf_search: Any) -> Any:
    """The function of asf-search that reads one entry."""
    return import_module(f"{asf_search.__name__}.search.search_generator").as_ASFProduct
