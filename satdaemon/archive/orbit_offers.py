"""Orbit files that archives offer, and the protocol of such an archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from satdaemon.archive.eof import OrbitFile
from satdaemon.config import ArchiveSettings

if TYPE_CHECKING:
    from satdaemon.archive.tokens import Tokens

Interval = tuple[datetime, datetime]
"""What an orbit must cover: (first, last)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An orbit file that an archive has, as its name describes it; `file.path` is the name alone."""

    file: OrbitFile
    place: str
    """Where the archive has it, as the archive wants to be asked for it."""
    size: int | None = None

    @property
    def name(self) -> str:
        """File name, with .EOF."""
        return self.file.path.name


class OrbitArchive(Protocol):
    """A place that has orbit files. Raises ArchiveError where it does not answer as it should."""

    name: str
    base: str
    """Its address, without a login."""

    def offers(self, kind: str, platform: str, wanted: Sequence[Interval]) -> list[Offer]:
        """The POEORB or RESORB files of a satellite that overlap one of the intervals."""

    def content(self, offer: Offer) -> bytes:
        """The file, as it should stand on disk. It has not been looked at."""


def overlaps(file: OrbitFile, wanted: Iterable[Interval]) -> bool:
    """True where the file is valid during a part of one of the intervals."""
    return any(file.start_utc <= last and first <= file.stop_utc for first, last in wanted)


def uncovered(wanted: Iterable[Interval], offers: Sequence[Offer]) -> list[Interval]:
    """The intervals that no single offer covers."""
    return [(first, last) for first, last in wanted if not any(offer.file.covers(first, last) for offer in offers)]


def archives_of(
    entries: Iterable[str], sites: ArchiveSettings, environment: Mapping[str, str] | None = None
) -> tuple[OrbitArchive, ...]:
    """The archives that `[DOWNLOAD] orbit_archives` names, in order.

    `aws`, or `aws ADDRESS` for a mirror; `cdse` as in [ARCHIVES], with the login that `environment` (this process's own),
    netrc or keyring has.
    """
    return tuple(_archive(*entry.strip().partition(" ")[::2], sites, environment) for entry in entries)


def _archive(name: str, address: str, sites: ArchiveSettings, environment: Mapping[str, str] | None) -> OrbitArchive:
    # What speaks HTTP is loaded where it is needed.
    timeout_s, pause_s = sites.timeout_s, sites.pause_s
    if name == "cdse":
        from satdaemon.archive.orbit_cdse import OrbitCdse
        from satdaemon.archive.sites import tokens_of

        def tokens() -> Tokens:
            return tokens_of(name, sites, environment)

        return OrbitCdse(sites.cdse_catalogue, sites.cdse_download, tokens, timeout_s=timeout_s, pause_s=pause_s)
    from satdaemon.archive.orbit_bucket import BUCKET, OrbitBucket

    return OrbitBucket(address.strip() or BUCKET, timeout_s=timeout_s, pause_s=pause_s)
