"""What becomes of rows whose products are stale, or are so no longer.

`stale_from` of a STALE row is its first stale stage; needs.py says when the row is made again from there. A row that is
stale only because of what it reads must not be made again before that has been: nothing would be gained.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from satdaemon.db.models import MODEL_OF, Frame, Product, StaleProduct, stage_id, stage_of
from satdaemon.db.staleness.facts import CHUNK, Facts, Key, Noted, Row
from satdaemon.db.staleness.verdicts import SERIES, Judgement
from satdaemon.db.upsert import insert_many
from satdaemon.status import ProcStatus, RowKind, Stage, is_legal_move, next_stage

_DONE = (int(ProcStatus.DONE), int(ProcStatus.DONE_WITH_WARNINGS))
_STALE, _WAITING = int(ProcStatus.STALE), int(ProcStatus.WAITING)
_SERIES = stage_id(RowKind.MASTER, Stage.TIMESERIES)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to a row."""

    row: Row
    key: Key
    """The first product of the row that is stale; of one that is taken back, its newest product."""
    status: ProcStatus
    """WAITING: it waits already, and begins at an earlier stage."""
    stale_from: int | None
    reason: str | None

    @property
    def stage(self) -> Stage:
        """The first stage whose product is stale."""
        return self.key[0]


def changes(facts: Facts, found: Judgement) -> tuple[list[Change], set[tuple[RowKind, int]]]:
    """What is to happen to the rows of a frame; and the rows that are STALE afterwards by what was found."""
    by_row: dict[tuple[RowKind, str], list[Key]] = defaultdict(list)
    for key in facts.products:
        by_row[facts.row_of(key)].append(key)
    wanted, ours = [], set()
    for name, row in facts.rows_by_name.items():
        keys = {stage_id(row.kind, key[0]): key for key in by_row.get(name, ())}
        change, is_ours = _row(facts, found, row, keys)
        if change is not None:
            wanted.append(change)
        if is_ours:
            ours.add((row.kind, row.id))
    return wanted, ours


def _row(facts: Facts, found: Judgement, row: Row, keys: dict[int, Key]) -> tuple[Change | None, bool]:
    done = row.proc_stage - 1 if row.proc_status == _WAITING else row.proc_stage
    stale = sorted(number for number, key in keys.items() if number <= done and key in found.stale)
    if row.proc_status == _WAITING:
        return _begin_earlier(facts, found, keys, row, stale), False
    if row.proc_status not in (*_DONE, _STALE):
        return None, False
    noted = [facts.noted[facts.products[key].id] for key in keys.values() if facts.products[key].id in facts.noted]
    is_foreign = row.proc_status == _STALE and not any(n.marked for n in noted)
    if is_foreign and (not stale or row.stale_from is None or row.stale_from < stale[0]):
        return None, False  # made STALE by others, for what is not seen here
    if not stale or not _is_to_be_marked(facts.frame, found, row, keys, stale):
        back = keys.get(row.proc_stage)
        if row.proc_status != _STALE or back is None:
            return None, False
        return Change(row, back, ProcStatus.DONE, None, None), False
    start = _start(facts.frame, found, row, stale)
    # The new pairs of a series are told rather than what else has changed.
    shown = SERIES if row.kind is RowKind.MASTER and start == _SERIES else keys[stale[0]]
    change = Change(row, keys[stale[0]], ProcStatus.STALE, start, found.reason(shown))
    same = row.proc_status == _STALE and (row.stale_from, row.reason) == (change.stale_from, change.reason)
    return (None if same else change), True


def _is_to_be_marked(frame: Frame, found: Judgement, row: Row, keys: dict[int, Key], stale: list[int]) -> bool:
    """False for a row that would be made again, and again, and be as stale as before."""
    verdicts = [found.stale[keys[number]] for number in stale]
    if any(verdict.own and not verdict.in_vain for verdict in verdicts):
        return True
    if any(verdict.in_vain for verdict in verdicts):
        return False
    if frame.reprocess and frame.processing:
        return _root_is_made_again(frame, found, keys[stale[0]])
    # On its way, a row goes on with what it has, and is STALE at its end.
    return next_stage(row.kind, stage_of(row.kind, row.proc_stage)) is None


def _root_is_made_again(frame: Frame, found: Judgement, key: Key) -> bool:
    """True where all stages are switched on from the change itself to what reads the product `key`."""
    behind = found.stale[key].behind
    while behind is not None:
        if behind in found.given_up or not getattr(frame, f"do_{behind[0].value}"):
            return False
        behind = found.stale[behind].behind
    return True


def _start(frame: Frame, found: Judgement, row: Row, stale: list[int]) -> int:
    """The stage from which the row is made again once that is allowed."""
    series = found.stale.get(SERIES)
    if row.kind is not RowKind.MASTER or frame.reprocess or series is None:
        return stale[0]
    if _SERIES in stale and series.has_new_pairs:
        return _SERIES  # it takes in new pairs without anybody's leave
    # Without leave, a series would be made of the same stale pairs over and over.
    return stale[0] if stale[0] < _SERIES or series.own else _SERIES - 1


def _begin_earlier(facts: Facts, found: Judgement, keys: dict[int, Key], row: Row, stale: list[int]) -> Change | None:
    """A row that waits for a later stage begins at the one that has to be made again, where that is allowed."""
    if not stale or not facts.frame.reprocess:
        return None
    verdict = found.stale[keys[stale[0]]]
    if not verdict.own or verdict.in_vain:
        return None
    return Change(row, keys[stale[0]], ProcStatus.WAITING, None, found.reason(keys[stale[0]]))


def apply(session: Session, facts: Facts, found: Judgement, wanted: list[Change], ours: set[tuple[RowKind, int]]) -> list[Change]:
    """Write all down. A row that went another way meanwhile is left; the next look sees it again. What was moved."""
    wanted = [_with_warnings(session, facts, change) if change.status is ProcStatus.DONE else change for change in wanted]
    moved = _move(session, wanted)
    _note(session, facts, found, ours)
    note_fresh(session, found)
    return moved


def note_fresh(session: Session, found: Judgement) -> None:
    """Write down with what products were found up to date."""
    if not found.fresh:
        return
    postgresql = session.get_bind().dialect.name == "postgresql"
    ids, tokens = list(found.fresh), list(found.fresh.values())
    if postgresql:
        rows, values = "unnest(CAST(:ids AS bigint[]), CAST(:tokens AS text[])) AS w(id, token)", {"ids": ids, "tokens": tokens}
    else:
        rows = "(SELECT key AS id, value AS token FROM json_each(:fresh)) AS w"
        values = {"fresh": json.dumps(found.fresh)}
    session.execute(text(f"UPDATE products SET judged = w.token FROM {rows} WHERE products.id = w.id"), values)


def _move(session: Session, wanted: list[Change]) -> list[Change]:
    """Rows that go the same way go in one statement."""
    groups: dict[tuple[Any, ...], list[Change]] = defaultdict(list)
    for change in wanted:
        row = change.row
        groups[row.kind, row.proc_stage, row.proc_status, change.status, change.stale_from, change.reason, change.stage].append(
            change
        )
    done: set[tuple[RowKind, int]] = set()
    for (kind, seen_stage, seen_status, status, stale_from, reason, stage), some in groups.items():
        model = MODEL_OF[kind]
        values = {"stale_from": stale_from, "reason": reason, "proc_status": int(status)}
        if status is ProcStatus.WAITING:
            values = {"proc_stage": stage_id(kind, stage), "reason": reason}
        elif int(status) != seen_status and not is_legal_move(ProcStatus(seen_status), status):
            raise AssertionError(f"{kind}: {ProcStatus(seen_status).name} -> {status.name}")
        for part in _parts(sorted(change.row.id for change in some)):
            seen = (model.id.in_(part), model.proc_status == seen_status, model.proc_stage == seen_stage)
            statement = update(model).where(*seen).values(**values).returning(model.id)
            moved = session.scalars(statement.execution_options(synchronize_session=False))
            done |= {(kind, id_) for id_ in moved}
    return [change for change in wanted if (change.row.kind, change.row.id) in done]


def _with_warnings(session: Session, facts: Facts, change: Change) -> Change:
    """A row that is taken back is as it was when it finished."""
    product = facts.products[change.key].id
    warnings = session.scalar(select(Product.warnings).where(Product.id == product))
    status = ProcStatus.DONE_WITH_WARNINGS if warnings else ProcStatus.DONE
    return Change(change.row, change.key, status, None, "; ".join(warnings or ()) or None)


def _note(session: Session, facts: Facts, found: Judgement, ours: set[tuple[RowKind, int]]) -> None:
    """Bring stale_products in step; since when a product is stale stays."""
    rows = facts.rows_by_name
    wanted = {}
    for key, verdict in found.stale.items():
        row = rows.get(facts.row_of(key))
        marked = row is not None and (row.kind, row.id) in ours
        wanted[facts.products[key].id] = Noted(found.reason(key), bool(verdict.own), marked, verdict.in_vain)
    gone = sorted(facts.noted.keys() - wanted.keys())
    for part in _parts(gone):
        session.execute(delete(StaleProduct).where(StaleProduct.product_id.in_(part)))
    other = {id_ for id_ in wanted.keys() & facts.noted.keys() if wanted[id_] != facts.noted[id_]}
    for id_ in sorted(other):
        session.execute(update(StaleProduct).where(StaleProduct.product_id == id_).values(**wanted[id_]._asdict()))
    new = sorted(wanted.keys() - facts.noted.keys())
    # A product may have been replaced since it was read.
    for part in _parts(new):
        there = set(session.scalars(select(Product.id).where(Product.id.in_(part)).with_for_update(read=True)))
        values = [{"product_id": i, "frame_id": facts.frame.id, **wanted[i]._asdict()} for i in part if i in there]
        insert_many(session, StaleProduct, values)


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
