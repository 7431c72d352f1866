"""Requests to an archive over HTTP: redirects, and a token that is shown to no host but those it is for."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urljoin

from satdaemon import __version__
from satdaemon.archive.connections import Patience, connect, host_of, proxy_headers, split, talking
from satdaemon.archive.secrets import Secret, redacted
from satdaemon.errors import ArchiveError, CredentialsError, RequestError

REDIRECTS = 10
_MOVED = (301, 302, 303, 307, 308)
_MOST_BYTES = 1 << 20
"""Of an answer that is read whole."""
_LOGIN_PAGES = ("/oauth/authorize", "/openid-connect/auth", "/oauth/login")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token and the hosts that may see it.

    A host is a name, for it and all below it over https on port 443 (`asf.alaska.edu`), or `host:port` for exactly that.
    """

    token: Secret
    hosts: tuple[str, ...]
    cookie: Secret | None = None
    """`NAME=VALUE` of a login, for services that know no tokens."""

    def is_for(self, url: str) -> bool:
        """True where the token may be sent to this address."""
        host, port = host_of(url)
        is_open = split(url).scheme == "https" and port == 443
        return any(
            f"{host}:{port}" == name if ":" in name else is_open and (host == name or host.endswith(f".{name}"))
            for name in self.hosts
        )

    def header(self, archive: str = "") -> str:
        """Value of the header Authorization. CredentialsError where the token has signs that no header may have."""
        text = self.token.reveal()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise CredentialsError(f"{archive or 'token'}: expected a token of letters, digits and signs, got other characters")
        return f"Bearer {text}"

    def headers(self) -> dict[str, str]:
        """What shows who asks; errors as `header`."""
        return {"Authorization": self.header(), **({} if self.cookie is None else {"Cookie": self.cookie.reveal()})}


class Answer:
    """An answer whose body is still to come. Close it, or use it as a context."""

    def __init__(self, url: str, link: http.client.HTTPConnection, got: http.client.HTTPResponse, patience: Patience) -> None:
        self.url = url
        self.status = got.status
        self.reason = got.reason
        self.headers: Message = got.headers
        self.trail: tuple[str, ...] = ()
        """Addresses that led here, the first asked first."""
        self.was_shown_token = self.was_shown_cookie = False
        self._link, self._got, self._patience = link, got, patience

    def read(self, most: int) -> bytes:
        """The next bytes, as many as are there, up to `most`; none at the end. ArchiveError where the line fails."""
        with talking(self.url, self._patience):
            return self._got.read1(most)

    def words(self, most: int = 300) -> str:
        """The beginning of the body as one line of text without secrets, for a message."""
        kind = self.headers.get_content_type()
        if not (kind.startswith("text/") or kind.endswith(("json", "xml"))):
            return ""
        return " ".join(redacted(self.whole(4096).decode("utf-8", "replace")).split())[:most]

    def whole(self, most: int = _MOST_BYTES) -> bytes:
        """The body, up to `most` bytes."""
        found = bytearray()
        while len(found) < most and (block := self.read(most - len(found))):
            found += block
        return bytes(found)

    @property
    def asks_for_login(self) -> bool:
        """True where a token that was sent, or none, got 401, and where the way led to a page to log in at.

        A 401 of another host that the way led to, without the token, speaks of the signature in its address. Who wants a
        cookie says 403 where it has expired.
        """
        if self.status == 403 and self.was_shown_cookie:
            return True
        if self.status == 401 and (self.was_shown_token or not self.trail):
            return True
        return any(page in split(url).path for url in (*self.trail, self.url) for page in _LOGIN_PAGES)

    def close(self) -> None:
        """Give the connection up."""
        self._got.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def get(
    url: str,
    patience: Patience,
    *,
    bearer: Bearer | None = None,
    headers: Mapping[str, str] | None = None,
    is_enough: Callable[[Answer], bool] = lambda answer: False,
) -> Answer:
    """Ask for an address and follow where it leads, to http(s) only and never from https to http.

    An answer that leads on is returned itself where it `is_enough`. Raises ArchiveError where the line fails or the way leads
    nowhere; an answer of any status is returned.
    """
    trail: list[str] = []
    while True:
        shown = bearer is not None and bearer.is_for(url)
        own = bearer.headers() if bearer is not None and shown else {}
        answer = _ask("GET", url, patience, {**(headers or {}), **own})
        if answer.status not in _MOVED or is_enough(answer):
            answer.trail, answer.was_shown_token, answer.was_shown_cookie = tuple(trail), shown, "Cookie" in own
            return answer
        with closing(answer):
            trail.append(url)
            url = _next(url, answer, trail)


def post(url: str, patience: Patience, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
    """Send a form; redirects are not followed: what is sent is for this address alone."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _ask("POST", url, patience, {**(headers or {}), **kind}, urlencode(form).encode())


def _ask(method: str, url: str, patience: Patience, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    fixed = {"Accept-Encoding": "identity", "User-Agent": f"satdaemon/{__version__}", "Connection": "close"}
    with talking(url, patience):
        link, target = connect(url, patience)
        try:
            link.request(method, target, body, {**fixed, **proxy_headers(url), **headers})
            return Answer(url, link, link.getresponse(), patience)
        except BaseException:
            link.close()
            raise


def _next(url: str, answer: Answer, trail: Sequence[str]) -> str:
    first, place = redacted(trail[0]), answer.headers.get("Location", "")
    if len(trail) > REDIRECTS:
        raise ArchiveError(f"{first}: expected the file after at most {REDIRECTS} redirects, got one more, to {redacted(place)}")
    target = urljoin(url, place).partition("#")[0]
    try:
        parts = split(target)
    except RequestError as error:
        raise ArchiveError(f"{first}: leads to a place that is not followed: {error}") from None
    if not place or (split(url).scheme == "https" and parts.scheme != "https"):
        raise ArchiveError(f"{first}: expected to be led on over https, got {redacted(place) or 'no place'!r}")
    return target
