"""The queue in step with the ledger: what is owed and not queued goes in, what is queued and not owed goes out.

All of a plan's writing is in one transaction. What the ledger says is read once, into a temporary table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db import changes, prepared
from satdaemon.db.arrays import among, array
from satdaemon.db.clock import now_sql
from satdaemon.db.learned import asked_sql
from satdaemon.db.prepared import FEW
from satdaemon.db.queueing_few import one_statement
from satdaemon.db.store import Store

MANY = 5000
"""Jobs queued at once, after which PostgreSQL's statistics are renewed."""
_COLUMNS = "kind, row_id, stage, frame_id, date1, date2, priority, stage_rank, created_utc, is_owed"
_TABLE = {
    True: "CREATE TEMP TABLE IF NOT EXISTS owed (kind text, row_id bigint, stage text, frame_id text,"
    " date1 date, date2 date, priority integer, stage_rank smallint, created_utc timestamptz, is_owed boolean)"
    " ON COMMIT DELETE ROWS",
    False: "CREATE TEMP TABLE IF NOT EXISTS owed (kind text, row_id integer, stage text, frame_id text, date1 date, date2 date,"
    " priority integer, stage_rank integer, created_utc text, is_owed boolean, PRIMARY KEY (kind, row_id, stage))",
}
# Not as NOT EXISTS, for which PostgreSQL would read both tables whole to join them.
_IN_NEITHER = (
    "(SELECT p.job_id FROM pending_jobs p WHERE p.job_id = k.job_id) IS NULL"
    " AND (SELECT j.job_id FROM running_jobs j WHERE j.job_id = k.job_id) IS NULL"
)


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of the queue, and how the frames that were looked at stand."""

    added: int = 0
    removed: int = 0
    ready: int = 0
    blocked: int = 0
    running: int = 0

    def __add__(self, other: Queued) -> Queued:
        return Queued(
            self.added + other.added,
            self.removed + other.removed,
            self.ready + other.ready,
            self.blocked + other.blocked,
            self.running + other.running,
        )


def lost_sql(postgresql: bool) -> str:
    """SQL: TRUE where a row of the frames in parameter `frames` is RUNNING without a live job."""
    return " OR ".join(f"EXISTS ({sql})" for sql in _lost(postgresql).values())


def _lost(postgresql: bool) -> dict[str, str]:
    return {
        table: f"SELECT x.id FROM {table} x WHERE x.proc_status IN (1, 6) AND x.proc_status = 1"
        f" AND {among(postgresql, 'x.frame_id', 'frames')}"
        f" AND NOT EXISTS (SELECT 1 FROM running_jobs j WHERE j.kind = '{table}' AND j.row_id = x.id)"
        for table in ("master", "ifg", "rsar_ifg")
    }


class Queueing:
    """One transaction's work on the queue of some frames."""

    def __init__(
        self, db: Store, session: Session, frames: Sequence[str], seen: Sequence[int] = (), *, is_any_lost: bool = True,
        with_masters: bool = True,
    ) -> None:  # fmt: skip
        self._db = db
        self._session = session
        self._postgresql = db.on_postgresql
        self._frames = frames
        self._seen = list(seen)
        self._is_any_lost = is_any_lost
        self._with_masters = with_masters

    def run(self) -> Queued:
        """Put right rows that run without a job, then the queue. The changes `seen` are taken away."""
        if self._is_any_lost:
            self._reconcile()
        if self._postgresql and len(self._frames) <= FEW:
            return self._in_one_statement()
        changes.take(self._session, self._seen)
        newest = self._one("SELECT coalesce(max(job_id), 0) FROM job_keys")
        blocked, ready = self._read_ledger()
        removed = self._remove(newest)
        self._forget_keys()
        added = self._add(newest) if ready else 0
        self._run(
            "UPDATE pending_jobs SET priority = (SELECT f.priority FROM frames f WHERE f.id = pending_jobs.frame_id) WHERE"
            " EXISTS (SELECT 1 FROM frames f WHERE f.id = pending_jobs.frame_id AND f.priority <> pending_jobs.priority)"
            + self._only("pending_jobs.frame_id"),
        )
        running = self._one(f"SELECT count(*) FROM running_jobs WHERE 1 = 1{self._only('frame_id')}")
        return Queued(added, removed, ready, blocked, running)

    def _in_one_statement(self) -> Queued:
        sql = one_statement(*asked_sql(self._db.settings, self._only("b.frame_id")), with_masters=self._with_masters)
        counts, dead = self._synchronise(sql)
        if not dead:
            return counts
        self._delete_keys(dead)
        again, _ = self._synchronise(sql)
        return replace(again, added=counts.added + again.added, removed=counts.removed + again.removed)

    def _synchronise(self, sql: str) -> tuple[Queued, list[int]]:
        values = {"frames": ("text[]", list(self._frames)), "changes": ("bigint[]", self._seen)}
        name = "queue" if self._with_masters else "queue_without_masters"
        row = prepared.execute(self._session, name, sql, **values).one()
        return Queued(*row[:-1]), row[-1]

    def _reconcile(self) -> None:
        """Rows RUNNING without a live job wait again."""
        values = "proc_status = 0, reason = 'was marked running without a job'"
        for table, sql in _lost(self._postgresql).items():
            self._run(f"UPDATE {table} SET {values} WHERE proc_status = 1 AND id IN ({sql})")

    def _read_ledger(self) -> tuple[int, int]:
        """Fill `owed` with what is next and switched on; how much of it is blocked, and how much ready."""
        self._run(_TABLE[self._postgresql])
        self._run("DELETE FROM owed")
        fill = f"INSERT INTO owed ({_COLUMNS}) SELECT {_COLUMNS} FROM ledger WHERE is_next AND is_on"
        self._run(fill + self._only("frame_id"))
        if self._postgresql:
            self._session.execute(text("ANALYZE owed"))
        counts = {bool(owed): n for owed, n in self._session.execute(text("SELECT is_owed, count(*) FROM owed GROUP BY is_owed"))}
        return counts.get(False, 0), counts.get(True, 0)

    def _remove(self, newest: int) -> int:
        """Take out of the queue what is not owed any more. Jobs queued since the plan began are not looked at."""
        sql = (
            f"DELETE FROM pending_jobs WHERE job_id <= {int(newest)} AND NOT EXISTS (SELECT 1 FROM owed o WHERE o.is_owed"
            " AND o.kind = pending_jobs.kind AND o.row_id = pending_jobs.row_id AND o.stage = pending_jobs.stage)"
            + self._only("pending_jobs.frame_id")
            + " RETURNING job_id"
        )
        gone = list(self._session.execute(text(sql), self._values(sql)).scalars())
        self._delete_keys(gone)
        return len(gone)

    def _forget_keys(self) -> None:
        """Work that is owed and whose live job is in neither table may be queued again."""
        same = "k.kind = o.kind AND k.row_id = o.row_id AND k.stage = o.stage"
        sql = f"SELECT k.job_id FROM owed o JOIN job_keys k ON {same} WHERE {_IN_NEITHER}"
        self._delete_keys(list(self._session.execute(text(sql)).scalars()))

    def _delete_keys(self, job_ids: list[int]) -> None:
        if job_ids:
            sql = f"DELETE FROM job_keys WHERE {among(self._postgresql, 'job_id', 'gone')}"
            self._session.execute(text(sql), {"gone": array(self._postgresql, job_ids)})

    def _add(self, newest: int) -> int:
        """Queue what is owed and is neither queued nor running; keys up to `newest` were there before."""
        same = "k.kind = o.kind AND k.row_id = o.row_id AND k.stage = o.stage"
        sql = (
            "INSERT INTO job_keys (kind, row_id, stage, place) SELECT o.kind, o.row_id, o.stage, 'pending' FROM owed o"
            f" WHERE o.is_owed AND NOT EXISTS (SELECT 1 FROM job_keys k WHERE {same})"
            " ORDER BY o.priority DESC, o.stage_rank DESC, o.created_utc, o.frame_id, o.date1, o.date2 ON CONFLICT DO NOTHING"
        )
        if not self._run(sql):
            return 0
        now = now_sql(self._postgresql)
        asked, known = asked_sql(self._db.settings, self._only("b.frame_id"))
        columns = (
            "job_id, place, frame_id, kind, row_id, stage, date1, date2, priority, stage_rank,"
            " cpu, memory_gb, disk, space_gb, predicted_s, size_class,"
            " attempt, tries, why, created_utc, not_before, waiting_since, held"
        )
        added = self._run(
            f"INSERT INTO pending_jobs ({columns})"
            " SELECT k.job_id, 'pending', o.frame_id, o.kind, o.row_id, o.stage, o.date1, o.date2, o.priority, o.stage_rank,"
            f" {asked}, 0, 0, 'all it needs is done', {now}, {now}, {now}, FALSE"
            f" FROM owed o JOIN job_keys k ON {same}{known}"
            f" WHERE k.place = 'pending' AND k.job_id > {int(newest)} ON CONFLICT DO NOTHING"
        )
        if self._postgresql and added > MANY:
            self._session.execute(text("ANALYZE job_keys, pending_jobs"))
        return added

    def _only(self, column: str) -> str:
        return f" AND {among(self._postgresql, column, 'frames')}"

    def _run(self, sql: str) -> int:
        result = self._session.execute(text(sql), self._values(sql))
        return int(result.rowcount)  # type: ignore[attr-defined]

    def _one(self, sql: str) -> int:
        return int(self._session.scalar(text(sql), self._values(sql)) or 0)

    def _values(self, sql: str) -> dict[str, Any]:
        return {"frames": array(self._postgresql, self._frames)} if ":frames" in sql else {}
