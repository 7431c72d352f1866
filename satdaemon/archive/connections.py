"""One connection to an archive, direct or through the system's proxy, and what can go wrong with it, said."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from satdaemon.archive.secrets import redacted
from satdaemon.errors import ArchiveError, RequestError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a server. There is no limit on a whole transfer: a slow line may take its hours."""

    connect_s: float = 20.0
    """Until it takes the connection, TLS included."""
    stall_s: float = 60.0
    """Without a single byte from it."""

    @classmethod
    def within(cls, timeout_s: float) -> Self:
        """The usual, or less where so long without a byte counts as no answer."""
        usual = cls()
        return cls(min(timeout_s, usual.connect_s), timeout_s)


def split(url: str) -> SplitResult:
    """The parts of an address. RequestError for one that is not http(s), has no host, or carries a login."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(c.isspace() or not c.isprintable() for c in url):
        raise RequestError(f"expected an http:// or https:// address, got {redacted(url)!r}")
    if parts.username is not None or parts.password is not None:
        raise RequestError(f"{redacted(url)}: expected an address without a login in it; give the credentials apart")
    return parts


def host_of(url: str) -> tuple[str, int]:
    """Host and port that an address leads to."""
    parts = split(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]


@contextmanager
def talking(url: str, patience: Patience) -> Iterator[None]:
    """Turn what can go wrong on the line into ArchiveError with the address and the reason."""
    place = redacted(url)
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise ArchiveError(
            f"{place}: expected a certificate that this system trusts, got: {error.verify_message}; "
            "see to the clock and the system's certificates (SSL_CERT_FILE)"
        ) from None
    except TimeoutError:
        raise ArchiveError(
            f"{place}: does not answer: no connection within {patience.connect_s:g} s, or no byte for {patience.stall_s:g} s"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        words = redacted(f"{type(error).__name__}: {error}")
        raise ArchiveError(f"{place}: the connection fails ({words})") from None


def connect(url: str, patience: Patience) -> tuple[http.client.HTTPConnection, str]:
    """An open connection, and the target to ask it for. Raises as `http.client`: use within `talking`."""
    parts = split(url)
    host, port = host_of(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    proxy = _proxy(parts.scheme, host)
    via, via_port = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or _PORTS[proxy.scheme])
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    link = kind(via, via_port, timeout=patience.connect_s)
    if proxy is not None and parts.scheme == "https":
        link.set_tunnel(host, port, _login(proxy))
    elif proxy is not None:
        target = parts._replace(fragment="").geturl()
    try:
        link.connect()
    except BaseException:
        link.close()
        raise
    link.sock.settimeout(patience.stall_s)
    return link, target


def proxy_headers(url: str) -> dict[str, str]:
    """What the proxy of plain http wants to see with each request."""
    parts = split(url)
    proxy = _proxy(parts.scheme, parts.hostname or "") if parts.scheme == "http" else None
    return {} if proxy is None else _login(proxy)


def _proxy(scheme: str, host: str) -> SplitResult | None:
    address = getproxies().get(scheme)
    if not address or proxy_bypass(host):
        return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise RequestError(f"{scheme}_proxy: expected an http:// address, got {redacted(address)!r}")
    return proxy


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
