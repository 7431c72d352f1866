"""Messages to people, through Apprise: Teams and any other service that it knows."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from satdaemon.config import NotifySettings
from satdaemon.errors import ConfigError

if TYPE_CHECKING:
    from apprise import Apprise

LEVELS = ("info", "warning", "error")
MINUTE_S = 60.0
MOST_CHARACTERS = 4000
"""Longer bodies are cut: a Teams card holds 28 kB, and nobody reads more. The log has the rest."""
_log = logging.getLogger(__name__)


class Sending(StrEnum):
    """What became of a message."""

    SENT = "sent"
    GROUPED = "grouped"
    """Equal to one sent just now: counted, and told when the time of the group is over."""
    LIMITED = "limited"
    """Too many within a minute: counted, and told with the next."""
    BELOW_LEVEL = "below level"
    NO_TARGET = "no target"
    FAILED = "failed"


@dataclass(slots=True)
class _Group:
    """Messages of one kind, title and level."""

    since_s: float
    held: int = 0
    body: str = ""


class Notifier:
    """Sends messages; equal ones within `group_s` become one, and at most `per_minute` go out in a minute.

    Sending never raises: a message that cannot be delivered is logged, and `send` says FAILED. One notifier
    serves all threads of a process; call `flush` before the process ends.

    Raises ConfigError, when made, for an address that Apprise does not know.
    """

    def __init__(self, settings: NotifySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._groups: dict[tuple[str, str, str], _Group] = {}
        self._recent: deque[float] = deque()
        self._limited = 0
        self._targets = _targets(settings)

    def send(self, kind: str, title: str, body: str, level: str = "info") -> Sending:
        """Tell people. `kind` says what it is about (`job`, `daemon`, ...); `level` is info, warning or error."""
        if level not in LEVELS:
            _log.error("message %r: expected a level of %s, got %r; sent as error", title, ", ".join(LEVELS), level)
            level = "error"
        if LEVELS.index(level) < LEVELS.index(self._settings.level):
            return Sending.BELOW_LEVEL
        if self._targets is None:
            return Sending.NO_TARGET
        with self._lock:
            self._tell_due()
            key = (kind, title, level)
            group = self._groups.get(key)
            if group is not None:
                group.held += 1
                group.body = body
                return Sending.GROUPED
            if self._settings.group_s > 0:
                self._groups[key] = _Group(self._clock())
            return self._deliver(kind, title, body, level)

    def flush(self) -> None:
        """Send what is held back, whatever its time."""
        with self._lock:
            self._tell_due(everything=True)
            if self._limited and self._targets is not None:
                self._recent.clear()
                self._deliver("notify", "Messages left out", "", "warning")

    def _tell_due(self, everything: bool = False) -> None:
        now = self._clock()
        for key, group in list(self._groups.items()):
            if everything or now - group.since_s >= self._settings.group_s:
                del self._groups[key]
                if group.held:
                    kind, title, level = key
                    times = "once more" if group.held == 1 else f"{group.held} times more"
                    self._deliver(kind, f"{title} ({times})", f"The last of them:\n{group.body}", level)

    def _deliver(self, kind: str, title: str, body: str, level: str) -> Sending:
        now = self._clock()
        while self._recent and now - self._recent[0] >= MINUTE_S:
            self._recent.popleft()
        if len(self._recent) >= self._settings.per_minute:
            self._limited += 1
            _log.warning("message not sent (more than %d a minute): [%s] %s", self._settings.per_minute, kind, title)
            return Sending.LIMITED
        self._recent.append(now)
        if self._limited:
            body += f"\n({self._limited} other messages were left out: more than {self._settings.per_minute} a minute)"
            self._limited = 0
        return self._hand_over(kind, title, body, level)

    def _hand_over(self, kind: str, title: str, body: str, level: str) -> Sending:
        assert self._targets is not None
        if len(body) > MOST_CHARACTERS:
            body = body[:MOST_CHARACTERS] + f"\n... ({len(body) - MOST_CHARACTERS} characters more in the log)"
        types = {"info": "info", "warning": "warning", "error": "failure"}
        try:
            delivered = self._targets.notify(body=body or title, title=f"[{kind}] {title}", notify_type=types[level])
        except Exception:  # noqa: BLE001 - whatever a plug-in of Apprise does must not stop a job
            _log.exception("message could not be sent: [%s] %s", kind, title)
            return Sending.FAILED
        if not delivered:
            _log.error("message could not be sent to every address of [NOTIFY] urls: [%s] %s: %s", kind, title, body)
            return Sending.FAILED
        return Sending.SENT


def _targets(settings: NotifySettings) -> Apprise | None:
    if not settings.urls:
        return None
    from apprise import Apprise

    found = Apprise()
    for url in settings.urls:
        if not found.add(url):
            # Addresses hold secrets: no more than the service is shown.
            scheme = url.partition("://")[0] if "://" in url else "one without a service"
            raise ConfigError(
                f"[NOTIFY] urls: expected addresses that Apprise knows (SERVICE://...), got {scheme[:20]}; see apprise --details"
            )
    return found
