"""One file from one archive into its part: carried on where it ends, until size and checksum are right."""

from __future__ import annotations

import re
from typing import NoReturn

from satdaemon.archive.answers import LICENCE, refusal, retry_after_s
from satdaemon.archive.http import Answer, Bearer, get
from satdaemon.archive.pace import Meter, Told, nobody
from satdaemon.archive.part import Origin, Part, Source
from satdaemon.archive.receive import CHUNK, receive
from satdaemon.archive.secrets import redacted
from satdaemon.archive.transfer import require_space, writing
from satdaemon.archive.tries import Manner, Tries, Warn, nobody_warned
from satdaemon.errors import ArchiveError, CorruptProduct, CredentialsError, InPreparation, NotInArchive, Throttled

_RANGE = re.compile(r"bytes\s+(?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)\s*")


class Download:
    """The transfer of a source's file to a part that is locked by the caller."""

    def __init__(self, source: Source, part: Part, manner: Manner, *, told: Told = nobody, warn: Warn = nobody_warned) -> None:
        self._source, self._part, self._manner = source, part, manner
        self._told, self._warn = told, warn
        self._total = source.size
        self._is_whole = source.size is not None and part.size == source.size
        self._asked_s: float | None = None
        self._was_forbidden = False

    def run(self) -> str:
        """Bring what is missing; `algorithm:hex` of the whole.

        Raises
        ------
        CorruptProduct
            Size or checksum are wrong again and again; nothing is kept.
        CredentialsError
            The archive refuses the credentials, or the licence is not accepted.
        Throttled
            It asks for more time than is waited here; what came is kept.
        ArchiveError
            It does not answer as it should (NotInArchive: it has no such file; InPreparation: not yet); what came is kept.
        DiskFull, TransientError, ConfigError
            The disk is full, or cannot be written.
        """
        tries, bad = Tries(self._manner, self._warn), 0
        while True:
            before, self._asked_s = self._part.size, None
            try:
                if not self._is_whole:
                    self._once()
                self._check()
                self._part.settle()
                return self._part.checksum
            except (NotInArchive, InPreparation):
                raise
            except CorruptProduct as error:
                self._drop()
                bad += 1
                if bad >= self._manner.bad_tries:
                    raise
                tries.after(error, self._manner.enough_bytes)
            except (ArchiveError, Throttled) as error:
                tries.after(error, self._part.size - before, self._asked_s)

    def _once(self) -> None:
        self._require_space()
        with self._ask() as answer:
            expected = self._begin(answer)
            most = self._room() if expected is None else expected
            if self._is_whole:
                return
            head = answer.read(CHUNK)
            if self._part.size == 0 and not self._source.form.fits(head):
                self._fail(f"expected {self._source.form.name}, got {redacted(head[:60].decode('utf-8', 'replace'))!r}")
            self._part.note(Origin.of(self._source, answer.headers.get("ETag"), answer.headers.get("Last-Modified")))
            meter = Meter(self._told, self._part.size, self._total)
            came = receive(answer, self._part, most, meter, self._manner.bandwidth, head)
        if most is not None and came > most:
            self._bad(f"expected {self._total or f'at most {self._source.form.most_bytes}'} bytes, got more")
        if expected is not None and came < expected:
            self._fail(f"cut off at byte {self._part.size} of {self._total}")
        self._is_whole = True

    def _ask(self) -> Answer:
        tokens = self._source.tokens
        bearer = None if tokens is None else tokens.bearer()
        answer = self._get(bearer)
        if not answer.asks_for_login:
            return answer
        with answer:
            words = f"{redacted(self._source.url)}: {answer.status} {answer.words()}".rstrip()
        if tokens is None or bearer is None:
            raise CredentialsError(f"{self._source.archive}: {words}: it asks for a login; expected credentials, got none")
        if not bearer.is_for(self._source.url):
            raise CredentialsError(
                f"{self._source.archive}: {words}: it asks for a login, and the token is for {', '.join(bearer.hosts)} alone"
            )
        answer = self._get(tokens.renewed(bearer))
        if answer.asks_for_login:
            answer.close()
            raise tokens.give_up(f"{words}, and so again; {LICENCE}")
        return answer

    def _get(self, bearer: Bearer | None) -> Answer:
        headers = {}
        if self._part.size:
            headers["Range"] = f"bytes={self._part.size}-"
            if self._part.origin is not None and self._part.origin.validator:
                headers["If-Range"] = self._part.origin.validator
        return get(self._source.url, self._manner.patience, bearer=bearer, headers=headers)

    def _begin(self, answer: Answer) -> int | None:
        """Judge the head of the answer and make the part ready for its body; how many bytes are to come, where known."""
        source = self._source
        if answer.status == 202 and source.form.is_made_on_demand:
            wait_s = retry_after_s(answer.headers.get("Retry-After"))
            raise InPreparation(f"{source.archive}: {redacted(source.url)}: is still being made", retry_after_s=wait_s)
        if (error := refusal(source.archive, source.url, answer, source.tokens.source if source.tokens else "")) is not None:
            self._asked_s = retry_after_s(answer.headers.get("Retry-After"))
            if answer.status == 403 and not self._was_forbidden:
                # Firewalls and quotas say 403 for a moment; a licence that is lacking says it again.
                self._was_forbidden = True
                raise ArchiveError(str(error))
            raise error
        self._was_forbidden = False
        first, total = _extent(answer)
        if answer.status == 416:
            self._beyond(total)
            return None
        if answer.headers.get_content_type() == "text/html" or answer.headers.get("Content-Encoding", "identity") != "identity":
            self._fail(f"expected {source.form.name}, got {answer.headers.get('Content-Type')}: {answer.words()}")
        if source.form.is_another(name := answer.headers.get_filename() or ""):
            self._fail(f"expected the file of that address, got {redacted(name)!r}")
        if total is not None and source.size is not None and total != source.size:
            self._bad(f"expected {source.size} bytes, got a file of {total}")
        if total is not None and source.form.most_bytes is not None and total > source.form.most_bytes:
            self._bad(f"expected at most {source.form.most_bytes} bytes, got a file of {total}")
        if answer.status == 206 and (first != self._part.size or self._has_changed(answer)):
            self._part.begin_anew()
            self._fail("the file has changed since the last part of it came; begun anew")
        if answer.status == 200 and self._part.size:
            self._part.begin_anew()
        self._total = total if source.size is None else source.size
        self._require_space()
        return None if self._total is None else self._total - self._part.size

    def _room(self) -> int | None:
        most = self._source.form.most_bytes
        return None if most is None else max(most - self._part.size, 0)

    def _has_changed(self, answer: Answer) -> bool:
        origin, etag = self._part.origin, answer.headers.get("ETag")
        return bool(self._part.size and origin is not None and origin.etag and etag and etag != origin.etag)

    def _beyond(self, total: int | None) -> None:
        """The server has nothing from the part's end on: the file is whole, or another one."""
        if self._source.size is None and total == self._part.size > 0:
            self._is_whole = True
            return
        self._part.begin_anew()
        self._fail(f"the file has {'other' if total is None else total} bytes than those that came of it; begun anew")

    def _check(self) -> None:
        expected, got = self._source.checksum, self._part.checksum
        if self._part.size == 0:
            self._bad(f"expected {self._source.form.name}, got an empty file")
        if expected is not None and expected.lower() != got:
            self._bad(f"expected {expected.lower()}, got {got}")

    def _drop(self) -> None:
        self._part.begin_anew()
        self._is_whole = False

    def _require_space(self) -> None:
        with writing(self._part.path):
            require_space(self._part.path, max((self._total or 0) - self._part.size, 0))

    def _fail(self, what: str) -> NoReturn:
        raise ArchiveError(f"{self._source.archive}: {redacted(self._source.url)}: {what}")

    def _bad(self, what: str) -> NoReturn:
        raise CorruptProduct(
            f"{self._source.archive}: {redacted(self._source.url)}: {what}; the archive's file, or what it says of it, is bad: "
            "fetch it from another archive, search again, or exclude the date"
        )


def _extent(answer: Answer) -> tuple[int, int | None]:
    """The byte that the body begins with, and how many the whole file has."""
    if answer.status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None:
        return -1, None
    total = match["total"]
    return int(match["first"] or -1), None if total == "*" else int(total)
