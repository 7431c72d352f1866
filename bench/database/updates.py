"""Many status moves at once, beside a bare COPY and UPDATE FROM without any rule."""

from __future__ import annotations

import io
from typing import Any

from sqlalchemy import text

from bench.database import scale
from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.bulk import Move, set_statuses
from satdaemon.status import ProcStatus, RowKind

MOVES = {True: 1000, False: 100_000}


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """DONE to STALE and back to WAITING, each on rows that were not touched before."""
    db = Database(settings)
    count = MOVES[small]
    scale.build(db, 1, max(5 * count // 800, 5))
    with db.read_scope() as session:
        ids = (
            session.execute(text(f"SELECT id FROM rsar_ifg WHERE proc_status = 2 ORDER BY id LIMIT {4 * count}")).scalars().all()
        )
    bare_s = min(seconds(lambda k=k: _bare(db, ids[k * count : (k + 1) * count])) for k in (0, 1))  # type: ignore[misc]

    def ours(rows: Any) -> None:
        done = set_statuses(db, RowKind.RSAR_IFG, [Move(row, ProcStatus.STALE, reason="bench", stale_from=1) for row in rows])
        assert done.rows == len(rows)

    ours_s = min(seconds(lambda k=k: ours(ids[k * count : (k + 1) * count])) for k in (2, 3))  # type: ignore[misc]
    db.close()
    name = f"{count} statuses set by the table of moves, beside a bare {'COPY' if db.on_postgresql else 'executemany'}"
    return [Ratio(name, ours_s, bare_s, most=2.0)]


def _bare(db: Database, ids: Any) -> None:
    with db.session_scope() as session:
        if not db.on_postgresql:
            connection = session.connection()
            rows = [(6, "bench", 1, row) for row in ids]
            sql = "UPDATE rsar_ifg SET proc_status = ?, reason = ?, stale_from = ?, last_updated = last_updated WHERE id = ?"
            connection.connection.executemany(sql, rows)  # type: ignore[attr-defined]
            return
        session.execute(
            text("CREATE TEMP TABLE bare (id bigint, status smallint, reason text, stale_from smallint) ON COMMIT DROP")
        )
        raw: Any = session.connection().connection.dbapi_connection
        with raw.cursor() as cursor:
            cursor.copy_expert("COPY bare FROM STDIN", io.StringIO("".join(f"{row}\t6\tbench\t1\n" for row in ids)))
        session.execute(
            text(
                "UPDATE rsar_ifg x SET proc_status = b.status, reason = b.reason, stale_from = b.stale_from,"
                " last_updated = statement_timestamp() FROM bare b WHERE b.id = x.id"
            )
        )
