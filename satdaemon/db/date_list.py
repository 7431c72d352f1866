"""The dates of a frame as a person looks at them."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from satdaemon.db.ledger import Entry, entries
from satdaemon.db.models import Ifg, RsarIfg, frames2files
from satdaemon.db.store import Store
from satdaemon.status import LedgerState, ProcStatus, RowKind, Stage


@dataclass(frozen=True, slots=True)
class DateEntry:
    """One date of a frame."""

    date: dt.date
    is_master: bool
    stage: Stage
    """Where it stands."""
    state: LedgerState
    reason: str
    coverage: float | None
    """Share of the frame's bursts that it has; None where its files are not looked at yet, or it is the master."""
    missing_bursts: tuple[str, ...]
    bperp_m: float | None
    """Perpendicular baseline to the master, metres, positive where this date's satellite is higher across the line of sight:
    as satsar measured it, before that as the orbits recorded with the files give it (`satdaemon.db.baselines`)."""
    pairs: int
    """Interferograms of it that are not left out."""
    scenes: tuple[str, ...]
    """Products that it is made of."""


def dates_of(db: Store, frame_id: str, current: Iterable[Entry] | None = None) -> list[DateEntry]:
    """The dates of a frame in order, the master among them. RequestError for an unknown frame.

    `current`: the current entries of its ledger, where they have been read.
    """
    every = entries(db, frame_id, current_only=True) if current is None else current
    standing = [entry for entry in every if entry.kind is not RowKind.RSAR_IFG]
    with db.read_scope() as session:
        rows = {row.date: row for row in session.scalars(select(Ifg).where(Ifg.frame_id == frame_id))}
        used = (RsarIfg.frame_id == frame_id, RsarIfg.proc_status != int(ProcStatus.EXCLUDED))
        pairs = Counter(day for pair in session.execute(select(RsarIfg.date1, RsarIfg.date2).where(*used)) for day in pair)
        scenes: dict[date, list[str]] = defaultdict(list)
        link = frames2files.c
        valid = select(link.date, link.file_id).where(link.frame_id == frame_id, link.valid == 1).order_by(link.file_id)
        for day, scene in session.execute(valid):
            scenes[day].append(scene)
    found = []
    for entry in standing:
        row = rows.get(entry.date1)
        found.append(
            DateEntry(
                entry.date1,
                entry.kind is RowKind.MASTER,
                entry.stage,
                entry.state,
                entry.reason,
                None if row is None else row.coverage,
                tuple(row.missing_bursts.split(", ")) if row is not None and row.missing_bursts else (),
                0.0 if row is None else row.bperp_m,
                pairs[entry.date1],
                tuple(scenes[entry.date1]),
            )
        )
    return sorted(found, key=lambda d: d.date)
