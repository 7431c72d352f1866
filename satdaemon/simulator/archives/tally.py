"""What a stand-in was asked for, so that it can be compared with the least that would have done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping


class Tally:
    """Counts of requests by kind and by product; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._open: Counter[str] = Counter()
        self._peaks: Counter[str] = Counter()

    def add(self, kind: str, name: str = "", amount: int = 1) -> None:
        """Count one request (or `amount` bytes) of a kind, for a product."""
        with self._lock:
            self._counts[kind, name] += amount

    def of(self, kind: str) -> int:
        """All of a kind: `search`, `token`, `refresh`, `download`, `data`, `bytes`, `leak`, `status 429` ..."""
        with self._lock:
            return sum(count for (each, _), count in self._counts.items() if each == kind)

    def by_name(self, kind: str) -> Mapping[str, int]:
        """Those of a kind, by product."""
        with self._lock:
            return {name: count for (each, name), count in self._counts.items() if each == kind}

    def kinds(self) -> Mapping[str, int]:
        """All kinds with their counts."""
        with self._lock:
            found: Counter[str] = Counter()
            for (kind, _), count in self._counts.items():
                found[kind] += count
            return dict(sorted(found.items()))

    def enter(self, kind: str, most: int, patience_s: float = 0.2) -> bool:
        """Begin something that lasts; False where `most` of it are under way.

        A client may ask anew before this side knows that the last byte arrived: so long it waits.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: self._open[kind] < most, patience_s):
                return False
            self._open[kind] += 1
            self._peaks[kind] = max(self._peaks[kind], self._open[kind])
            return True

    def leave(self, kind: str) -> None:
        """End what `enter` began."""
        with self._lock:
            self._open[kind] -= 1
            self._lock.notify_all()

    def under_way(self, kind: str) -> int:
        """How many of what lasts are under way now."""
        with self._lock:
            return self._open[kind]

    def peak(self, kind: str) -> int:
        """The most that were under way at one time."""
        with self._lock:
            return self._peaks[kind]
