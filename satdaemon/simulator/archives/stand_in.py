"""What the stand-ins of all archives share: two services on loopback, what they serve, and how they misbehave."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.messages import Answer, Call, refusal
from satdaemon.simulator.archives.server import Loopback
from satdaemon.simulator.archives.shelf import Shelf
from satdaemon.simulator.archives.tally import Tally


class StandIn(ABC):
    """Runs while it is held (`with`). `base` is the address of the archive; its zips are at another.

    `ports`: of both; 0: any that is free.
    """

    def __init__(self, shelf: Shelf, faults: Faults | None, duplicates: bool, ports: tuple[int, int]) -> None:
        self.shelf, self.faults, self.duplicates = shelf, faults or Faults(), duplicates
        self.tally = Tally()
        self._main = Loopback(self._answer, self.tally, port=ports[0])
        self._store = Loopback(self._stored, self.tally, port=ports[1])
        self._stack = ExitStack()
        self.base = self._main.base

    def __enter__(self) -> Self:
        self._stack.enter_context(self._main)
        self._stack.enter_context(self._store)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @abstractmethod
    def _answer(self, call: Call) -> Answer:
        """Of the archive."""

    @abstractmethod
    def _stored(self, call: Call) -> Answer:
        """Of the place where its zips are."""

    def _refused(self, key: str) -> Answer | None:
        """The answer of the next trouble of this kind of request, where there is one that needs no content."""
        trouble = self.faults.next(key)
        return None if trouble is None else refusal(trouble)
