"""Scenes of the archives become rows of `files`, before anything is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from satdaemon.archive import sites
from satdaemon.archive.area import Area
from satdaemon.archive.found import Catalogue, Found
from satdaemon.archive.names import LOCAL
from satdaemon.archive.secrets import redacted
from satdaemon.db.frames import frame_of, history_searched
from satdaemon.db.listed import Entered, Reader, enter_listed
from satdaemon.db.store import Store
from satdaemon.db.within import undone
from satdaemon.domain import Frame
from satdaemon.errors import ArchiveError, RequestError, SatDaemonError
from satdaemon.insar.safe import read_product

TOGETHER = 20
"""Frames of one question: their scenes are thousands, which is as much as an archive pages through."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What the archives answered, in order of preference."""

    found: Mapping[str, Found]
    failed: Mapping[str, str]
    """Archive -> why it gave no answer."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know though there is an answer."""
        silent = [f"{name} did not answer, others did: {why}" for name, why in self.failed.items()]
        left_out = [
            f"{name}: {count} entries left out: {reason}"
            for name, found in self.found.items()
            for reason, count in found.skipped.items()
        ]
        return (*silent, *left_out)


@dataclass(frozen=True, slots=True)
class FilesReport:
    """What the archives had of some frames."""

    frames: tuple[str, ...]
    found: int
    added: int
    renewed: int
    bad: dict[str, str]
    """Scene -> why it cannot be used."""
    warnings: tuple[str, ...] = ()
    listed: Mapping[str, int] | None = None
    """Archive -> how many of the scenes it has."""


def search_archives(
    db: Store, frame_ids: Sequence[str], *, only: Sequence[str] = (), catalogues: Sequence[Catalogue] | None = None
) -> Searched:
    """Ask every configured archive (or `only` some) for the scenes of frames, which should be near one another.

    One that fails is a warning where another answers. Where all fail, the error says each reason.
    """
    with db.read_scope() as session:
        frames = [frame_of(session, frame_id) for frame_id in frame_ids]
    found: dict[str, Found] = {}
    failed: dict[str, SatDaemonError] = {}
    for catalogue in sites.catalogues(db.settings, only) if catalogues is None else catalogues:
        try:
            found[catalogue.name] = catalogue.search(_area(frames, catalogue))
        except (ArchiveError, RequestError) as error:
            failed[catalogue.name] = error
    if found:
        return Searched(found, {name: redacted(str(error)) for name, error in failed.items()})
    raise _all_of(failed)


def fill_files(
    db: Store,
    *frame_ids: str,
    only: Sequence[str] = (),
    catalogues: Sequence[Catalogue] | None = None,
    read: Reader = read_product,
    dry_run: bool = False,
) -> FilesReport:
    """Enter every scene that the archives have of frames, with its bursts; those known and unchanged are not read again.

    A scene that cannot be read is entered as bad with the reason, so that its date shows up and says why. With `dry_run` all
    is done and undone.
    """
    searched = search_archives(db, frame_ids, only=only, catalogues=catalogues)
    listed = {name: found.listed for name, found in searched.found.items()}
    one = frame_ids[0] if len(frame_ids) == 1 else None

    def work(store: Store) -> Entered:
        entered = enter_listed(store, listed, who="fill_files_table", read=read, frame_id=one)
        if not searched.failed and not only:
            store.write(partial(history_searched, frame_ids=frame_ids))
        return entered

    entered = undone(db, work) if dry_run else work(db)
    return FilesReport(
        frame_ids,
        entered.found,
        entered.added,
        entered.renewed,
        entered.bad,
        (*searched.warnings, *entered.warnings),
        {name: len(some) for name, some in listed.items()},
    )


def together(db: Store, frame_ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Frames that are searched for in one go: those of a track and direction, at most so many."""
    with db.read_scope() as session:
        frames = [frame_of(session, frame_id) for frame_id in frame_ids]
    groups: dict[tuple[int, str], list[str]] = {}
    for frame in frames:
        groups.setdefault((frame.track, frame.orbit_direction), []).append(frame.id)
    return [tuple(ids[k : k + TOGETHER]) for _, ids in sorted(groups.items()) for k in range(0, len(ids), TOGETHER)]


def _area(frames: Sequence[Frame], catalogue: Catalogue) -> Area:
    """Over HTTP footprints are asked for; a directory is searched by track where there are none."""
    return Area.of_frames(frames, bare=catalogue.name == LOCAL)


def _all_of(failed: Mapping[str, SatDaemonError]) -> SatDaemonError:
    if len(failed) == 1:
        return next(iter(failed.values()))
    words = "; ".join(f"{name}: {redacted(str(error))}" for name, error in failed.items())
    kind = ArchiveError if any(isinstance(error, ArchiveError) for error in failed.values()) else RequestError
    return kind(f"no archive answers: {words}")
