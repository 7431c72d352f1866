"""Many rows given a status at once, by the table of legal moves.

PostgreSQL: the wishes go into a temporary table by COPY, and one UPDATE moves the rows. SQLite: a list in
JSON instead of COPY. Each row is judged by the status that it has at that moment, and what may not move stays as it is.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db.arrays import among, array
from satdaemon.db.clock import now_sql
from satdaemon.db.daemon import changed
from satdaemon.db.store import Store
from satdaemon.errors import RequestError
from satdaemon.status import LEGAL_MOVES, STAGES_OF, ProcStatus, RowKind

_COLUMNS = {
    "row_id": "bigint",
    "status": "smallint",
    "stage": "smallint",
    "reason": "text",
    "stale_from": "smallint",
    "automatic": "boolean",
}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Move:
    """What one row is to become."""

    row_id: int
    status: ProcStatus
    stage: int | None = None
    """Its new `proc_stage`; None leaves it."""
    reason: str | None = None
    stale_from: int | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not moved."""

    row_id: int
    status: ProcStatus | None
    """What it is and stays; None where there is no such row."""
    wanted: ProcStatus
    why: str


@dataclass(slots=True)
class Moved:
    """What `set_statuses` did."""

    rows: int = 0
    refused: list[Refusal] = field(default_factory=list)


def set_statuses(
    db: Store | Session, kind: RowKind, moves: Iterable[Move], *, who: str | None = None, what: str = "", running: bool = False
) -> Moved:
    """Give many rows of one kind their statuses, in one transaction (of the session, where one is given).

    Illegal moves, rows that are not there and rows that a running job holds are returned, not applied. To RUNNING
    only a grant moves rows, so it is refused; from RUNNING only with `running`, for rows without a live job. The failed
    jobs of rows that are FAILED no longer are forgotten. `who` and `what` are recorded, where given.
    Raises RequestError where a row is named twice, or a stage is none of the kind's.
    """
    wishes = list(moves)
    _check(kind, wishes)

    def work(session: Session) -> Moved:
        done = _apply(session, kind, wishes, running)
        if who is not None and done.rows:
            changed(session, who=who, what=f"{what or 'statuses set'}: {done.rows} {kind.value} rows")
        return done

    return db.write(work) if isinstance(db, Store) else work(db)


def _check(kind: RowKind, wishes: Sequence[Move]) -> None:
    twice = [row for row, times in Counter(wish.row_id for wish in wishes).items() if times > 1]
    if twice:
        raise RequestError(f"{kind.value}: expected each row once, got twice: {', '.join(map(str, sorted(twice)[:10]))}")
    last = len(STAGES_OF[kind])
    for wish in wishes:
        for number in (wish.stage, wish.stale_from):
            if number is not None and not 1 <= number <= last:
                raise RequestError(f"{kind.value} row {wish.row_id}: expected a stage from 1 to {last}, got {number}")


def _apply(session: Session, kind: RowKind, wishes: Sequence[Move], running: bool) -> Moved:
    if not wishes:
        return Moved()
    postgresql, table = session.get_bind().dialect.name == "postgresql", kind.value
    _wish(session, wishes, postgresql)
    held = f"SELECT j.row_id FROM running_jobs j WHERE j.kind = '{table}'"
    key = "x.id" if postgresql else "id"
    moved = session.execute(
        text(
            f"UPDATE {table} AS x SET proc_status = w.status, proc_stage = coalesce(w.stage, x.proc_stage), reason = w.reason,"
            f" stale_from = w.stale_from, automatic = w.automatic, waiting_for = NULL, last_updated = {now_sql(postgresql)}"
            f" FROM wished w WHERE x.id = w.row_id AND {_legal(running)} AND x.id NOT IN ({held}) RETURNING {key}"
        )
    )
    ids = {row[0] for row in moved}
    session.execute(
        text(
            f"DELETE FROM failed_jobs WHERE kind = '{table}' AND row_id IN (SELECT w.row_id FROM wished w)"
            f" AND EXISTS (SELECT 1 FROM {table} x WHERE x.id = failed_jobs.row_id AND x.proc_status <> 4)"
        )
    )
    session.expire_all()
    left = [wish for wish in wishes if wish.row_id not in ids]
    return Moved(len(ids), _refusals(session, table, left, running) if left else [])


def _legal(running: bool) -> str:
    """SQL: row x may become what the wish w says."""
    parts = []
    for old, targets in LEGAL_MOVES.items():
        allowed = sorted(int(new) for new in targets if new is not ProcStatus.RUNNING)
        if old is not ProcStatus.RUNNING or running:
            parts.append(f"(x.proc_status = {int(old)} AND w.status IN ({', '.join(map(str, allowed))}))")
    return f"({' OR '.join(parts)})"


def _wish(session: Session, wishes: Sequence[Move], postgresql: bool) -> None:
    types = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    session.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS wished ({types}){' ON COMMIT DELETE ROWS' if postgresql else ''}"))
    session.execute(text("DELETE FROM wished"))
    rows = [(w.row_id, int(w.status), w.stage, w.reason, w.stale_from, w.automatic) for w in wishes]
    if postgresql:
        _copy(session, rows)
        session.execute(text("ANALYZE wished"))
        return
    columns = ", ".join(f"value ->> {place}" for place in range(len(_COLUMNS)))
    values = {"rows": json.dumps(rows, separators=(",", ":"))}
    session.execute(text(f"INSERT INTO wished SELECT {columns} FROM json_each(:rows)"), values)


def _copy(session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
    raw: Any = session.connection().connection.dbapi_connection
    lines = io.StringIO("".join("\t".join(map(_field, row)) + "\n" for row in rows))
    with raw.cursor() as cursor:
        cursor.copy_expert("COPY wished FROM STDIN", lines)


def _field(value: Any) -> str:
    return value.translate(_ESCAPES) if isinstance(value, str) else "\\N" if value is None else str(value)


def _refusals(session: Session, table: str, left: Sequence[Move], running: bool) -> list[Refusal]:
    postgresql = session.get_bind().dialect.name == "postgresql"
    values = {"ids": array(postgresql, [wish.row_id for wish in left])}
    rows = session.execute(text(f"SELECT x.id, x.proc_status FROM {table} x WHERE {among(postgresql, 'x.id', 'ids')}"), values)
    stands = {row: ProcStatus(status) for row, status in rows}
    jobs = f"SELECT j.row_id, j.job_id FROM running_jobs j WHERE j.kind = '{table}' AND {among(postgresql, 'j.row_id', 'ids')}"
    held = {row: job for row, job in session.execute(text(jobs), values)}
    return [Refusal(w.row_id, stands.get(w.row_id), w.status, _why(w, stands, held, running)) for w in left]


def _why(wish: Move, stands: dict[int, ProcStatus], held: dict[int, int], running: bool) -> str:
    now = stands.get(wish.row_id)
    if now is None:
        return "there is no such row"
    if wish.row_id in held:
        return f"running job {held[wish.row_id]} holds it; cancel that first"
    if wish.status is ProcStatus.RUNNING:
        return "only a granted job makes a row RUNNING"
    if now is ProcStatus.RUNNING and not running:
        return "it is RUNNING; the next plan puts it back where no job holds it"
    return f"{now.name} -> {wish.status.name} is no legal move; docs/states.md lists them"
