"""The body of an answer into a part: one thread takes it from the line, another writes it and computes the checksum."""

from __future__ import annotations

import queue
import threading

from satdaemon.archive.http import Answer
from satdaemon.archive.pace import Bandwidth, Meter
from satdaemon.archive.part import Part

CHUNK = 1 << 20
"""Most bytes taken from the line at a time."""
_WAITING = 8
"""Most chunks between the threads: with CHUNK, the memory that a download takes."""


class _Writer(threading.Thread):
    """Appends chunks to a part; the first error is kept for the one who hands them over."""

    def __init__(self, part: Part) -> None:
        super().__init__(name="download-writer", daemon=True)
        self._part = part
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self.error: BaseException | None = None

    def run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            if self.error is None:
                try:
                    self._part.append(chunk)
                except BaseException as error:  # noqa: BLE001 - handed to the other thread, which raises it
                    self.error = error

    def put(self, chunk: bytes) -> None:
        if self.error is not None:
            raise self.error
        self._chunks.put(chunk)

    def end(self) -> None:
        """Wait until all that was handed over is written."""
        self._chunks.put(None)
        self.join()


def receive(answer: Answer, part: Part, most: int | None, meter: Meter, bandwidth: Bandwidth | None, head: bytes) -> int:
    """Append the body to the part, and return how many bytes came. `head`: its beginning, taken already.

    Stops where more than `most` come: then one more is counted, and not written. What came before an error of the line
    (ArchiveError) or of the disk (TransientError) is in the part.
    """
    writer = _Writer(part)
    writer.start()
    came = 0
    try:
        chunk = head
        while chunk:
            if most is not None and came + len(chunk) > most:
                writer.put(chunk[: most - came])
                return most + 1
            came += len(chunk)
            writer.put(chunk)
            meter.add(len(chunk))
            if bandwidth is not None:
                bandwidth.spend(len(chunk))
            chunk = answer.read(CHUNK if bandwidth is None else min(CHUNK, bandwidth.block))
    finally:
        writer.end()
    if writer.error is not None:
        raise writer.error
    meter.tell()
    return came
