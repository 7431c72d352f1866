"""Scenes from whichever of their archives gives them, a directory or far away: what downloads and commands share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from satdaemon.archive import sites
from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.local import LocalArchive
from satdaemon.archive.names import LOCAL, archive_of
from satdaemon.archive.secrets import redacted
from satdaemon.config import ArchiveSettings, DownloadSettings
from satdaemon.domain import Scene, SceneSource
from satdaemon.errors import ArchiveError, ConfigError, CorruptProduct, CredentialsError, RequestError, SatDaemonError

if TYPE_CHECKING:
    from satdaemon.archive.extractor import Extractor, Waiting
    from satdaemon.archive.pace import Told
    from satdaemon.archive.tokens import Tokens
    from satdaemon.archive.tries import Warn


class Fetcher:
    """Fetches scenes; to be held (`with`): at its end the archives' sessions end.

    Logins are read where they are needed first, from `environment` (this process's own), netrc or keyring.
    """

    def __init__(
        self,
        download: DownloadSettings,
        archives: ArchiveSettings,
        local: LocalArchive,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._download, self._archives, self._local, self._environment = download, archives, local, environment
        self._tokens: dict[str, Tokens] = {}
        self._without: dict[str, CredentialsError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> list[str]:
        """End the sessions; why one could not be ended (it ends by itself in an hour)."""
        held, self._tokens = self._tokens, {}
        return [words for tokens in held.values() if (words := tokens.end())]

    def fetch(
        self,
        scene: Scene,
        target_dir: Path,
        progress: Progress = no_progress,
        *,
        told: Told | None = None,
        warn: Warn | None = None,
    ) -> Scene:
        """Bring the scene's zip to `target_dir/<id>.zip`, verified; the scene with address, path, size and checksum.

        Its archives are tried in order, `warn` is told why one failed. Raises as `mirrors.fetch` and `LocalArchive.fetch`.
        """
        failed: list[SatDaemonError] = []
        groups = _groups(sources_of(scene, target_dir, self._archives))
        for number, group in enumerate(groups, 1):
            try:
                if group[0].archive == LOCAL:
                    here = replace(scene, url=group[0].url, size=group[0].size, checksum=group[0].checksum)
                    return self._local.fetch(here, target_dir, progress)
                return self._far(group, scene, target_dir, progress, told, warn)
            except (ArchiveError, CorruptProduct, CredentialsError) as error:
                failed.append(error)
                if number < len(groups) and warn is not None:
                    warn(redacted(f"{scene.id}: {error}; tried at {groups[number][0].archive}"))
        if len(failed) == 1:
            raise failed[0]
        from satdaemon.archive.mirrors import all_of

        raise all_of(scene, failed)

    def has_bursts(self, scene: Scene, target_dir: Path) -> bool:
        """True where only the bursts of a scene are to be fetched: so configured, on no disk of ours yet, and asf has it."""
        if not self._download.bursts_only or (target_dir / f"{scene.id}.zip").exists():
            return False
        archives = [one.archive for one in sources_of(scene, target_dir, self._archives)]
        return "asf" in archives and LOCAL not in archives[: archives.index("asf")]

    def extractor(self, scene: Scene, target_dir: Path, owner: str, *, told: Told, warn: Warn, waiting: Waiting) -> Extractor:
        """What brings a scene's bursts, for a scene that `has_bursts`. Raises CredentialsError, ConfigError."""
        from satdaemon.archive.cookies import CookieTokens
        from satdaemon.archive.extractor import Extractor

        base = self._archives.asf_bursts
        if not self._archives.has_bursts:
            raise ConfigError(
                f"[ARCHIVES] asf_bursts: expected an address at one of asf_hosts ({', '.join(self._archives.asf_hosts)}), "
                f"which alone may see the login, got {base}"
            )
        page = next(one.url for one in sources_of(scene, target_dir, self._archives) if one.archive == "asf")
        manner = sites.manner_of(self._archives, self._download.shares.get("asf"))
        tokens = CookieTokens(self._tokens_of("asf"), page, base, manner.patience)
        return Extractor(base, tokens, manner, target_dir, owner, told=told, warn=warn, waiting=waiting)

    def _far(
        self,
        group: Sequence[SceneSource],
        scene: Scene,
        target_dir: Path,
        progress: Progress,
        told: Told | None,
        warn: Warn | None,
    ) -> Scene:
        from satdaemon.archive.mirrors import fetch
        from satdaemon.archive.pace import nobody
        from satdaemon.archive.part import Source
        from satdaemon.archive.tries import nobody_warned

        sources, lacking = [], []
        for each in group:
            try:
                sources.append(Source(each.archive, each.url, each.size, each.checksum, self._tokens_of(each.archive)))
            except CredentialsError as error:
                lacking.append(error)
        if lacking and sources and warn is not None:
            warn(f"{scene.id}: {'; '.join(map(str, lacking))}; tried at {sources[0].archive}")
        shares = self._download.shares
        manners = {source.archive: sites.manner_of(self._archives, shares.get(source.archive)) for source in sources}
        try:
            if not sources:
                raise lacking.pop(0)
            return fetch(sources, scene, target_dir, progress, manner=manners, told=told or nobody, warn=warn or nobody_warned)
        except CredentialsError as error:
            raise CredentialsError("; ".join(map(str, [error, *lacking]))) from None

    def _tokens_of(self, archive: str) -> Tokens:
        """One login an archive, asked for once. CredentialsError where there is none."""
        if archive in self._without:
            raise self._without[archive]
        if archive not in self._tokens:
            try:
                self._tokens[archive] = sites.tokens_of(archive, self._archives, self._environment)
            except CredentialsError as error:
                self._without[archive] = error
                raise
        return self._tokens[archive]


def sources_of(scene: Scene, target_dir: Path, archives: ArchiveSettings) -> list[SceneSource]:
    """Where a scene can be had, the preferred first; before all, where our disk has it at another place than the target.

    RequestError where there is no address at all.
    """
    found = list(scene.sources)
    if not found and scene.url:
        found = [SceneSource(archive_of(scene.url, archives.hosts), scene.url, scene.size, scene.checksum)]
    own = scene.path
    if own is not None and (not found or (own != target_dir / f"{scene.id}.zip" and own.exists())):
        found.insert(0, SceneSource(LOCAL, own.absolute().as_uri(), scene.size, scene.checksum))
    bad = [one for one in found if not _is_known(one, archives)]
    if bad or not found:
        got = ", ".join(repr(redacted(one.url)) for one in bad) or "none"
        raise RequestError(
            f"{scene.id}: expected addresses in the local archive (file://) or at hosts of [ARCHIVES], got {got}; "
            "search for it again"
        )
    return found


def _is_known(source: SceneSource, archives: ArchiveSettings) -> bool:
    scheme, archive = urlsplit(source.url).scheme, archive_of(source.url, archives.hosts)
    return scheme == "file" if archive == LOCAL else scheme in ("http", "https") and archive in archives.hosts


def _groups(sources: Sequence[SceneSource]) -> list[list[SceneSource]]:
    """Those far away that stand together are tried together; each local one is by itself."""
    groups: list[list[SceneSource]] = []
    for source in sources:
        if groups and LOCAL not in (source.archive, groups[-1][0].archive):
            groups[-1].append(source)
        else:
            groups.append([source])
    return groups
