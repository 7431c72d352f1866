"""Dates that were processed with a restituted orbit: their precise ones are fetched once they should exist.

What is fetched makes stale what was built on the restituted orbit, by the rules of `staleness`, at the next plan.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import or_, select

from satdaemon.archive import orbit_fetch, orbits
from satdaemon.archive.orbit_offers import Interval, archives_of
from satdaemon.db.models import File, Frame, Product, frames2files
from satdaemon.db.store import Store
from satdaemon.status import Stage


def wanted(db: Store, now: datetime | None = None) -> dict[str, list[Interval]]:
    """Satellite -> what precise orbits should cover: of dates made with restituted ones, old enough, that lack them here."""
    passes: dict[tuple[str, date, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    link = frames2files.c
    made = (
        select(Product.frame_id, Product.key)
        .join(Frame, Frame.id == Product.frame_id)
        .where(Product.restituted, Product.stage == Stage.DOWNLOAD.value, Frame.retired_utc.is_(None))
    )
    with db.read_scope() as session:
        keys = {(frame_id, key) for frame_id, key in session.execute(made)}
        frames = sorted({frame_id for frame_id, _ in keys})
        rows = (
            select(link.frame_id, link.date, File.platform, File.start_utc, File.stop_utc)
            .join(File, File.id == link.file_id)
            .where(link.frame_id.in_(frames), or_(link.valid == 1, link.valid.is_(None)))
        )
        for frame_id, day, platform, start, stop in session.execute(rows) if frames else ():
            if (frame_id, f"{day:%Y%m%d}") in keys and None not in (platform, start, stop):
                passes[frame_id, day, platform].append((start, stop))
    files = orbits.scan(db.settings.parameters.orbit_path)
    found: dict[str, set[Interval]] = defaultdict(set)
    for (_, _, platform), times in passes.items():
        start, stop = min(begin for begin, _ in times), max(end for _, end in times)
        if orbit_fetch.is_precise_due(start, now) and not orbits.has_precise(files, platform, start, stop):
            found[platform].add(orbits.needed_interval(start, stop))
    return {platform: sorted(intervals) for platform, intervals in sorted(found.items())}


def fetch(db: Store, now: datetime | None = None) -> tuple[list[Path], list[str]]:
    """Bring the precise orbits that are `wanted`, where archives have them: (files, what archives said was wrong).

    Asks nothing where nothing is wanted or no archive is configured. Raises NotReady where the directory of orbits is not
    there, TransientError or ConfigError where it cannot be written.
    """
    archives = archives_of(db.settings.download.orbit_archives, db.settings.archives)
    needs = wanted(db, now) if archives else {}
    if not needs:
        return [], []
    search = orbit_fetch.fetch_precise(db.settings.parameters.orbit_path, archives, needs)
    return search.fetched, search.said
