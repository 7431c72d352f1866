"""Values that take long to read, or that many ask for at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
log = logging.getLogger("satdaemon.web")


class Kept(Generic[T]):
    """Is read again in the background when it is old, so that no page waits but the first.

    At most every `every_s` seconds, and no more than a twentieth of the time. Nobody asked for long: the first gets an old one.
    """

    def __init__(self, read: Callable[[], T], every_s: float = 30.0) -> None:
        self._read, self._every_s = read, every_s
        self._lock = threading.Lock()
        self._value: T | None = None
        self._due = 0.0
        self._reading = False

    def get(self) -> T:
        """The value, perhaps a little old. Raises as reading does where there is none yet."""
        with self._lock:
            if self._value is None:
                self._renew()
            elif time.monotonic() >= self._due and not self._reading:
                self._reading = True
                threading.Thread(target=self._again, name="kept", daemon=True).start()
            assert self._value is not None
            return self._value

    def _again(self) -> None:
        try:
            self._renew()
        except Exception:
            log.warning("a value could not be read again; the old one stays", exc_info=True)
            self._due = time.monotonic() + self._every_s
        finally:
            self._reading = False

    def _renew(self) -> None:
        began = time.monotonic()
        self._value = self._read()
        took_s = time.monotonic() - began
        self._due = time.monotonic() + max(self._every_s, 20.0 * took_s)


class Shared(Generic[T]):
    """Is read once for all who ask within a second, or within as long as reading takes where that is longer."""

    def __init__(self, read: Callable[[], T], lasts_s: float = 1.0) -> None:
        self._read, self._lasts_s = read, lasts_s
        self._lock = threading.Lock()
        self._value: tuple[T, float] | None = None
        """With the moment until which it serves."""

    def get(self) -> T:
        """The value. Raises as reading does."""
        with self._lock:
            if self._value is None or time.monotonic() >= self._value[1]:
                began = time.monotonic()
                value = self._read()
                now = time.monotonic()
                self._value = value, now + max(self._lasts_s, now - began)
            return self._value[0]

    def forget(self) -> None:
        """Somebody changed something: who asks next sees it."""
        with self._lock:
            self._value = None


class Drawn(Generic[K]):
    """Pictures or tiles that take long to draw, kept as long as what they are drawn of is the same object."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: object = None
        self._kept: dict[K, bytes] = {}

    def get(self, key: K, of: object, draw: Callable[[], bytes]) -> bytes:
        """That of the key, drawn of `of`."""
        with self._lock:
            if self._of is not of:
                self._of, self._kept = of, {}
            if key not in self._kept:
                self._kept[key] = draw()
            return self._kept[key]
