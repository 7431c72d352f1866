"""The queue of a few frames in step with the ledger on PostgreSQL: one statement that is planned once a connection.

The same rules as in queueing.py, which says them step by step for SQLite and for many frames. All parts of the statement
see the same moment: what others queue meanwhile is neither taken away nor added again.
"""

from __future__ import annotations

from satdaemon.db.clock import now_sql
from satdaemon.db.ledger_view import next_sql
from satdaemon.status import RowKind

_SAME = "k.kind = o.kind AND k.row_id = o.row_id AND k.stage = o.stage"
# What a master needs for its next stage takes most of the view's plan, which costs though there is none to look at.
# An id that the ledger tells of a piece of work is that of its pending job.
_OWED = (
    "owed AS MATERIALIZED (SELECT kind, row_id, stage, frame_id, date1, date2, priority, stage_rank, created_utc, is_owed, job_id"
    " FROM ({next}) n WHERE is_on AND frame_id = ANY(:frames))"
)
_TAKEN = (
    "taken AS (DELETE FROM frame_changes WHERE id IN"
    " (SELECT c.id FROM frame_changes c WHERE c.id = ANY(:changes) FOR UPDATE SKIP LOCKED))"
)
_REMOVED = (
    "removed AS (DELETE FROM pending_jobs p WHERE p.frame_id = ANY(:frames){kinds} AND p.job_id NOT IN"
    " (SELECT o.job_id FROM owed o WHERE o.is_owed AND o.job_id IS NOT NULL) RETURNING p.job_id),"
    " unkeyed AS (DELETE FROM job_keys k USING removed r WHERE k.job_id = r.job_id)"
)
_MISSING = (
    "missing AS MATERIALIZED (SELECT o.*, k.job_id AS known, k.place FROM owed o"
    f" LEFT JOIN job_keys k ON {_SAME} WHERE o.is_owed AND o.job_id IS NULL)"
)
_RAISED = (
    "raised AS (UPDATE pending_jobs p SET priority = o.priority FROM owed o"
    " WHERE p.job_id = o.job_id AND o.is_owed AND p.priority <> o.priority)"
)
_DEAD = (
    "SELECT m.known FROM missing m WHERE m.known IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM pending_jobs p WHERE p.job_id = m.known)"
    " AND NOT EXISTS (SELECT 1 FROM running_jobs j WHERE j.job_id = m.known)"
)


def one_statement(asked: str, known: str, *, with_masters: bool = True) -> str:
    """The statement, with parameters `frames` and `changes`; one row of `added, removed, ready, blocked, running, dead`.

    `dead` are the ids of live jobs that are in neither table: forget them, and run it again. `asked` is the SQL of what
    a job asks for, as six columns, and `known` what that joins (satdaemon.db.learned). Without masters, their work is
    neither looked at nor taken out of the queue.
    """
    now = now_sql(True)
    keyed = (
        "keyed AS (INSERT INTO job_keys (kind, row_id, stage, place) SELECT o.kind, o.row_id, o.stage, 'pending' FROM missing o"
        " WHERE o.known IS NULL ORDER BY o.priority DESC, o.stage_rank DESC, o.created_utc, o.frame_id, o.date1, o.date2"
        " ON CONFLICT DO NOTHING RETURNING job_id, kind, row_id, stage)"
    )
    added = (
        "added AS (INSERT INTO pending_jobs (job_id, place, frame_id, kind, row_id, stage, date1, date2, priority, stage_rank,"
        " cpu, memory_gb, disk, space_gb, predicted_s, size_class,"
        " attempt, tries, why, created_utc, not_before, waiting_since, held)"
        " SELECT k.job_id, 'pending', o.frame_id, o.kind, o.row_id, o.stage, o.date1, o.date2, o.priority, o.stage_rank,"
        f" {asked}, 0, 0, 'all it needs is done', {now}, {now}, {now}, FALSE FROM missing o JOIN keyed k ON {_SAME}"
        f"{known} ON CONFLICT DO NOTHING RETURNING 1)"
    )
    counts = (
        "SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM removed), o.ready, o.blocked,"
        f" (SELECT count(*) FROM running_jobs WHERE frame_id = ANY(:frames)), ARRAY({_DEAD})"
        " FROM (SELECT count(*) FILTER (WHERE is_owed) AS ready, count(*) FILTER (WHERE NOT is_owed) AS blocked FROM owed) o"
    )
    kinds = [kind for kind in RowKind if with_masters or kind is not RowKind.MASTER]
    owed = _OWED.format(next=next_sql(kinds, True))
    removed = _REMOVED.format(kinds="" if with_masters else f" AND kind <> '{RowKind.MASTER.value}'")
    return "WITH " + ", ".join([_TAKEN, owed, removed, _MISSING, keyed, added, _RAISED]) + " " + counts
