"""The unfinished file of a download, the checksum of what is in it, and a note of which file of which archive it is.

The note stands beside it (`.NAME.zip.origin.part`), so that a process that comes after a kill knows whether it may go on.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.forms import ZIP, Form
from satdaemon.archive.secrets import redacted
from satdaemon.archive.tokens import Tokens
from satdaemon.archive.transfer import PART_SUFFIX, part_of, writing
from satdaemon.archive.verify import BLOCK, algorithm_of
from satdaemon.errors import TransientError


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """One place that has a product, or a piece of one. Size (bytes) and checksum (`algorithm:hex`) are those of its file."""

    archive: str
    url: str
    size: int | None = None
    checksum: str | None = None
    tokens: Tokens | None = None
    form: Form = ZIP

    def __repr__(self) -> str:
        return f"Source({self.archive!r}, {redacted(self.url)!r}, {self.size}, {self.checksum!r})"

    @property
    def place(self) -> str:
        """The address without what may be a signature."""
        return self.url.partition("?")[0].partition("#")[0]

    def is_same_file(self, other: Source) -> bool:
        """True where both are known to be equal byte for byte."""
        known = self.size is not None and self.checksum is not None and other.checksum is not None
        return known and self.size == other.size and str(self.checksum).lower() == str(other.checksum).lower()


@dataclass(frozen=True, slots=True)
class Origin:
    """What the bytes of a part are the beginning of."""

    archive: str
    place: str
    size: int | None
    checksum: str | None
    etag: str | None = None
    modified: str | None = None

    @classmethod
    def of(cls, source: Source, etag: str | None = None, modified: str | None = None) -> Self:
        """That of a source's file, with what the server calls its state."""
        return cls(source.archive, source.place, source.size, source.checksum, etag, modified)

    @property
    def validator(self) -> str | None:
        """What If-Range takes: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


class Part:
    """A locked part, open for writing: its `size` in bytes, and the checksum of them."""

    def __init__(self, path: Path, source: Source, progress: Progress = no_progress) -> None:
        self.path = path
        with writing(path):
            self.origin = _read(origin_of(path))
            self._file = os.open(path, os.O_RDWR)
            self.size = os.fstat(self._file).st_size
        self._algorithm = algorithm_of(source.checksum)
        self._digest = hashlib.new(self._algorithm, usedforsecurity=False)
        try:
            self._adopt(source)
            self._hash(progress)
        except BaseException:
            self.close()
            raise

    @property
    def checksum(self) -> str:
        """`algorithm:hex` of what is there."""
        return f"{self._algorithm}:{self._digest.hexdigest()}"

    def begin_anew(self, origin: Origin | None = None) -> None:
        """Drop what is there, and note what comes."""
        with writing(self.path):
            os.ftruncate(self._file, 0)
        self.size = 0
        self._digest = hashlib.new(self._algorithm, usedforsecurity=False)
        self.note(origin)

    def note(self, origin: Origin | None) -> None:
        """Write down what the bytes are the beginning of."""
        if origin == self.origin and origin is not None:
            return
        self.origin = origin
        path = origin_of(self.path)
        with writing(self.path):
            if origin is None:
                path.unlink(missing_ok=True)
                return
            fresh = path.with_name(f"{path.name.removesuffix(PART_SUFFIX)}.new{PART_SUFFIX}")
            fresh.write_text(json.dumps(asdict(origin)))
            fresh.replace(path)

    def write(self, block: bytes) -> None:
        """Write the next bytes. They must be given to `count` too, in order."""
        with writing(self.path):
            rest = memoryview(block)
            while rest:
                written = os.pwrite(self._file, rest, self.size)
                self.size += written
                rest = rest[written:]

    def count(self, block: bytes) -> None:
        """Take the next bytes into the checksum: may be done by another thread than the writing."""
        self._digest.update(block)

    def settle(self) -> None:
        """Make what is there last through a power cut."""
        with writing(self.path):
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file; the lock is the caller's."""
        os.close(self._file)

    def _adopt(self, source: Source) -> None:
        """Keep what is there where it is the beginning of the source's file, or where a known checksum will tell."""
        origin = self.origin
        if self.size == 0:
            return
        if origin is None:
            keep = source.checksum is not None
            self.origin = Origin.of(source) if keep else None
        elif (origin.archive, origin.place) == (source.archive, source.place):
            is_told = source.checksum is not None or origin.validator is not None
            keep = is_told and (origin.size, origin.checksum) == (source.size, source.checksum)
        else:
            keep = source.is_same_file(Source(origin.archive, origin.place, origin.size, origin.checksum))
            # Another server has other names for the same state.
            self.origin = Origin.of(source)
        if not keep or (source.size is not None and self.size > source.size):
            self.begin_anew()

    def _hash(self, progress: Progress) -> None:
        done = 0
        while done < self.size:
            with writing(self.path):
                block = os.pread(self._file, min(BLOCK, self.size - done), done)
            if not block:
                raise TransientError(
                    f"{self.path}: expected {self.size} bytes, got {done}: something else shortens it; stop that"
                )
            self._digest.update(block)
            done += len(block)
            progress(done / self.size)


def origin_of(part: Path) -> Path:
    """Where the note of a part stands."""
    return part_of(part.with_name(part.name.removeprefix(".").removesuffix(PART_SUFFIX) + ".origin"))


def _read(path: Path) -> Origin | None:
    """None where there is no note, or none that can be read: the bytes are then of unknown origin."""
    try:
        found: Any = json.loads(path.read_text())
        origin = Origin(**found)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    texts = (origin.archive, origin.place, origin.checksum, origin.etag, origin.modified)
    good = all(text is None or (isinstance(text, str) and text.isprintable()) for text in texts)
    return origin if good and (origin.size is None or isinstance(origin.size, int)) else None
