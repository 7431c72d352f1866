"""What archives list becomes rows: scenes before they are downloaded, each with the archives that have it.

The bursts of a product in a directory are read from it. Those of a product far away are told by its footprint until it is
here; then `arrived` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import shapely
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.archive.found import Listed
from satdaemon.archive.names import LOCAL
from satdaemon.db.clock import now_utc
from satdaemon.db.daemon import changed
from satdaemon.db.files import enter, enter_bad
from satdaemon.db.footprint_ties import FootprintTies
from satdaemon.db.models import File, FileOrbit, FileSource
from satdaemon.db.models.catalogue import BAD, MISSING, ON_DISK, REMOTE
from satdaemon.db.store import Store
from satdaemon.db.upsert import upsert_many
from satdaemon.domain import Scene
from satdaemon.errors import DataError
from satdaemon.insar.safe import SafeProduct, read_product

Reader = Callable[[Path], SafeProduct]
BATCH = 200
"""Scenes of one transaction."""


@dataclass(slots=True)
class Entered:
    """What a search brought to the database."""

    found: int = 0
    added: int = 0
    renewed: int = 0
    """Known scenes that an archive has since, or has another zip of."""
    bad: dict[str, str] = field(default_factory=dict)
    """Scene -> why it cannot be used."""
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Offer:
    """A scene with all archives that list it, in order of preference."""

    listed: dict[str, Listed] = field(default_factory=dict)
    product: SafeProduct | None = None
    problem: str = ""
    is_news: bool = False

    @property
    def usable(self) -> dict[str, Listed]:
        return {name: one for name, one in self.listed.items() if not (name == LOCAL and self.problem)}

    @property
    def scene(self) -> Scene:
        """As told by all of them: the first has a zip, any may know the processing time or the direction."""
        told = [one.scene for one in (self.usable or self.listed).values()]
        proc_utc = next((each.proc_utc for each in told if each.proc_utc is not None), None)
        return replace(told[0], proc_utc=proc_utc)

    @property
    def footprint(self) -> tuple[tuple[float, float], ...]:
        return next((one.footprint for one in self.listed.values() if len(one.footprint) >= 3), ())


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of some scenes."""

    files: Mapping[str, Any]
    sources: Mapping[tuple[str, str], Any]
    opened: set[str]

    def is_news(self, scene_id: str, archive: str, listed: Listed) -> bool:
        """True where the archive has the scene since, or another zip of it."""
        source, file = self.sources.get((scene_id, archive)), self.files.get(scene_id)
        if source is None:
            # Entered before sources were recorded: the row has the one archive's address.
            return file is None or file.url != listed.scene.url or file.size != listed.scene.size
        return (source.url, source.size, source.checksum) != (listed.scene.url, listed.scene.size, listed.scene.checksum)


def enter_listed(
    db: Store,
    found: Mapping[str, Iterable[Listed]],
    *,
    who: str,
    read: Reader = read_product,
    frame_id: str | None = None,
) -> Entered:
    """Enter what archives list, the preferred archive first, with the bursts. Entered again, nothing changes.

    A file on our disk keeps its state, size and checksum. A zip of a directory that cannot be read, and that no other archive
    has, is entered as bad with the reason (and tied to `frame_id`), so that its date shows up and says why.
    """
    offers: dict[str, _Offer] = {}
    for archive, some in found.items():
        for listed in some:
            offers.setdefault(listed.scene.id, _Offer()).listed.setdefault(archive, listed)
    report = Entered(found=len(offers))
    ties = FootprintTies(offers.values())
    ids = sorted(offers)
    for start in range(0, len(ids), BATCH):
        some_ids = ids[start : start + BATCH]
        some_offers = {scene_id: offers[scene_id] for scene_id in some_ids}
        with db.read_scope() as session:
            known = _known(session, some_ids)
            ties.load(session, some_offers.values())
        for scene_id, offer in some_offers.items():
            offer.is_news = any(known.is_news(scene_id, archive, one) for archive, one in offer.listed.items())
            _read(scene_id, offer, known, read)
        _count(report, some_offers, known)
        report.warnings += db.write(partial(_enter, offers=some_offers, known=known, ties=ties, frame_id=frame_id))
    if report.added or report.renewed:
        what = f"{report.added} scenes added, {report.renewed} renewed, {len(report.bad)} bad"
        db.write(partial(changed, who=who, what=what, frame_id=frame_id))
    return report


def _known(session: Session, ids: Sequence[str]) -> _Known:
    files = session.execute(select(File.id, File.state, File.url, File.size, File.abspath).where(File.id.in_(ids))).all()
    sources = session.scalars(select(FileSource).where(FileSource.file_id.in_(ids)))
    opened = session.scalars(select(FileOrbit.file_id).where(FileOrbit.file_id.in_(ids)))
    return _Known({row.id: row for row in files}, {(row.file_id, row.archive): row for row in sources}, set(opened))


def _read(scene_id: str, offer: _Offer, known: _Known, read: Reader) -> None:
    """Open the zip of a directory where that is the only way to know, or it has changed."""
    local, file = offer.listed.get(LOCAL), known.files.get(scene_id)
    if local is None or (file is not None and file.state == ON_DISK):
        return
    is_as_it_was = file is not None and file.state != BAD and not known.is_news(scene_id, LOCAL, local)
    if is_as_it_was and scene_id in known.opened:
        return
    try:
        offer.product = read(Path(unquote(urlsplit(local.scene.url).path)))
    except DataError as error:
        offer.problem = str(error)


def _count(report: Entered, offers: Mapping[str, _Offer], known: _Known) -> None:
    for scene_id, offer in offers.items():
        file = known.files.get(scene_id)
        if not offer.usable:
            report.bad[scene_id] = offer.problem
            report.renewed += file is None or file.state != BAD
        elif file is None:
            report.added += 1
        elif file.state != ON_DISK and (offer.is_news or offer.product is not None):
            report.renewed += 1
        if offer.problem and offer.usable:
            report.warnings.append(f"{offer.problem}; taken from {next(iter(offer.usable))}")


def _enter(
    session: Session,
    offers: Mapping[str, _Offer],
    known: _Known,
    ties: FootprintTies,
    frame_id: str | None,
) -> list[str]:
    warnings: list[str] = []
    for offer in offers.values():
        scene = offer.scene
        values = {"url": scene.url, "size": scene.size, "checksum": scene.checksum}
        if not offer.usable:
            enter_bad(session, scene, offer.problem, frame_id=frame_id, **values)
        elif offer.product is not None:
            warnings += enter(session, offer.product, state=REMOTE, reason=None, **values)
        else:
            _enter_far(session, scene, offer, values)
    session.flush()
    now = session.execute(select(now_utc())).scalar_one()
    rows = [
        {
            "file_id": scene_id, "archive": archive, "url": one.scene.url, "size": one.scene.size,
            "checksum": one.scene.checksum, "published_utc": one.published_utc, "last_seen_utc": now,
        }
        for scene_id, offer in offers.items()
        for archive, one in offer.usable.items()
    ]  # fmt: skip
    upsert_many(session, FileSource, rows, keys=["file_id", "archive"])
    on_disk = {file.id for file in known.files.values() if file.state == ON_DISK}
    ties.tie(session, [o for k, o in offers.items() if o.product is None and k not in known.opened | on_disk])
    return warnings


def _enter_far(session: Session, scene: Scene, offer: _Offer, values: Mapping[str, Any]) -> None:
    """The row of a product that nobody here has opened, or that is as it was."""
    row = session.get(File, scene.id)
    if row is None:
        row = File(id=scene.id, state=REMOTE)
        session.add(row)
        row.platform, row.absolute_orbit, row.track = scene.platform, scene.absolute_orbit, scene.track
        row.date, row.start_utc, row.stop_utc = scene.start_utc.date(), scene.start_utc, scene.stop_utc
    row.orbit_direction = row.orbit_direction or scene.orbit_direction
    if row.proc_utc is None and scene.proc_utc is not None:
        row.proc_utc, row.proc_date = scene.proc_utc, scene.proc_utc.date()
    if row.footprint is None and len(offer.footprint) >= 3:
        row.footprint = shapely.Polygon(offer.footprint)
    if row.state == ON_DISK:
        row.url = row.url or scene.url
        return
    row.url, row.size, row.checksum = values["url"], values["size"], values["checksum"]
    if row.state == MISSING or (row.state == BAD and offer.is_news):
        row.state, row.reason = REMOTE, None
