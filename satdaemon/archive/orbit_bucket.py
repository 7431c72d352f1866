"""The public bucket of orbit files on Amazon S3 (registry of open data: Sentinel-1 Orbits), or a mirror of it. No login.

Names sort by satellite and time of creation, so that a listing which starts at the day when the orbit of an acquisition
was published needs one small page. ESA made some precise orbits anew years later: where that page has none for an old
acquisition, the listing goes on to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from satdaemon.archive.eof import OrbitFile
from satdaemon.archive.orbit_offers import Interval, Offer, overlaps, uncovered
from satdaemon.archive.web import Asker, checked_base
from satdaemon.errors import ArchiveError

BUCKET = "https://s1-orbits.s3.us-west-2.amazonaws.com"
FIRST_PAGE, PAGE = 100, 1000
"""Names asked for at once; 1000 is the most that S3 gives."""
LEAD = {"POEORB": timedelta(days=14), "RESORB": timedelta(0)}
"""No file was created earlier than so long after the beginning of what it covers."""
TAIL = {"POEORB": timedelta(days=60), "RESORB": timedelta(days=2)}
"""Nearly every file was created at most so long after the end of what it covers."""
MOST_PAGES = 200


class OrbitBucket:
    """The bucket at `base`."""

    name = "aws"

    def __init__(self, base: str = BUCKET, *, timeout_s: float = 60.0, pause_s: float = 1.0, page: int = PAGE) -> None:
        self.base = checked_base(self.name, base)
        self.timeout_s, self.pause_s, self.page = timeout_s, pause_s, page

    def offers(self, kind: str, platform: str, wanted: Sequence[Interval]) -> list[Offer]:
        """The files of a satellite that overlap one of the intervals. ArchiveError where the bucket does not answer well."""
        found: list[Offer] = []
        if not wanted:
            return found
        first, last = min(begin for begin, _ in wanted), max(end for _, end in wanted)
        prefix = f"AUX_{kind}/{platform}_OPER_AUX_{kind}_"
        after = f"{prefix}OPOD_{first + LEAD[kind]:%Y%m%d}"
        with self._asker("a listing of orbit files") as asker:
            for file, key, size in self._listed(asker, prefix, after, is_short=len(wanted) == 1):
                if file.created_utc > last + TAIL[kind] and (kind == "RESORB" or not uncovered(wanted, found)):
                    break
                if (file.kind, file.platform) == (kind, platform) and overlaps(file, wanted):
                    found.append(Offer(file, key, size))
        return found

    def content(self, offer: Offer) -> bytes:
        """The file. ArchiveError where the bucket does not answer, or gives another size than it listed."""
        with self._asker("an orbit file") as asker:
            content = asker.content(f"/{quote(offer.place)}")
        if offer.size is not None and len(content) != offer.size:
            raise self._odd(f"{offer.name} of {offer.size} bytes", f"{len(content)} bytes")
        return content

    def _asker(self, what: str) -> Asker:
        return Asker(self.name, self.base, timeout_s=self.timeout_s, pause_s=self.pause_s, what=what)

    def _listed(self, asker: Asker, prefix: str, after: str, is_short: bool) -> Iterator[tuple[OrbitFile, str, int | None]]:
        for number in range(MOST_PAGES):
            most = min(FIRST_PAGE, self.page) if is_short and number == 0 else self.page
            query = [("list-type", "2"), ("prefix", prefix), ("start-after", after), ("max-keys", str(most))]
            root = self._page(asker.content("/", query=query))
            entries = root.findall("{*}Contents")
            for entry in entries:
                key = entry.findtext("{*}Key") or ""
                if not key.startswith(prefix) or key <= after:
                    raise self._odd(f"names after {after}", repr(key[:100]))
                after = key
                file = OrbitFile.from_name(Path(key.rpartition("/")[2]))
                if file is not None:
                    size = entry.findtext("{*}Size") or ""
                    yield file, key, int(size) if size.isdecimal() else None
            if not entries or (root.findtext("{*}IsTruncated") or "").strip() != "true":
                return
        raise self._odd("a listing that ends", f"more than {MOST_PAGES} pages")

    def _page(self, content: bytes) -> Element:
        try:
            root: Element | None = fromstring(content)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise self._odd("a listing in XML", f"what cannot be read ({error})") from error
        if root is None or root.tag.rpartition("}")[2] != "ListBucketResult":
            raise self._odd("a listing in XML", "another document")
        return root

    def _odd(self, expected: str, got: str) -> ArchiveError:
        return ArchiveError(f"{self.name} ({urlsplit(self.base).netloc}): expected {expected}, got {got}; try again later")
