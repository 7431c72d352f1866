"""How often a download is tried, and how long is waited between two tries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from satdaemon.archive.connections import Patience
from satdaemon.archive.pace import Bandwidth
from satdaemon.errors import SatDaemonError, Throttled

Warn = Callable[[str], None]
"""Told, in words without secrets, what went wrong and was tried again or elsewhere."""


def nobody_warned(message: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a download treats an archive."""

    patience: Patience = field(default_factory=Patience)
    tries: int = 5
    """Failures in a row after which it is given up."""
    bad_tries: int = 3
    """Whole transfers with wrong length or checksum after which the archive's file counts as bad."""
    enough_bytes: int = 64 << 20
    """A try that brought so many bytes was none in vain: the count begins again."""
    pause_first_s: float = 1.0
    """Before the second try; doubles a try."""
    pause_most_s: float = 60.0
    wait_most_s: float = 60.0
    """A longer Retry-After is not waited for on a machine: Throttled gives the job back."""
    bandwidth: Bandwidth | None = None


class Tries:
    """Counts the failures of one download."""

    def __init__(self, manner: Manner, warn: Warn) -> None:
        self._manner, self._warn = manner, warn
        self._failed = 0

    def after(self, error: SatDaemonError, gained: int, asked_s: float | None = None) -> None:
        """Sleep before the next try, as long as the archive asked for (`asked_s`) or a growing, scattered time.

        Raises the error where it was the last try, or where the archive asks for more time than is waited here.
        """
        if gained >= self._manner.enough_bytes:
            self._failed = 0
        self._failed += 1
        if self._failed >= self._manner.tries:
            raise error
        if isinstance(error, Throttled) and asked_s is not None and asked_s > self._manner.wait_most_s:
            raise error
        pause_s = min(self._manner.pause_first_s * 2.0 ** (self._failed - 1), self._manner.pause_most_s) * random.uniform(0.5, 1)
        if isinstance(error, Throttled) and asked_s is not None:
            pause_s = max(pause_s, asked_s * random.uniform(1.0, 1.1))
        self._warn(f"{error}; tried again in {pause_s:.1f} s")
        time.sleep(pause_s)
