"""How a stand-in misbehaves: by a seeded plan, or as told for the next requests of a kind."""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One way to misbehave."""

    UNAUTHORISED = "401"
    FORBIDDEN = "403"
    THROTTLED = "429"
    BROKEN = "500"
    SLOW = "slow"
    """Sends `bytes_per_s`."""
    SILENT = "silent"
    """Says nothing for `seconds`, then closes."""
    CUT = "cut"
    """Closes the connection after the share `at` of the body."""
    LENGTH = "length"
    """Announces, and sends, less than there is: the share `at`."""
    BYTES = "bytes"
    """One byte is wrong, at the share `at` of the file."""
    HTML = "html"
    """A page of HTML with status 200."""
    NO_RANGE = "no range"
    """Takes no notice of a Range header."""
    BODY = "body"
    """`body` in place of the answer, with status 200."""


DOWNLOAD_FAULTS = tuple(fault for fault in Fault if fault not in (Fault.BODY, Fault.SILENT))


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault with its details."""

    fault: Fault
    retry_after_s: float | None = 1.0
    """429 only; None: the answer does not say."""
    bytes_per_s: float = 2e6
    at: float = 0.5
    seconds: float = 5.0
    body: bytes = b""
    content_type: str = "application/json"


class Faults:
    """The troubles of one stand-in.

    Of the requests whose key begins with one of `where`, a share has a trouble of `kinds`, at most `most` times a key,
    so that everything succeeds in the end. The choice depends on seed, key and the key's count alone, whatever the
    order of requests. Keys are `search`, `token`, `download/NAME` (the archive's address) and `data/NAME` (the bytes).
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        share: float = 0.0,
        kinds: Sequence[Fault | Trouble] = DOWNLOAD_FAULTS,
        most: int = 2,
        where: Sequence[str] = ("data/",),
    ) -> None:
        self.seed = seed
        self.share = share
        self.kinds = [kind if isinstance(kind, Trouble) else Trouble(kind) for kind in kinds]
        self.most = most
        self.where = tuple(where)
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._had: Counter[str] = Counter()
        self._told: list[tuple[str, deque[Trouble]]] = []

    def expect(self, where: str, *troubles: Trouble | Fault) -> None:
        """The next requests whose key begins with `where` have these troubles, one each, in order."""
        queue = deque(trouble if isinstance(trouble, Trouble) else Trouble(trouble) for trouble in troubles)
        with self._lock:
            self._told.append((where, queue))

    @property
    def had(self) -> Mapping[str, int]:
        """How many troubles each key had by the plan."""
        with self._lock:
            return dict(self._had)

    def next(self, key: str) -> Trouble | None:
        """The trouble of this request; None: it is answered well."""
        with self._lock:
            self._asked[key] += 1
            for where, queue in self._told:
                if queue and key.startswith(where):
                    return queue.popleft()
            if not key.startswith(self.where) or not self.kinds or self._had[key] >= self.most:
                return None
            dice = random.Random(f"{self.seed} {key} {self._asked[key]}")
            if dice.random() >= self.share:
                return None
            self._had[key] += 1
            return dice.choice(self.kinds)
