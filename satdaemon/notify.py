"""Addresses of people, through Apprise: Teams and any other service that it knows. One message to one address at a time.

What is sent when, and again, is the outbox's business (satdaemon/db/messages) and its sender's (satdaemon/messages).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field

from satdaemon.config import NotifySettings
from satdaemon.errors import ConfigError

MOST_CHARACTERS = 4000
"""Longer bodies are cut: a Teams card holds 28 kB, and nobody reads more. The log has the rest."""
_TYPES = {"info": "info", "warning": "warning", "error": "failure"}
_CARDS = frozenset({"workflow", "workflows", "msteams"})
"""Services whose text is that of an adaptive card: a line ends there with two ends of line."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address of `[NOTIFY] urls`. Its URL holds secrets: `name` is what may be shown of it."""

    url: str = field(repr=False)
    id: str
    name: str
    service: str

    def post(self, title: str, body: str, level: str = "info") -> str | None:
        """Hand a message over; None where the service took it, else why not, in words without secrets."""
        from apprise import Apprise, LogCapture, NotifyFormat

        # A new instance each time: Apprise makes one that is used again wait between two messages.
        apprise = Apprise()
        apprise.add(self.url)
        text = _cut(body or title)
        if self.service in _CARDS:
            text = text.replace("\n", "\n\n")
        try:
            with LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
                taken = apprise.notify(body=text, title=title, notify_type=_TYPES[level], body_format=NotifyFormat.TEXT)
                reason = said.getvalue().strip()
        except Exception as error:  # noqa: BLE001 - whatever a plug-in of Apprise does must not stop the sender
            return self._without_secrets(f"{type(error).__name__}: {error}")
        return None if taken else self._without_secrets(reason or "the service did not take it")

    def _without_secrets(self, text: str) -> str:
        """`text` on one line, without any longer part of the URL beyond its service and host."""
        text = " ".join(text.split())
        host, _, rest = self.url.partition("://")[2].partition("/")
        user = host.rpartition("@")[0]
        for part in sorted(_parts(f"{rest}/{user}"), key=len, reverse=True):
            if len(part) >= 4:
                text = text.replace(part, "****")
        return text[:300]


def targets(settings: NotifySettings) -> tuple[Target, ...]:
    """The addresses of the configuration; ConfigError for one that Apprise does not know."""
    return tuple(_target(place, url) for place, url in enumerate(settings.urls, start=1))


def _target(place: int, url: str) -> Target:
    from apprise import Apprise

    made = Apprise.instantiate(url)
    if made is None:
        scheme = url.partition("://")[0] if "://" in url else "one without a service"
        raise ConfigError(
            f"[NOTIFY] urls: expected addresses that Apprise knows (SERVICE://...), got {scheme[:20]}; see apprise --details"
        )
    # Apprise's own view of it without secrets, and of that no path: a plain webhook's path is one.
    service, _, rest = str(made.url(privacy=True)).partition("://")  # type: ignore[no-untyped-call]
    host = rest.partition("/")[0].partition("?")[0]
    return Target(url, hashlib.sha256(url.encode()).hexdigest()[:16], f"{place}: {service}://{host}", service)


def _parts(text: str) -> list[str]:
    for mark in "?&=/:#":
        text = text.replace(mark, " ")
    return text.split()


def _cut(body: str) -> str:
    if len(body) <= MOST_CHARACTERS:
        return body
    return body[:MOST_CHARACTERS] + f"\n... ({len(body) - MOST_CHARACTERS} characters more: satdaemon notify list)"
