"""Orbit files from archives into the directory of orbit files, seen there only when whole and checked.

What is there is taken first. Archives are asked for a precise orbit once it should have been published, and for a
restituted one where nothing else serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile, read_eof
from satdaemon.archive.orbit_offers import Interval, Offer, OrbitArchive
from satdaemon.archive.orbits import POEORB_AFTER, OrbitChoice
from satdaemon.archive.secrets import redacted
from satdaemon.archive.transfer import locked_part, publish, writing
from satdaemon.errors import ArchiveError, CorruptProduct, CredentialsError, NotReady, RequestError, Throttled

EARLY = timedelta(days=2)
"""Precise orbits are looked for so long before they are expected."""
_OF_THE_ARCHIVE = (ArchiveError, Throttled, CredentialsError, CorruptProduct, RequestError)
"""Another archive may do better."""


def choose(
    orbit_dir: Path,
    archives: Sequence[OrbitArchive],
    platform: str,
    start_utc: datetime,
    stop_utc: datetime,
    *,
    accept_resorb: bool = True,
    retry_after_s: float = 3600.0,
    now: datetime | None = None,
) -> OrbitChoice:
    """Choose the orbit of an acquisition as `orbits.choose`, after fetching what the directory lacks.

    Raises NotReady, with what is missing and what each archive said, where nothing serves; what an archive said is in
    `notes` where something does. TransientError, ConfigError: the disk is full, or cannot be written.
    """
    search = Search(orbit_dir, archives)
    found, lacking = _local(orbit_dir, platform, start_utc, stop_utc, accept_resorb, retry_after_s)
    if not archives or not orbit_dir.is_dir() or (found is not None and found.kind == "POEORB"):
        return _either(found, lacking)
    if is_precise_due(start_utc, now) and search.precise(platform, [orbits.needed_interval(start_utc, stop_utc)]):
        found, lacking = _local(orbit_dir, platform, start_utc, stop_utc, accept_resorb, retry_after_s)
    if found is None and accept_resorb and search.restituted(platform, start_utc, stop_utc):
        found, lacking = _local(orbit_dir, platform, start_utc, stop_utc, accept_resorb, retry_after_s)
    if found is not None:
        return replace(found, notes=(*found.notes, *search.said))
    assert lacking is not None
    none = f"Nor has {', '.join(search.asked)} one that serves"
    words = ". ".join([str(lacking), *(search.said or ([none] if search.asked else []))])
    raise NotReady(words, retry_after_s=max(retry_after_s, search.wait_s)) from lacking


def is_precise_due(start_utc: datetime, now: datetime | None = None) -> bool:
    """True where the precise orbit of an acquisition may have been published."""
    begin = start_utc.replace(tzinfo=UTC) if start_utc.tzinfo is None else start_utc
    return (now or datetime.now(UTC)) - begin >= POEORB_AFTER - EARLY


def fetch_precise(orbit_dir: Path, archives: Sequence[OrbitArchive], wanted: Mapping[str, Sequence[Interval]]) -> Search:
    """Bring the precise orbits of many acquisitions (satellite -> what must be covered), in few requests."""
    search = Search(orbit_dir, archives)
    for platform, intervals in wanted.items():
        search.precise(platform, intervals)
    return search


@dataclass(slots=True)
class Search:
    """Asks archives in order for what the directory lacks, and remembers what they said."""

    orbit_dir: Path
    archives: Sequence[OrbitArchive]
    said: list[str] = field(default_factory=list)
    """Why an archive gave nothing, where that was not for want of a file."""
    fetched: list[Path] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Archives that were asked."""
    wait_s: float = 0.0
    """The longest time that an archive asked to be left alone for."""
    _there: set[str] = field(default_factory=set)
    """Names that need no second look: many acquisitions share a file."""

    def precise(self, platform: str, wanted: Sequence[Interval]) -> bool:
        """Bring a POEORB for each interval where an archive has one; True where one is there then."""
        served = False
        for archive in self.archives:
            offers = self._offers(archive, "POEORB", platform, wanted)
            left = []
            for first, last in wanted:
                if self._first_of(archive, [offer for offer in offers if offer.file.covers(first, last)]):
                    served = True
                else:
                    left.append((first, last))
            wanted = left
            if not wanted:
                break
        return served

    def restituted(self, platform: str, start_utc: datetime, stop_utc: datetime) -> bool:
        """Bring one RESORB that covers an acquisition, or two that join; True where it is there then."""
        first, last = orbits.needed_interval(start_utc, stop_utc)
        for archive in self.archives:
            offers = self._offers(archive, "RESORB", platform, [(first, last)])
            if self._first_of(archive, [offer for offer in offers if offer.file.covers(first, last)]):
                return True
            known = [f for f in orbits.scan(self.orbit_dir) if (f.platform, f.kind) == (platform, "RESORB")]
            by_name = {offer.name: offer for offer in offers}
            files = [*known, *(o.file for o in offers if o.name not in {f.path.name for f in known})]
            for pair in orbits.joining(files, first, last, first + orbits.LEAD, last - orbits.MARGIN):
                if all(self._bring(archive, by_name[f.path.name]) for f in pair if f.path.name in by_name):
                    return True
        return False

    def _offers(self, archive: OrbitArchive, kind: str, platform: str, wanted: Sequence[Interval]) -> list[Offer]:
        if (name := f"{archive.name} ({archive.base})") not in self.asked:
            self.asked.append(name)
        try:
            return archive.offers(kind, platform, wanted)
        except _OF_THE_ARCHIVE as error:
            self._note(error)
            return []

    def _first_of(self, archive: OrbitArchive, offers: Iterable[Offer]) -> bool:
        by_name = {offer.name: offer for offer in offers}
        return any(self._bring(archive, by_name[f.path.name]) for f in orbits.newest(offer.file for offer in by_name.values()))

    def _bring(self, archive: OrbitArchive, offer: Offer) -> bool:
        """True where the file is there, whole; False, with what was wrong noted, where it could not be had."""
        if offer.name in self._there:
            return True
        try:
            if fetch(archive, offer, self.orbit_dir):
                self.fetched.append(self.orbit_dir / offer.name)
            self._there.add(offer.name)
        except _OF_THE_ARCHIVE as error:
            self._note(error)
            return False
        return True

    def _note(self, error: Exception) -> None:
        words = redacted(str(error))
        if words not in self.said:
            self.said.append(words)
        self.wait_s = max(self.wait_s, getattr(error, "retry_after_s", None) or 0.0)


def fetch(archive: OrbitArchive, offer: Offer, orbit_dir: Path) -> bool:
    """Bring one file; False where it was there, whole, or another process brought it meanwhile.

    Raises CorruptProduct where what the archive gives is not the file that its name says, ArchiveError and its kind
    where it gives nothing, TransientError or ConfigError where the disk does not take it.
    """
    target = orbit_dir / offer.name
    if _is_whole(replace(offer.file, path=target)):
        return False
    with locked_part(target) as part:
        try:
            is_there = _is_whole(replace(offer.file, path=target))
            if not is_there:
                _write(archive, offer, part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if is_there:
            part.unlink(missing_ok=True)
        else:
            publish(part, target)
    return not is_there


def _write(archive: OrbitArchive, offer: Offer, part: Path) -> None:
    content = archive.content(offer)
    with writing(part), part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        read_eof(replace(offer.file, path=part))
    except CorruptProduct as error:
        reason = str(error).removesuffix("; delete the file and fetch it again").replace(str(part), offer.name)
        raise CorruptProduct(f"{archive.name} ({archive.base}): {reason}; it was not kept") from None


def _is_whole(file: OrbitFile) -> bool:
    try:
        read_eof(file)
    except (FileNotFoundError, CorruptProduct):
        return False
    return True


def _local(
    orbit_dir: Path, platform: str, start_utc: datetime, stop_utc: datetime, accept_resorb: bool, retry_after_s: float
) -> tuple[OrbitChoice | None, NotReady | None]:
    try:
        return orbits.choose(
            orbit_dir, platform, start_utc, stop_utc, accept_resorb=accept_resorb, retry_after_s=retry_after_s
        ), None
    except NotReady as error:
        return None, error


def _either(found: OrbitChoice | None, lacking: NotReady | None) -> OrbitChoice:
    if found is None:
        assert lacking is not None
        raise lacking
    return found
