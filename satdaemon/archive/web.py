"""Questions to an archive's catalogue over HTTP: bounded in time, tries and size; errors that say what to do."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from satdaemon.archive.answers import retry_after_s
from satdaemon.errors import ArchiveError, ConfigError, RequestError

MOST_BYTES = 64 << 20
"""A page of results is a few MB."""
MOST_WAIT_S = 60.0
"""Waits longer than this are left to whoever asked."""
TRIES = 3
Pairs = Iterable[tuple[str, str]]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON document that an archive answered."""

    value: Any
    headers: Mapping[str, str]
    """Names in any case."""


class _Passing(Exception):
    """A failure that may pass at once; the message says what came instead of an answer."""

    def __init__(self, got: str, wait_s: float | None = None) -> None:
        super().__init__(got)
        self.wait_s = wait_s


class Asker:
    """Asks one archive for `what`. `base`: scheme, host and port; ConfigError where it is none, or holds a login."""

    def __init__(
        self, archive: str, base: str, *, timeout_s: float = 60.0, pause_s: float = 1.0, what: str = "search results"
    ) -> None:
        self.archive, self.what = archive, what
        self.base = checked_base(archive, base)
        self.timeout_s, self.pause_s = timeout_s, pause_s
        self.requests = 0
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False, verify=_tls())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def ask(
        self, method: str, path: str, *, query: Pairs = (), form: Pairs = (), headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The document at a path of the archive.

        Raises RequestError where the archive refuses the question itself (400, 413, 414), ArchiveError where it does not
        answer as it should, with `retry_after_s` where it says when to come back.
        """
        data = httpx.QueryParams(list(form)) if form else None
        request = httpx.Request(
            method,
            f"{self.base}{path}",
            params=list(query) or None,
            headers={"Accept": "application/json", "User-Agent": "satdaemon", **(headers or {})} | _form_type(data),
            content=None if data is None else str(data).encode(),
        )
        return self._asked(request, _json)

    def content(self, path: str, *, query: Pairs = ()) -> bytes:
        """What is at a path of the archive, whole, up to `MOST_BYTES`; no page of HTML. Raises as `ask`."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "satdaemon"}
        return self._asked(httpx.Request("GET", f"{self.base}{path}", params=list(query) or None, headers=headers), _plain_bytes)

    def _asked(self, request: httpx.Request, read: Callable[[bytes, Mapping[str, str]], _T]) -> _T:
        wait_s = self.pause_s
        for attempt in range(1, TRIES + 1):
            try:
                return read(*self._once(request))
            except _Passing as error:
                wait_s = wait_s if error.wait_s is None else error.wait_s
                if attempt == TRIES or wait_s > MOST_WAIT_S:
                    raise ArchiveError(self._said(f"{error}; try again later"), retry_after_s=error.wait_s) from error
            time.sleep(wait_s)
            wait_s *= 2
        raise AssertionError("unreachable")

    def _once(self, request: httpx.Request) -> tuple[bytes, Mapping[str, str]]:
        self.requests += 1
        try:
            response = self._client.send(request, stream=True)
            try:
                content = self._read(response)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise _Passing(f"no answer within {self.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _Passing(f"{type(error).__name__}: {_plain(str(error))}") from error
        self._check(response, content)
        return content, response.headers

    def _read(self, response: httpx.Response) -> bytes:
        until = time.monotonic() + 3 * self.timeout_s
        content = bytearray()
        for block in response.iter_bytes(1 << 16):
            content += block
            if len(content) > MOST_BYTES:
                raise ArchiveError(self._said(f"more than {MOST_BYTES >> 20} MB; narrow the search"))
            if time.monotonic() > until:
                raise _Passing(f"an answer that took longer than {3 * self.timeout_s:g} s")
        return bytes(content)

    def _check(self, response: httpx.Response, content: bytes) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        got = f"HTTP {status}"
        if status == 429 or status >= 500:
            raise _Passing(got, retry_after_s(response.headers.get("Retry-After")))
        if status in (400, 413, 414):
            raise RequestError(self._said(f"{got}: {_reason(content)}; change what is asked for"))
        raise ArchiveError(self._said(f"{got}; is the address right, and may this machine ask it?"))

    def _said(self, got: str) -> str:
        return f"{self.archive} ({urlsplit(self.base).netloc}): expected {self.what}, got {got}"


def _json(content: bytes, headers: Mapping[str, str]) -> Reply:
    try:
        return Reply(json.loads(content), headers)
    except (ValueError, RecursionError) as error:
        kind = "a page of HTML" if content.lstrip()[:1] == b"<" else "what cannot be read as JSON"
        raise _Passing(kind) from error


def _plain_bytes(content: bytes, headers: Mapping[str, str]) -> bytes:
    if headers.get("Content-Type", "").startswith("text/html"):
        raise _Passing("a page of HTML")
    return content


def checked_base(archive: str, base: str) -> str:
    """Scheme, host, port and path prefix of an address, without a slash at the end. Raises ConfigError; shows no login."""
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and bool(httpx.URL(base))
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good or parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(f"{archive}: expected an address such as https://host, without a login in it, got another")
    return base.rstrip("/")


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that are trusted, loaded once: it takes 0.1 s."""
    return httpx.create_ssl_context()


def _form_type(data: httpx.QueryParams | None) -> dict[str, str]:
    return {} if data is None else {"Content-Type": "application/x-www-form-urlencoded"}


def _reason(content: bytes) -> str:
    """What the archive says is wrong, in one short line."""
    return _plain(content[:400].decode("utf-8", "replace")) or "no reason given"


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
