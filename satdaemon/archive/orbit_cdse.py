"""Orbit files of the Copernicus Data Space: found by its OData catalogue, downloaded with a login."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from satdaemon.archive.answers import LICENCE, refusal
from satdaemon.archive.cdse import PATH, UNIQUE, CdseCatalogue, zulu
from satdaemon.archive.connections import Patience
from satdaemon.archive.eof import OrbitFile
from satdaemon.archive.http import Answer, get
from satdaemon.archive.orbit_offers import Interval, Offer, overlaps
from satdaemon.archive.product import ZIP_ERRORS
from satdaemon.archive.secrets import redacted
from satdaemon.archive.tokens import Tokens
from satdaemon.archive.web import Asker
from satdaemon.errors import ArchiveError, CorruptProduct

MOST_BYTES = 64 << 20
"""A precise orbit has 4.4 MB."""
TRIES = 3


class OrbitCdse:
    """The catalogue at `base`. `tokens`: made when the first file is wanted; the session ends with the file."""

    name = "cdse"

    def __init__(
        self, base: str, download: str, tokens: Callable[[], Tokens], *, timeout_s: float = 60.0, pause_s: float = 1.0
    ) -> None:
        self._catalogue = CdseCatalogue(base, download, timeout_s=timeout_s, pause_s=pause_s)
        self.base, self._tokens = self._catalogue.base, tokens
        self.timeout_s, self.pause_s = timeout_s, pause_s

    def offers(self, kind: str, platform: str, wanted: Sequence[Interval]) -> list[Offer]:
        """The files of a satellite that overlap one of the intervals. ArchiveError where the catalogue does not answer well."""
        if not wanted:
            return []
        first, last = min(begin for begin, _ in wanted), max(end for _, end in wanted)
        terms = [
            "Collection/Name eq 'SENTINEL-1'",
            f"startswith(Name,'{platform}')",
            f"contains(Name,'AUX_{kind}')",
            f"ContentDate/Start lt {zulu(last)}",
            f"ContentDate/End gt {zulu(first)}",
        ]
        asked = [("$filter", " and ".join(terms)), ("$top", "1000"), ("$orderby", "ContentDate/Start asc")]
        with Asker(self.name, self.base, timeout_s=self.timeout_s, pause_s=self.pause_s, what="a list of orbit files") as asker:
            offers = [offer for entry in self._catalogue.entries(asker, asked) if (offer := _offer(entry)) is not None]
        return [o for o in offers if (o.file.kind, o.file.platform) == (kind, platform) and overlaps(o.file, wanted)]

    def content(self, offer: Offer) -> bytes:
        """The file, out of its zip where it comes in one.

        Raises CredentialsError where there is no login or it is refused, ArchiveError where the archive gives nothing.
        """
        tokens = self._tokens()
        url = f"{self._catalogue.download}{PATH}({offer.place})/$value"
        try:
            for number in range(1, TRIES + 1):
                try:
                    return _unzipped(self._bytes(url, tokens), offer.name)
                except ArchiveError:
                    if number == TRIES:
                        raise
                time.sleep(self.pause_s * 2 ** (number - 1))
        finally:
            tokens.end()
        raise AssertionError("unreachable")

    def _bytes(self, url: str, tokens: Tokens) -> bytes:
        patience = Patience.within(self.timeout_s)
        bearer = tokens.bearer()
        answer = get(url, patience, bearer=bearer)
        if answer.asks_for_login:
            answer.close()
            answer = get(url, patience, bearer=tokens.renewed(bearer))
        with answer:
            if answer.asks_for_login:
                raise tokens.give_up(f"{redacted(url)}: {answer.status}, and so again; {LICENCE}")
            if (error := refusal(self.name, url, answer, tokens.source)) is not None:
                raise error
            return self._whole(answer)

    def _whole(self, answer: Answer) -> bytes:
        length = answer.headers.get("Content-Length", "")
        if answer.headers.get_content_type() == "text/html":
            raise self._odd("a page of HTML")
        content = answer.whole(MOST_BYTES)
        if length.isdecimal() and len(content) != int(length):
            raise self._odd(f"{len(content)} bytes of {length}")
        return content

    def _odd(self, got: str) -> ArchiveError:
        return ArchiveError(f"{self.name} ({urlsplit(self._catalogue.download).netloc}): expected an orbit file, got {got}")


def _offer(entry: Any) -> Offer | None:
    """An entry of the catalogue; None where it is no orbit file."""
    name, unique = (entry.get("Name"), entry.get("Id")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(unique, str) or UNIQUE.match(unique) is None:
        return None
    file = OrbitFile.from_name(Path(name.removesuffix(".zip").removesuffix(".SAFE").removesuffix(".EOF") + ".EOF"))
    return None if file is None else Offer(file, unique)


def _unzipped(content: bytes, name: str) -> bytes:
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (member,) = [one for one in archive.infolist() if one.filename.rpartition("/")[2] == name]
            if member.file_size > MOST_BYTES:
                raise CorruptProduct(f"{name}: expected at most {MOST_BYTES >> 20} MB in its zip, got more")
            return archive.read(member)
    except ZIP_ERRORS as error:
        raise CorruptProduct(f"{name}: expected the file in its zip, got {error}") from error
