"""Single products fetched by hand, by the same way as the download stage fetches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import select

from satdaemon.archive import LocalArchive
from satdaemon.archive.fetching import Fetcher
from satdaemon.db.arrived import take
from satdaemon.db.models import File
from satdaemon.db.scene_rows import scene_of, sources_of
from satdaemon.db.store import Store
from satdaemon.domain import Scene
from satdaemon.errors import RequestError

if TYPE_CHECKING:
    from satdaemon.archive.pace import Pace


class Watcher(Protocol):
    """Is told how it goes."""

    def begin(self, name: str, size: int | None) -> None: ...

    def told(self, pace: Pace) -> None: ...

    def warn(self, words: str) -> None: ...


def fetch_scenes(db: Store, scene_ids: Sequence[str], to: Path | None, watcher: Watcher) -> Iterator[Scene]:
    """Fetch products one by one, verified; without `to` into data_path, and the database knows that they are there.

    Raises RequestError for a product that the database does not know, before anything is fetched; else as `Fetcher.fetch`.
    """
    with db.read_scope() as session:
        rows = {row.id: row for row in session.scalars(select(File).where(File.id.in_(list(scene_ids))))}
        sources = sources_of(session, db.settings, list(rows))
    if unknown := [name for name in scene_ids if name not in rows]:
        what = "expected scenes of the database, got others; satdaemon archive fill FRAME enters them"
        raise RequestError(f"{', '.join(unknown)}: {what}")
    download = db.settings.download
    local = LocalArchive(download.archive_path or db.settings.parameters.data_path, download.transfer)
    with Fetcher(download, db.settings.archives, local) as fetcher:
        for name in scene_ids:
            scene = scene_of(rows[name], sources.get(name, ()))
            watcher.begin(name, scene.size)
            place = to if to is not None else db.settings.parameters.data_path / f"T{scene.track:03d}"
            found = fetcher.fetch(scene, place.absolute(), told=watcher.told, warn=watcher.warn)
            if to is None:
                for words in take(db, [found]):
                    watcher.warn(words)
            yield found
