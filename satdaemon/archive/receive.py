"""The body of an answer into a part: one thread takes it from the line and writes it, another computes the checksum.

A third makes the disk keep it meanwhile, so that at the end there is little left to wait for.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from satdaemon.archive.http import Answer
from satdaemon.archive.pace import Bandwidth, Meter
from satdaemon.archive.part import Part

CHUNK = 1 << 20
"""Most bytes taken from the line at a time."""
_WAITING = 16
"""Most chunks that wait to be counted: with CHUNK, the memory that a download takes."""
_SETTLE_BYTES = 64 << 20
"""The disk is told to keep what came each time that so much came."""


def receive(answer: Answer, part: Part, most: int | None, meter: Meter, bandwidth: Bandwidth | None, head: bytes) -> int:
    """Append the body to the part, and return how many bytes came. `head`: its beginning, taken already.

    Stops where more than `most` come: then one more is counted, and not written. What came before an error of the line
    (ArchiveError) is in the part. TransientError where the disk is full: the part must then be opened anew.
    """
    block = CHUNK if bandwidth is None else min(CHUNK, bandwidth.block)
    came, chunk = 0, head
    with _Counting(part) as counting, _Settling(part) as settling:
        while chunk:
            is_more = most is not None and came + len(chunk) > most
            if most is not None and is_more:
                chunk = chunk[: most - came]
            part.write(chunk)
            counting.put(chunk)
            came += len(chunk)
            if is_more:
                return came + 1
            meter.add(len(chunk))
            settling.look()
            if bandwidth is not None:
                bandwidth.spend(len(chunk))
            chunk = answer.read(block)
    meter.tell()
    return came


class _Counting:
    """A thread that takes chunks into the checksum; at the end of the context all are in it."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="download-checksum", daemon=True)

    def put(self, chunk: bytes) -> None:
        self._chunks.put(chunk)

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._part.count(chunk)

    def __enter__(self) -> _Counting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._chunks.put(None)
        self._thread.join()


class _Settling:
    """Tells the disk now and then to keep what came; its errors are raised in the thread that looks."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._settled = part.size
        self._pool = ThreadPoolExecutor(1, "download-settle")
        self._running: Future[None] | None = None

    def look(self) -> None:
        if self._part.size - self._settled < _SETTLE_BYTES or not (self._running is None or self._running.done()):
            return
        if self._running is not None:
            self._running.result()
        self._settled, self._running = self._part.size, self._pool.submit(self._part.settle)

    def __enter__(self) -> _Settling:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
