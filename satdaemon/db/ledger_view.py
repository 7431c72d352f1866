"""The view `ledger`: frame x row x stage, where each stands and why. Built from the definitions in needs.py.

For each kind of row one branch for the next stages, and for each stage one for the rows whose next it is not. What tells
those apart (kind, is_next, there the stage) are constants, so that PostgreSQL plans only those that a query asks for.
Few branches for what is next: to start and end a plan of many costs more than to read one frame's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from satdaemon.db.needs import RANK, STATUS_WORDS, STEPS, Step, again, dates_of, for_dialect, stale_from
from satdaemon.status import STAGES_OF, RowKind, Stage


def ledger_sql(postgresql: bool) -> str:
    """The SELECT of the view."""
    branches = [*(_next(kind) for kind in RowKind), *(_other(step) for step in STEPS)]
    return for_dialect("\nUNION ALL\n".join(branches), postgresql)


def next_sql(kinds: Iterable[RowKind], postgresql: bool) -> str:
    """The part of the view for what is next of rows of these kinds.

    For statements that are prepared: whatever else the view says would be looked through each time one is run.
    """
    return for_dialect("\nUNION ALL\n".join(_next(kind) for kind in kinds), postgresql)


def _next(kind: RowKind) -> str:
    steps = [step for step in STEPS if step.kind is kind]
    waits = (
        "CASE WHEN q.held THEN coalesce(q.reason, 'held') WHEN q.no_machine THEN coalesce(q.waits_for, 'no machine can take it')"
        " WHEN q.not_before > {now} THEN coalesce(q.reason || '; ', '') || 'again after ' || {clock} || ' UTC' END"
    )
    stage = _by_step(steps, lambda step: f"'{step.stage.value}'")
    switch = _by_step(steps, lambda step: f"f.do_{step.stage.value}")
    on = f"(f.processing AND f.retired_utc IS NULL AND {steps[0].in_range} AND {switch})"
    ready = _by_step(steps, lambda step: f"({step.ready})")
    claimed = "EXISTS (SELECT 1 FROM frame_runs c WHERE c.frame_id = r.frame_id)"
    state = f"CASE WHEN NOT {on} THEN 'off' WHEN {ready} AND {waits} IS NULL THEN 'ready' ELSE 'blocked' END"
    reason = (
        f"CASE WHEN NOT {on} THEN {_by_step(steps, _off)} WHEN NOT {ready} THEN {_by_step(steps, _unmet)}"
        f" WHEN {waits} IS NOT NULL THEN {waits} WHEN q.job_id IS NULL THEN 'the next plan queues it'"
        " WHEN (SELECT d.command FROM daemon_tools d) <> 'run' THEN 'the daemon is paused'"
        f" WHEN {claimed} THEN coalesce(q.waits_for, 'waits for a machine') || coalesce('; before: ' || q.reason, '')"
        " ELSE 'waits for a flow run of the frame' END"
    )
    columns = (
        f"{_head(kind, stage, _by_step(steps, lambda step: str(RANK[step.stage])))}, {state} AS state, {reason} AS reason,"
        f" TRUE AS is_next, TRUE AS is_current, {on} AS is_on, ({on} AND {ready}) AS is_owed, FALSE AS with_warnings,"
        " f.priority AS priority, f.created_utc AS created_utc, q.job_id AS job_id, CAST(NULL AS DOUBLE PRECISION) AS progress"
    )
    same = f"q.kind = '{kind.value}' AND q.row_id = r.id AND q.stage = {stage}"
    return (
        f"SELECT {columns} FROM ({_rows(kind, steps)}) r JOIN frames f ON f.id = r.frame_id"
        f" LEFT JOIN master m ON m.frame_id = r.frame_id LEFT JOIN pending_jobs q ON {same}"
    )


def _by_step(steps: list[Step], word: Callable[[Step], str]) -> str:
    """SQL: what `word` makes of the step that is next of the row."""
    return f"(CASE r.next_stage {' '.join(f'WHEN {step.number} THEN {word(step)}' for step in steps)} END)"


def _unmet(step: Step) -> str:
    """SQL: in words, the first of the step's needs that is not met."""
    needs = " ".join(f"WHEN NOT coalesce(({need.holds}), 1 = 0) THEN 'waits for ' || {need.otherwise}" for need in step.needs)
    return f"CASE {needs} END" if needs else "NULL"


def _rows(kind: RowKind, steps: list[Step]) -> str:
    """SQL: the rows that have a next stage, and its number. Each way to have one in the words of a partial index."""
    cases = " ".join(f"WHEN {step.next_where_stale('x')} THEN {step.number}" for step in steps)
    stale = f"SELECT x.*, CASE {cases} END AS next_stage FROM {kind.value} x JOIN frames f ON f.id = x.frame_id"
    return (
        f"SELECT x.*, x.proc_stage AS next_stage FROM {kind.value} x WHERE x.proc_status = 0"
        f" UNION ALL SELECT x.*, x.proc_stage + 1 FROM {kind.value} x"
        f" WHERE x.proc_stage < {len(steps)} AND x.proc_status IN (2, 3)"
        f" UNION ALL SELECT y.* FROM ({stale} WHERE x.proc_status IN (1, 6) AND x.proc_status = 6) y"
        " WHERE y.next_stage IS NOT NULL"
    )


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
    head = _head(kind, f"'{step.stage.value}'", str(RANK[step.stage]))
    columns = (
        f"{head}, {state} AS state, {reason} AS reason, FALSE AS is_next, ({_is_current(step)}) AS is_current,"
        f" ({step.switched_on}) AS is_on, FALSE AS is_owed, ({warned}) AS with_warnings, f.priority AS priority,"
        " f.created_utc AS created_utc, j.job_id AS job_id, j.progress AS progress"
    )
    same = f"j.kind = '{kind.value}' AND j.row_id = r.id AND j.stage = '{step.stage.value}'"
    return (
        f"SELECT {columns} FROM {kind.value} r JOIN frames f ON f.id = r.frame_id"
        f" LEFT JOIN running_jobs j ON {same} WHERE NOT ({is_next})"
    )


def _is_current(step: Step) -> str:
    """SQL, where it is not the next stage: the row stands at this one."""
    here, last = step.number, len(STAGES_OF[step.kind])
    at = f"(r.proc_stage = {here} AND r.proc_status IN (1, 4, 5{', 2, 3' if here == last else ''}))"
    has_next = " OR ".join(f"{s.next_where_stale('r')}" for s in STEPS if s.kind is step.kind)
    return f"{at} OR (r.proc_status = 6 AND {stale_from('r')} = {here} AND NOT ({has_next}))"


def _head(kind: RowKind, stage: str, rank: str) -> str:
    one, two = dates_of(kind)
    return (
        f"r.frame_id AS frame_id, '{kind.value}' AS kind, r.id AS row_id, {one} AS date1, {two} AS date2,"
        f" {stage} AS stage, {rank} AS stage_rank"
    )


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
