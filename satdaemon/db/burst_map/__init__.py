"""A global burst map into the catalogue of bursts. Run again, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satdaemon.db.burst_map import source, store
from satdaemon.db.burst_map.known import KnownBursts
from satdaemon.db.burst_map.rows import Findings, MapBursts, bursts_of
from satdaemon.db.events import record
from satdaemon.db.store import Store
from satdaemon.errors import CorruptProduct


@dataclass(frozen=True, slots=True)
class BurstMapReport:
    """What a burst map held and what became of it."""

    rows: int
    added: int
    known: int
    """There already, under this id or one that differs by 0 to 3."""
    completed: int
    """There already, and given the ESA id or the polygon that they lacked."""
    left_out: dict[str, int]
    """Reason -> rows that were not entered."""
    examples: dict[str, str]
    """Reason -> the first such row."""
    clipped: int
    repaired: int
    joined: int


def load_burst_map(
    db: Store,
    path: Path,
    *,
    dry_run: bool = False,
    batch: int = source.BATCH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BurstMapReport:
    """Enter the bursts of a map (Parquet, or what GDAL reads); ids by the rule from ESA's.

    Bursts that files brought before stay, with their ids. Memory holds one batch, and some 40 bytes a burst.
    Every batch is a transaction: after a crash, run it again.

    Parameters
    ----------
    dry_run
        Read and compare only.
    progress
        Called with (rows done, rows in all; -1 where the format does not tell).

    Raises
    ------
    RequestError
        No file, or not the columns or coordinates of a burst map.
    CorruptProduct
        Not readable to its end, or no row of it usable.
    """
    layers = source.layers(path)
    total = sum(layer.rows for layer in layers) if all(layer.rows >= 0 for layer in layers) else -1
    with db.read_scope() as session:
        known = KnownBursts(session)
    findings, counts = Findings(), {"rows": 0, "added": 0, "known": 0, "completed": 0}
    seen = np.empty(0, dtype=np.int64)
    for layer in layers:
        for table in source.batches(layer, batch):
            bursts, seen = _without_twins(bursts_of(table, findings), seen, findings)
            _enter(db, known, bursts, findings, counts, dry_run)
            counts["rows"] += len(table)
            progress(counts["rows"], total)
    if counts["rows"] and sum(findings.left_out.values()) == counts["rows"]:
        reasons = "; ".join(f"{reason} ({findings.examples[reason]})" for reason in findings.left_out)
        raise CorruptProduct(f"{path}: expected bursts, found none in {counts['rows']} rows: {reasons}")
    if not dry_run and (counts["added"] or counts["completed"]):
        with db.session_scope() as session:
            record(session, "burst_map", message=f"{path}: {counts['added']} bursts added, {counts['completed']} completed")
    odd = {"clipped": findings.clipped, "repaired": findings.repaired, "joined": findings.joined}
    return BurstMapReport(**counts, left_out=dict(findings.left_out), examples=findings.examples, **odd)


def _enter(db: Store, known: KnownBursts, bursts: MapBursts, findings: Findings, counts: dict[str, int], dry_run: bool) -> None:
    with db.read_scope() as session:
        found = known.sort(session, bursts)
    if len(found.elsewhere):
        reason = "its id belongs to a burst of the database that lies elsewhere"
        findings.leave_out(reason, len(found.elsewhere), bursts.name(int(found.elsewhere[0])))
    if not dry_run and (len(found.new) or found.complete):
        with db.session_scope() as session:
            store.insert(session, bursts.only(found.new))
            store.complete(session, bursts, found.complete)
    counts["added"] += len(found.new)
    counts["known"] += found.known
    counts["completed"] += len(found.complete)


def _without_twins(bursts: MapBursts, seen: NDArray[np.int64], findings: Findings) -> tuple[MapBursts, NDArray[np.int64]]:
    """Leave out bursts that the map holds a second time; `seen` are the numbers so far, sorted."""
    order = np.argsort(bursts.number, kind="stable")
    numbers = bursts.number[order]
    once = np.ones(len(bursts), dtype=bool)
    once[order[1:]] = numbers[1:] != numbers[:-1]
    at = np.searchsorted(seen, bursts.number)
    once &= np.append(seen, -1)[at] != bursts.number
    if not once.all():
        findings.leave_out("a second time in the map", int((~once).sum()), bursts.name(int(np.argmin(once))))
    kept = bursts.only(once)
    return kept, np.sort(np.concatenate([seen, kept.number]), kind="stable")


__all__ = ["BurstMapReport", "load_burst_map"]
