"""The view `ledger`: frame x row x stage, where each stands and why. Built from the definitions in needs.py.

One branch for the rows whose next stage it is, and one for all other rows, for each stage of each kind of row. What
tells the branches apart (kind, stage, is_next) are constants, so that PostgreSQL plans only those that a query asks for.
"""

from __future__ import annotations

from satdaemon.db.needs import RANK, STATUS_WORDS, STEPS, Step, again, for_dialect, stale_from
from satdaemon.status import STAGES_OF, RowKind, Stage


def ledger_sql(postgresql: bool) -> str:
    """The SELECT of the view."""
    branches = [branch for step in STEPS for branch in (_next(step), _other(step))]
    return for_dialect("\nUNION ALL\n".join(branches), postgresql)


def _next(step: Step) -> str:
    waits = (
        "CASE WHEN q.held THEN coalesce(q.reason, 'held') WHEN q.no_machine THEN coalesce(q.waits_for, 'no machine can take it')"
        " WHEN q.not_before > {now} THEN coalesce(q.reason || '; ', '') || 'again after ' || {clock} || ' UTC' END"
    )
    needs = " ".join(f"WHEN NOT coalesce(({need.holds}), 1 = 0) THEN 'waits for ' || {need.otherwise}" for need in step.needs)
    claimed = "EXISTS (SELECT 1 FROM frame_runs c WHERE c.frame_id = r.frame_id)"
    state = f"CASE WHEN NOT ({step.switched_on}) THEN 'off' WHEN {step.ready} AND {waits} IS NULL THEN 'ready' ELSE 'blocked' END"
    reason = (
        f"CASE WHEN NOT ({step.switched_on}) THEN {_off(step)} {needs} WHEN {waits} IS NOT NULL THEN {waits}"
        " WHEN q.job_id IS NULL THEN 'the next plan queues it'"
        " WHEN (SELECT d.command FROM daemon_tools d) <> 'run' THEN 'the daemon is paused'"
        f" WHEN {claimed} THEN coalesce(q.waits_for, 'waits for a machine') || coalesce('; before: ' || q.reason, '')"
        " ELSE 'waits for a flow run of the frame' END"
    )
    columns = (
        f"{_head(step)}, {state} AS state, {reason} AS reason, TRUE AS is_next, TRUE AS is_current,"
        f" ({step.switched_on}) AS is_on, ({step.switched_on} AND {step.ready}) AS is_owed, FALSE AS with_warnings,"
        " f.priority AS priority, f.created_utc AS created_utc, q.job_id AS job_id, CAST(NULL AS DOUBLE PRECISION) AS progress"
    )
    return (
        f"SELECT {columns} FROM ({_rows(step)}) r JOIN frames f ON f.id = r.frame_id"
        f" LEFT JOIN master m ON m.frame_id = r.frame_id LEFT JOIN pending_jobs q ON {_same(step, 'q')}"
    )


def _rows(step: Step) -> str:
    """SQL: the rows whose next stage this is, each way in the words of a partial index."""
    table, last, here = step.kind.value, len(STAGES_OF[step.kind]), step.number
    ways = [f"SELECT x.* FROM {table} x WHERE x.proc_status = 0 AND x.proc_stage = {here}"]
    if here > 1:
        place = f"x.proc_stage < {last} AND x.proc_stage = {here - 1} AND x.proc_status IN (2, 3)"
        ways.append(f"SELECT x.* FROM {table} x WHERE {place}")
    ways.append(
        f"SELECT x.* FROM {table} x JOIN frames f ON f.id = x.frame_id"
        f" WHERE x.proc_status IN (1, 6) AND x.proc_status = 6 AND {step.next_where_stale('x')}"
    )
    return " UNION ALL ".join(ways)


def _other(step: Step) -> str:
    here, kind = step.number, step.kind
    is_next = (
        f"(r.proc_status = 0 AND r.proc_stage = {here}) OR (r.proc_status IN (2, 3) AND r.proc_stage = {here - 1})"
        f" OR (r.proc_status = 6 AND {step.next_where_stale('r')})"
    )
    is_stale = f"r.proc_status = 6 AND {stale_from('r')} <= {here} AND r.proc_stage >= {here}"
    is_done = f"r.proc_stage > {here} OR (r.proc_stage = {here} AND r.proc_status IN (2, 3, 6))"
    warned = f"r.proc_stage = {here} AND r.proc_status = 3"
    cases = (
        (is_stale, "'stale'", "coalesce(r.reason, 'an input changed')"),
        (is_done, "'done'", f"CASE WHEN {warned} THEN r.reason END"),
        ("r.proc_status = 5", "'excluded'", "r.reason"),
        (f"r.proc_stage = {here} AND r.proc_status = 1", "'running'", _where_it_runs()),
        (f"r.proc_stage = {here} AND r.proc_status = 4", "'failed'", "r.reason"),
        (f"NOT ({step.switched_on})", "'off'", _off(step)),
    )
    state = f"CASE {' '.join(f'WHEN {when} THEN {word}' for when, word, _ in cases)} ELSE 'blocked' END"
    reason = f"CASE {' '.join(f'WHEN {when} THEN {why}' for when, _, why in cases)} ELSE {_own_stage(kind)} END"
    columns = (
        f"{_head(step)}, {state} AS state, {reason} AS reason, FALSE AS is_next, ({_is_current(step)}) AS is_current,"
        f" ({step.switched_on}) AS is_on, FALSE AS is_owed, ({warned}) AS with_warnings, f.priority AS priority,"
        " f.created_utc AS created_utc, j.job_id AS job_id, j.progress AS progress"
    )
    return (
        f"SELECT {columns} FROM {kind.value} r JOIN frames f ON f.id = r.frame_id"
        f" LEFT JOIN running_jobs j ON {_same(step, 'j')} WHERE NOT ({is_next})"
    )


def _is_current(step: Step) -> str:
    """SQL, where it is not the next stage: the row stands at this one."""
    here, last = step.number, len(STAGES_OF[step.kind])
    at = f"(r.proc_stage = {here} AND r.proc_status IN (1, 4, 5{', 2, 3' if here == last else ''}))"
    has_next = " OR ".join(f"{s.next_where_stale('r')}" for s in STEPS if s.kind is step.kind)
    return f"{at} OR (r.proc_status = 6 AND {stale_from('r')} = {here} AND NOT ({has_next}))"


def _head(step: Step) -> str:
    one, two = step.dates
    return (
        f"r.frame_id AS frame_id, '{step.kind.value}' AS kind, r.id AS row_id, {one} AS date1, {two} AS date2,"
        f" '{step.stage.value}' AS stage, {RANK[step.stage]} AS stage_rank"
    )


def _same(step: Step, job: str) -> str:
    return f"{job}.kind = '{step.kind.value}' AND {job}.row_id = r.id AND {job}.stage = '{step.stage.value}'"


def _off(step: Step) -> str:
    return (
        "CASE WHEN f.retired_utc IS NOT NULL THEN 'the frame is retired'"
        " WHEN NOT f.processing THEN 'the frame is switched off'"
        f" WHEN NOT f.do_{step.stage.value} THEN '{step.stage.value} is switched off for the frame'"
        " WHEN NOT f.do_update AND f.initial_last_date IS NOT NULL THEN"
        " 'out of the frame''s range, or later than its initial processing while updates are off'"
        " ELSE 'out of the frame''s range' END"
    )


def _where_it_runs() -> str:
    return (
        "CASE WHEN j.job_id IS NULL THEN 'without a job: the next plan puts it back' ELSE 'on ' || j.machine ||"
        " CASE WHEN j.started_utc IS NULL THEN ', not begun yet' ELSE '' END || coalesce(': ' || j.message, '') END"
    )


def _own_stage(kind: RowKind) -> str:
    """SQL: by which stage of its own a row is held up that is not there yet."""
    stages: tuple[Stage, ...] = STAGES_OF[kind]
    names = " ".join(f"WHEN {number} THEN '{stage.value}'" for number, stage in enumerate(stages, start=1))
    place = (
        f"CASE WHEN r.proc_status IN (2, 3) THEN r.proc_stage + 1 WHEN r.proc_status = 6 AND {again(kind, 'r')}"
        f" THEN {stale_from('r')} WHEN r.proc_status = 6 THEN r.proc_stage + 1 ELSE r.proc_stage END"
    )
    return f"'waits for its ' || CASE {place} {names} END || CASE r.proc_status {STATUS_WORDS} ELSE '' END"
