"""What a row needs before its next stage: one definition, from which the view `ledger` is made.

SQL that both dialects read, with `{now}`, `{days}` and `{clock}` for what they spell differently. Aliases: r the row,
f its frame, m the frame's master. Codes stand in the text, so that the partial indexes of the models are used:
0 WAITING, 1 RUNNING, 2 and 3 DONE, 4 FAILED, 5 EXCLUDED, 6 STALE.

A STALE product serves while it is not *due*, that is about to be made again; once it is, whatever reads it waits, so
that nothing is made twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from satdaemon.db.clock import now_sql
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

RANK: dict[Stage, int] = {stage: place for place, stage in enumerate(Stage)}
"""Place of a stage in the chain, for the order of jobs."""
_UPDATES = "f.reprocess OR f.do_update OR f.initial_last_date IS NULL"


@dataclass(frozen=True, slots=True)
class Need:
    """A condition, and the words for it where it is not met."""

    holds: str
    otherwise: str
    """SQL text expression."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of one kind of row."""

    kind: RowKind
    stage: Stage
    needs: tuple[Need, ...] = ()

    @property
    def number(self) -> int:
        """The `proc_stage` of the stage."""
        return STAGES_OF[self.kind].index(self.stage) + 1

    @property
    def in_range(self) -> str:
        """SQL: the row is within the frame's range and scope."""
        first, last = dates_of(self.kind) if self.kind is RowKind.RSAR_IFG else ("r.date", "r.date")
        return "1 = 1" if self.kind is RowKind.MASTER else in_scope(first, last)

    @property
    def switched_on(self) -> str:
        """SQL: frame and stage are on, and the row is within the frame's range and scope."""
        return f"f.processing AND f.do_{self.stage.value} AND f.retired_utc IS NULL AND {self.in_range}"

    @property
    def ready(self) -> str:
        """SQL: all needs are met; never NULL."""
        return " AND ".join(f"coalesce(({need.holds}), 1 = 0)" for need in self.needs) or "1 = 1"

    def next_where_stale(self, x: str) -> str:
        """SQL: this stage is next of the STALE row `x`."""
        cases = [f"({stale_from(x)} = {self.number} AND ({_again_from(self.kind, self.number, x)}))"]
        if self.kind is RowKind.MASTER and self.number > 3:
            # The frame goes on with what it has, and takes new pairs into its series, until it may be made again.
            cases.append(f"({x}.proc_stage = {self.number - 1} AND NOT {again(self.kind, x)})")
        if self.stage is Stage.TIMESERIES:
            newer = (
                f"SELECT 1 FROM products t JOIN products u ON u.frame_id = t.frame_id AND u.stage = 'unwrap'"
                f" AND u.id > t.newest_input WHERE t.frame_id = {x}.frame_id AND t.stage = 'timeseries'"
            )
            cases.append(f"({x}.proc_stage = 6 AND {stale_from(x)} < 5 AND NOT {again(self.kind, x)} AND EXISTS ({newer}))")
        return f"({' OR '.join(cases)})"


def dates_of(kind: RowKind) -> tuple[str, str]:
    """SQL of the row's two dates; the second is empty but for pairs."""
    return ("r.date1", "r.date2") if kind is RowKind.RSAR_IFG else ("r.date", "CAST(NULL AS DATE)")


def stale_from(x: str) -> str:
    """SQL: the first stage that a STALE row has to make again."""
    return f"coalesce({x}.stale_from, {x}.proc_stage)"


def again(kind: RowKind, x: str) -> str:
    """SQL: a STALE row is to be made again. Where nothing was made from it yet, that needs no leave."""
    cases = " ".join(f"WHEN {n} THEN {_again_from(kind, n, x)}" for n in range(1, len(STAGES_OF[kind]) + 1))
    return f"(CASE {stale_from(x)} {cases} ELSE f.reprocess END)"


def _again_from(kind: RowKind, number: int, x: str) -> str:
    if kind is RowKind.MASTER:
        return f"(f.reprocess OR {x}.proc_stage < 3)" if number < 3 else "f.reprocess" if number < 5 else f"({_UPDATES})"
    return f"(f.reprocess OR {x}.proc_stage < {len(STAGES_OF[kind])})"


def due(kind: RowKind, x: str) -> str:
    """SQL: the row `x` is STALE and about to be made again."""
    switches = " ".join(f"WHEN {n} THEN f.do_{stage.value}" for n, stage in enumerate(STAGES_OF[kind], start=1))
    return f"({x}.proc_status = 6 AND {again(kind, x)} AND (CASE {stale_from(x)} {switches} ELSE 1 = 1 END))"


def in_scope(first: str, last: str) -> str:
    """SQL: dates within the frame's range and, where updating is off, within its initial processing."""
    return (
        f"(f.start_date IS NULL OR {first} >= f.start_date) AND (f.end_date IS NULL OR {last} <= f.end_date)"
        f" AND (f.do_update OR f.initial_last_date IS NULL OR {last} <= f.initial_last_date)"
    )


def _master_serves(stage: Stage) -> str:
    number = STAGES_OF[RowKind.MASTER].index(stage) + 1
    return (
        f"(m.proc_stage > {number} OR (m.proc_stage = {number} AND m.proc_status IN (2, 3, 6)))"
        f" AND NOT ({due(RowKind.MASTER, 'm')} AND {stale_from('m')} <= {number})"
    )


def _date_serves(date: str) -> str:
    found = (
        f"SELECT 1 FROM ifg a WHERE a.frame_id = r.frame_id AND a.date = {date} AND a.proc_stage = 3"
        f" AND a.proc_status IN (2, 3, 6) AND NOT {due(RowKind.IFG, 'a')}"
    )
    return f"{date} = m.date OR EXISTS ({found})"


STATUS_WORDS = " ".join(f"WHEN {s.value} THEN ' ({s.name.lower()})'" for s in ProcStatus if not s.is_done)
_STATUS = f"CASE m.proc_status {STATUS_WORDS} ELSE '' END"
_MASTER = Need("m.id IS NOT NULL", "'the frame has no master yet: run update_procdates'")
_MASTER_SATSAR = Need(_master_serves(Stage.SATSAR), f"'the master''s satsar' || {_STATUS}")
_SIBLINGS = Need(_master_serves(Stage.COHERENCE), f"'the siblings of the frame (coherence of its master)' || {_STATUS}")
_BOTH = tuple(Need(_date_serves(d), f"'satsar of ' || CAST({d} AS TEXT)") for d in ("r.date1", "r.date2"))

_USABLE = "FROM ifg u WHERE u.frame_id = r.frame_id AND u.proc_status NOT IN (4, 5) AND u.waiting_for IS NULL AND " + in_scope(
    "u.date", "u.date"
)
_COREGISTERED = f"u.proc_stage = 3 AND (u.proc_status IN (2, 3) OR (u.proc_status = 6 AND NOT {due(RowKind.IFG, 'u')}))"
# The initial stack: the usable dates nearest to the master in time, earlier ones first where equally far.
_NEAREST = (
    f"SELECT s.has FROM (SELECT CASE WHEN {_COREGISTERED} THEN 1 ELSE 0 END AS has,"
    f" row_number() OVER (ORDER BY abs({{days}}), u.date) AS place {_USABLE}) s"
    " WHERE s.place < coalesce(f.initial_stack, (SELECT d.initial_stack FROM daemon_tools d))"
)
_STACK = Need(
    f"(SELECT count(*) {_USABLE}) >= 2 AND NOT EXISTS (SELECT 1 FROM ({_NEAREST}) n WHERE n.has = 0)",
    f"'the initial stack: ' || (SELECT coalesce(sum(n.has), 0) FROM ({_NEAREST}) n)"
    f" || ' of ' || (SELECT count(*) FROM ({_NEAREST}) n) || ' dates coregistered'",
)
_OWED = (
    "FROM rsar_ifg p WHERE p.frame_id = r.frame_id AND p.proc_status <> 5 AND "
    + in_scope("p.date1", "p.date2")
    + " AND NOT EXISTS (SELECT 1 FROM ifg h WHERE h.frame_id = p.frame_id AND h.date IN (p.date1, p.date2)"
    " AND h.waiting_for IS NOT NULL)"
)
# Each in the words of one partial index: where all is settled, none of them has to read anything.
_UNSETTLED = (
    "p.proc_status = 0",
    "p.proc_stage < 2 AND p.proc_status IN (2, 3)",
    f"p.proc_status IN (1, 6) AND (p.proc_status = 1 OR p.proc_stage = 1 OR {due(RowKind.RSAR_IFG, 'p')})",
)
_OPEN = " + ".join(f"(SELECT count(*) {_OWED} AND {part})" for part in _UNSETTLED)
_FAILED = f"(SELECT count(*) {_OWED} AND p.proc_status IN (4, 5) AND p.proc_status = 4)"
_SHARE = "coalesce(f.accept_failed_share, (SELECT d.accept_failed_share FROM daemon_tools d))"
_UNWRAPS = (
    Need(
        " AND ".join(f"NOT EXISTS (SELECT 1 {_OWED} AND {part})" for part in _UNSETTLED) + f" AND EXISTS (SELECT 1 {_OWED})",
        f"'unwrap of ' || ({_OPEN}) || ' of ' || (SELECT count(*) {_OWED}) || ' pairs'",
    ),
    Need(
        f"EXISTS (SELECT 1 {_OWED} AND p.proc_status <> 4) AND"
        f" CASE {_FAILED} WHEN 0 THEN 1 = 1 ELSE {_FAILED} <= {_SHARE} * (SELECT count(*) {_OWED}) END",
        f"{_FAILED} || ' failed pairs: more than accept_failed_share allows; retry or exclude them'",
    ),
)

STEPS: tuple[Step, ...] = (
    Step(RowKind.MASTER, Stage.DOWNLOAD),
    Step(RowKind.MASTER, Stage.SLC),
    Step(RowKind.MASTER, Stage.SATSAR),
    Step(RowKind.MASTER, Stage.COHERENCE, (_STACK,)),
    Step(RowKind.MASTER, Stage.TIMESERIES, _UNWRAPS),
    Step(RowKind.MASTER, Stage.INGEST),
    Step(RowKind.IFG, Stage.DOWNLOAD),
    Step(RowKind.IFG, Stage.SLC),
    Step(RowKind.IFG, Stage.SATSAR, (_MASTER, _MASTER_SATSAR)),
    Step(RowKind.RSAR_IFG, Stage.COHERENCE, (_MASTER, *_BOTH, _SIBLINGS)),
    Step(RowKind.RSAR_IFG, Stage.UNWRAP),
)


def for_dialect(sql: str, postgresql: bool) -> str:
    """Fill in what the dialects spell differently."""
    words = {
        "{days}": ("u.date - m.date", "julianday(u.date) - julianday(m.date)"),
        "{now}": (now_sql(True), now_sql(False)),
        "{clock}": ("to_char(q.not_before AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')", "substr(q.not_before, 1, 19)"),
    }
    for word, (here, there) in words.items():
        sql = sql.replace(word, here if postgresql else there)
    return sql
