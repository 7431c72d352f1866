"""The burst extractor of NASA's archive: single bursts of a scene, cut out on demand, and the scene's annotation in one document.

Each file goes to a hidden part below the data directory, named after who wants it, and is kept there until it is no longer
needed: what came whole is not fetched again after a kill. All are asked for in turn, so that the extractor works on all at
once, and again while it says that they are being made.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from satdaemon.archive.download import Download
from satdaemon.archive.forms import Form
from satdaemon.archive.pace import Pace, Told, nobody
from satdaemon.archive.part import Part, Source, origin_of
from satdaemon.archive.tokens import Tokens
from satdaemon.archive.transfer import PART_SUFFIX, part_of, writing
from satdaemon.archive.tries import Manner, Warn, nobody_warned
from satdaemon.archive.verify import checksum_of
from satdaemon.errors import ArchiveError, CorruptProduct, InPreparation

MOST_PAUSE_S = 15.0
PATIENCE_S = 900.0
"""So long without a single file ready, and the extractor counts as not answering."""
_MD5_ETAG = re.compile(r'"([0-9a-f]{32})"\Z')
Check = Callable[[Path], None]
"""Raises CorruptProduct where a file is not what it should be."""
Waiting = Callable[[int, int], None]
"""Told how many of how many files are being made."""


def nobody_waits(waiting: int, of: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the extractor."""

    scene_id: str
    swath: str
    """IW1, IW2 or IW3."""
    polarisation: str
    """vv, vh, hh or hv."""
    index: int
    """Place of the burst in the swath, from 0."""
    form: Form
    suffix: str
    """tiff, or xml for the annotation."""
    expected_bytes: int
    check: Check = field(compare=False)

    @property
    def name(self) -> str:
        """Within its scene: `iw1-vv-3.tiff`."""
        return f"{self.swath.lower()}-{self.polarisation}-{self.index}.{self.suffix}"

    def url(self, base: str) -> str:
        """Where the extractor at `base` has it."""
        return f"{base}/{self.scene_id}/{self.swath}/{self.polarisation.upper()}/{self.index}.{self.suffix}"


class Extractor:
    """Brings pieces to `folder`. To be used by one process at a time for one `owner` (a word for file names)."""

    def __init__(
        self,
        base: str,
        tokens: Tokens,
        manner: Manner,
        folder: Path,
        owner: str,
        *,
        told: Told = nobody,
        warn: Warn = nobody_warned,
        waiting: Waiting = nobody_waits,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._base, self._tokens, self._manner = base, tokens, manner
        self._folder, self._owner = folder, owner
        self._told, self._warn, self._waiting, self._patience_s = told, warn, waiting, patience_s
        self.brought = 0
        """Files that were fetched, not found."""

    @property
    def lock(self) -> Path:
        """What is to be locked (`transfer.locked_part`) while the pieces are used."""
        return self._folder / f"{self._owner}.lock"

    def bring(self, pieces: Sequence[Piece], told: Told | None = None) -> dict[Piece, Path]:
        """Bring all; where each stands. `told` hears of it in the place of who hears of all.

        Raises as `Download.run`; ArchiveError too where they are not made in good time.
        """
        told = told or self._told
        self._touch()
        places = {piece: self._whole(piece) for piece in pieces}
        total, done = sum(piece.expected_bytes for piece in pieces), 0
        left, pause_s, since_s = list(pieces), self._manner.pause_first_s, time.monotonic()
        while left:
            later: list[Piece] = []
            asked_s = 0.0
            for piece in left:
                try:
                    self._one(piece, places[piece], _share_of(told, done, piece.expected_bytes, total))
                    done += piece.expected_bytes
                except InPreparation as error:
                    later.append(piece)
                    asked_s = max(asked_s, error.retry_after_s or 0.0)
            if later:
                self._waiting(len(later), len(pieces))
                if len(later) < len(left):
                    pause_s, since_s = self._manner.pause_first_s, time.monotonic()
                elif time.monotonic() - since_s > self._patience_s:
                    within = f"expected it within {self._patience_s / 60:.0f} min, got: is still being made"
                    raise ArchiveError(f"{later[0].url(self._base)}: {within}")
                time.sleep(min(max(pause_s, asked_s), self._patience_s))
                pause_s = min(2 * pause_s, MOST_PAUSE_S)
            left = later
        return places

    def _one(self, piece: Piece, whole: Path, told: Told) -> None:
        if whole.exists() and _passes(whole, piece.check):
            return
        part = part_of(self._folder / f"{self._owner}.{piece.name}")
        with writing(part):
            part.touch()
        source = Source("asf", piece.url(self._base), tokens=self._tokens, form=piece.form)
        self._transfer(piece, source, part, told)
        with writing(part):
            part.replace(whole)
            origin_of(part).unlink(missing_ok=True)
        self.brought += 1

    def _transfer(self, piece: Piece, source: Source, path: Path, told: Told) -> None:
        before = ""
        for count in range(1, self._manner.bad_tries + 1):
            part = Part(path, source)
            try:
                checksum = Download(source, part, self._manner, told=told, warn=self._warn).run()
                # An archive that says nothing of checksums may call its files by them. Where two transfers agree, it does not.
                if checksum != before and _is_called_otherwise(part):
                    raise CorruptProduct(f"{source.archive}: {source.url}: expected the MD5 of its ETag, got another")
                piece.check(path)
                return
            except CorruptProduct as error:
                before = part.checksum
                part.begin_anew()
                if count == self._manner.bad_tries:
                    raise
                self._warn(f"{str(error).replace(str(path), source.url)}; tried again")
            finally:
                part.close()

    def _whole(self, piece: Piece) -> Path:
        return part_of(self._folder / f"{self._owner}.{piece.name}.whole")

    def _touch(self) -> None:
        """Who tidies up goes by age."""
        for path in _pieces(self._folder, self._owner):
            with writing(path):
                os.utime(path)


def clear(folder: Path, owner: str) -> None:
    """Remove all pieces that an owner has in a folder."""
    for path in _pieces(folder, owner):
        with writing(path):
            path.unlink(missing_ok=True)


def _pieces(folder: Path, owner: str) -> list[Path]:
    own = part_of(folder / f"{owner}.").name.removesuffix(PART_SUFFIX)
    with writing(folder):
        return [path for path in folder.iterdir() if path.name.startswith(own) and path.suffix == PART_SUFFIX]


def _share_of(told: Told, done: int, expected: int, total: int) -> Told:
    """Told of one piece, tell of all: `done` bytes are there before it."""
    return lambda pace: told(Pace(done + min(pace.done_bytes, expected), total, pace.bytes_s))


def _passes(path: Path, check: Check) -> bool:
    try:
        check(path)
    except CorruptProduct:
        with writing(path):
            path.unlink()
        return False
    return True


def _is_called_otherwise(part: Part) -> bool:
    etag = None if part.origin is None else part.origin.etag
    match = _MD5_ETAG.match(etag or "")
    return match is not None and checksum_of(part.path, "md5") != f"md5:{match[1]}"
