"""A value that takes long to read: read again in the background when it is old, so that no page waits but the first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger("satdaemon.web")


class Kept(Generic[T]):
    """Is read at most so often: every `every_s` seconds, and no more than a twentieth of the time."""

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
