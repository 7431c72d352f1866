"""The archives that a configuration names: their search sides, their tokens, and how they are treated.

What speaks HTTP is loaded where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from satdaemon.archive.local_catalogue import LocalCatalogue
from satdaemon.archive.names import LOCAL, archive_of
from satdaemon.config import ArchiveSettings, Settings
from satdaemon.errors import ConfigError

if TYPE_CHECKING:
    from satdaemon.archive.found import Catalogue
    from satdaemon.archive.tokens import Tokens
    from satdaemon.archive.tries import Manner


def names(settings: Settings, only: Sequence[str] = ()) -> tuple[str, ...]:
    """The configured archives in order of preference, or those of them that are asked for. ConfigError for another."""
    known = settings.download.archives
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ConfigError(f"archive: expected one of [DOWNLOAD] archives ({', '.join(known)}), got {', '.join(unknown)}")
    return tuple(name for name in known if not only or name in only)


def catalogues(settings: Settings, only: Sequence[str] = ()) -> list[Catalogue]:
    """The search sides of the configured archives (or of some), in order of preference."""
    return [_catalogue(settings, name) for name in names(settings, only)]


def archive_at(settings: Settings, url: str | None) -> str:
    """The archive that an address belongs to, by the configured hosts; the host itself where it is nobody's."""
    return archive_of(url, settings.archives.hosts)


def tokens_of(archive: str, settings: ArchiveSettings, environment: Mapping[str, str] | None = None) -> Tokens:
    """The tokens of `asf` or `cdse`, shown to its configured hosts alone. CredentialsError where there is no login."""
    from satdaemon.archive.credentials import credentials_of
    from satdaemon.archive.logins import tokens_of as of_login

    return of_login(credentials_of(archive, environment), settings)


def manner_of(settings: ArchiveSettings, bytes_s: float | None = None) -> Manner:
    """How downloads treat the archives; `bytes_s`: the most that all of this process take together."""
    from satdaemon.archive.connections import Patience
    from satdaemon.archive.pace import Bandwidth
    from satdaemon.archive.tries import Manner

    return Manner(
        patience=Patience.within(settings.timeout_s),
        pause_first_s=settings.pause_s,
        bandwidth=None if bytes_s is None else Bandwidth(bytes_s),
    )


def _catalogue(settings: Settings, name: str) -> Catalogue:
    sites = settings.archives
    if name == LOCAL:
        place = settings.download.archive_path
        if place is None:
            raise ConfigError("[DOWNLOAD] archive_path: expected the directory of the local archive, got nothing: set it")
        return LocalCatalogue(place)
    if name == "asf":
        from satdaemon.archive.asf import AsfCatalogue

        return AsfCatalogue(sites.asf_search, sites.asf_hosts, timeout_s=sites.timeout_s, pause_s=sites.pause_s)
    from satdaemon.archive.cdse import CdseCatalogue

    return CdseCatalogue(sites.cdse_catalogue, sites.cdse_download, timeout_s=sites.timeout_s, pause_s=sites.pause_s)
