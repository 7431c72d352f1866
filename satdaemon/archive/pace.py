"""How fast a transfer goes: a limit on it, its rate, and the time that is left."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_S = 10.0
_STEP_S = 0.25


class Bandwidth:
    """A limit in bytes a second on all transfers of a process that share it."""

    def __init__(self, bytes_s: float) -> None:
        if not bytes_s > 0:
            raise ValueError(f"expected a bandwidth above 0 bytes/s, got {bytes_s}")
        self.bytes_s = bytes_s
        self._lock = threading.Lock()
        self._free_at_s = time.monotonic()

    @property
    def block(self) -> int:
        """Bytes to take at a time, so that no pause is longer than a quarter of a second."""
        return max(int(self.bytes_s / 4), 1)

    def spend(self, size: int) -> None:
        """Sleep until so many bytes are due."""
        with self._lock:
            self._free_at_s = max(self._free_at_s, time.monotonic()) + size / self.bytes_s
            wait_s = self._free_at_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)


@dataclass(frozen=True, slots=True)
class Pace:
    """Where a transfer stands."""

    done_bytes: int
    size_bytes: int | None
    bytes_s: float
    """Over the last ten seconds; what stood there from before does not count."""

    @property
    def fraction(self) -> float:
        """Share of the bytes that are there; 0 where the size is not known."""
        return min(self.done_bytes / self.size_bytes, 1.0) if self.size_bytes else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at this rate; None where it cannot be told."""
        if not self.size_bytes or self.bytes_s <= 0:
            return None
        return max(self.size_bytes - self.done_bytes, 0) / self.bytes_s


Told = Callable[[Pace], None]
"""Told where a transfer stands, a few times a second."""


def nobody(pace: Pace) -> None:
    """Nobody wants to know."""


class Meter:
    """Counts the bytes of one transfer and tells of them."""

    def __init__(self, told: Told, done_bytes: int, size_bytes: int | None) -> None:
        self._told, self._done, self._size = told, done_bytes, size_bytes
        self._seen = deque([(time.monotonic(), done_bytes)])

    def add(self, size: int) -> None:
        """So many bytes more; told at most four times a second."""
        self._done += size
        now = time.monotonic()
        if now - self._seen[-1][0] >= _STEP_S:
            self._seen.append((now, self._done))
            self.tell()

    def tell(self) -> None:
        """Tell now."""
        now = time.monotonic()
        while len(self._seen) > 1 and now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        since_s, before = self._seen[0]
        rate = (self._done - before) / (now - since_s) if now > since_s else 0.0
        self._told(Pace(self._done, self._size, rate))
