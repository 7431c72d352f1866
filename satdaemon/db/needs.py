"""What a row needs before its next stage: one definition, for the planner and for whoever asks why.

SQL that both dialects read. Aliases: r the row, f its frame, m the frame's master. Codes stand in the text,
not as parameters, so that the partial indexes of rows.py are used: 0 WAITING, 1 RUNNING, 2 and 3 DONE,
4 FAILED, 5 EXCLUDED, 6 STALE (its product is there and serves until it is made again).
"""

from __future__ import annotations

from dataclasses import dataclass

from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

_HAS = "(2, 3, 6)"
RANK: dict[Stage, int] = {stage: place for place, stage in enumerate(Stage)}
"""Place of a stage in the chain, for the order of jobs."""


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
    again: str = "f.reprocess"
    """When a STALE row is made again from this stage."""

    @property
    def number(self) -> int:
        """The `proc_stage` of the stage."""
        return STAGES_OF[self.kind].index(self.stage) + 1

    @property
    def dates(self) -> tuple[str, str]:
        """SQL of the row's two dates; the second is empty but for pairs."""
        return ("r.date1", "r.date2") if self.kind is RowKind.RSAR_IFG else ("r.date", "CAST(NULL AS DATE)")

    @property
    def switched_on(self) -> str:
        """SQL: frame and stage are on, and the row is within the frame's range and scope."""
        parts = ["f.processing", f"f.do_{self.stage.value}", "f.retired_utc IS NULL"]
        if self.kind is not RowKind.MASTER:
            first, last = self.dates if self.kind is RowKind.RSAR_IFG else ("r.date", "r.date")
            parts.append(in_scope(first, last))
        return " AND ".join(parts)

    def rows(self, frames: bool) -> str:
        """SQL: the rows whose next stage this is. `frames`: only of the frames in :frames."""
        table, only = self.kind.value, " AND x.frame_id IN :frames" if frames else ""
        branches = [f"SELECT x.* FROM {table} x WHERE x.proc_status = 0 AND x.proc_stage = {self.number}{only}"]
        if self.number > 1:
            last = len(STAGES_OF[self.kind])
            here = f"x.proc_stage < {last} AND x.proc_stage = {self.number - 1} AND x.proc_status IN (2, 3)"
            branches.append(f"SELECT x.* FROM {table} x WHERE {here}{only}")
        branches.append(
            f"SELECT x.* FROM {table} x JOIN frames f ON f.id = x.frame_id"
            f" WHERE x.proc_status IN (1, 6) AND x.proc_status = 6 AND x.stale_from = {self.number} AND {self.again}{only}"
        )
        return " UNION ALL ".join(branches)

    def source(self, frames: bool) -> str:
        """SQL: FROM and WHERE of the rows whose next stage this is and that are switched on."""
        return (
            f"FROM ({self.rows(frames)}) r JOIN frames f ON f.id = r.frame_id"
            f" LEFT JOIN master m ON m.frame_id = r.frame_id WHERE {self.switched_on}"
        )

    @property
    def ready(self) -> str:
        """SQL: all needs are met."""
        return " AND ".join(f"({need.holds})" for need in self.needs) or "1 = 1"

    @property
    def blocked_by(self) -> str:
        """SQL: by what the row is blocked; NULL where it is not."""
        if not self.needs:
            return "CAST(NULL AS TEXT)"
        cases = " ".join(f"WHEN NOT coalesce(({need.holds}), 1 = 0) THEN {need.otherwise}" for need in self.needs)
        return f"CASE {cases} END"


def in_scope(first: str, last: str) -> str:
    """SQL: dates within the frame's range and, where updating is off, within its initial processing."""
    return (
        f"(f.start_date IS NULL OR {first} >= f.start_date) AND (f.end_date IS NULL OR {last} <= f.end_date)"
        f" AND (f.do_update OR f.initial_last_date IS NULL OR {last} <= f.initial_last_date)"
    )


def _master_has(stage: Stage) -> str:
    number = STAGES_OF[RowKind.MASTER].index(stage) + 1
    return f"m.proc_stage > {number} OR (m.proc_stage = {number} AND m.proc_status IN {_HAS})"


def _date_has(date: str) -> str:
    found = (
        f"SELECT 1 FROM ifg a WHERE a.frame_id = r.frame_id AND a.date = {date} AND a.proc_stage = 3 AND a.proc_status IN {_HAS}"
    )
    return f"{date} = m.date OR EXISTS ({found})"


_WORDS = " ".join(f"WHEN {s.value} THEN ' ({s.name.lower()})'" for s in ProcStatus if not s.is_done)
_STATUS = f"CASE m.proc_status {_WORDS} ELSE '' END"
_MASTER = Need("m.id IS NOT NULL", "'the frame has no master yet: run update_procdates'")
_MASTER_SATSAR = Need(f"{_master_has(Stage.SATSAR)}", f"'the master''s satsar' || {_STATUS}")
_SIBLINGS = Need(f"{_master_has(Stage.COHERENCE)}", f"'the siblings of the frame (coherence of its master)' || {_STATUS}")
_BOTH = tuple(Need(_date_has(d), f"'satsar of ' || CAST({d} AS TEXT)") for d in ("r.date1", "r.date2"))

_USABLE = "FROM ifg u WHERE u.frame_id = r.frame_id AND u.proc_status NOT IN (4, 5) AND u.waiting_for IS NULL AND " + in_scope(
    "u.date", "u.date"
)
# The initial stack: the usable dates nearest to the master in time, earlier ones first where equally far.
_NEAREST = (
    "SELECT s.proc_stage, s.proc_status FROM (SELECT u.proc_stage, u.proc_status,"
    f" row_number() OVER (ORDER BY abs({{days}}), u.date) AS place {_USABLE}) s"
    " WHERE s.place < coalesce(f.initial_stack, :initial_stack)"
)
_STACK = Need(
    f"(SELECT count(*) {_USABLE}) >= 2"
    f" AND NOT EXISTS (SELECT 1 FROM ({_NEAREST}) n WHERE NOT (n.proc_stage = 3 AND n.proc_status IN {_HAS}))",
    f"'the initial stack: ' || (SELECT count(*) FROM ({_NEAREST}) n WHERE n.proc_stage = 3 AND n.proc_status IN {_HAS})"
    f" || ' of ' || (SELECT count(*) FROM ({_NEAREST}) n) || ' dates coregistered'",
)
_OWED = (
    "FROM rsar_ifg p WHERE p.frame_id = r.frame_id AND p.proc_status <> 5 AND "
    + in_scope("p.date1", "p.date2")
    + " AND NOT EXISTS (SELECT 1 FROM ifg h WHERE h.frame_id = p.frame_id AND h.date IN (p.date1, p.date2)"
    " AND h.waiting_for IS NOT NULL)"
)
_UNSETTLED = "(p.proc_status IN (0, 1) OR (p.proc_stage = 1 AND p.proc_status IN (2, 3, 6)))"
_UNWRAPS = (
    Need(
        f"EXISTS (SELECT 1 {_OWED}) AND NOT EXISTS (SELECT 1 {_OWED} AND {_UNSETTLED})",
        f"'unwrap of ' || (SELECT count(*) {_OWED} AND {_UNSETTLED}) || ' of ' || (SELECT count(*) {_OWED}) || ' pairs'",
    ),
    Need(
        f"(SELECT avg(CASE WHEN p.proc_status = 4 THEN 1.0 ELSE 0.0 END) {_OWED})"
        " <= coalesce(f.accept_failed_share, :accept_failed_share)"
        f" AND EXISTS (SELECT 1 {_OWED} AND p.proc_status <> 4)",
        f"(SELECT count(*) {_OWED} AND p.proc_status = 4) || ' failed pairs: more than accept_failed_share allows;"
        " retry or exclude them'",
    ),
)

STEPS: tuple[Step, ...] = (
    Step(RowKind.MASTER, Stage.DOWNLOAD),
    Step(RowKind.MASTER, Stage.SLC),
    Step(RowKind.MASTER, Stage.SATSAR),
    Step(RowKind.MASTER, Stage.COHERENCE, (_STACK,)),
    Step(RowKind.MASTER, Stage.TIMESERIES, _UNWRAPS, again="(f.do_update OR f.initial_last_date IS NULL)"),
    Step(RowKind.MASTER, Stage.INGEST, again="(f.do_update OR f.initial_last_date IS NULL)"),
    Step(RowKind.IFG, Stage.DOWNLOAD),
    Step(RowKind.IFG, Stage.SLC),
    Step(RowKind.IFG, Stage.SATSAR, (_MASTER, _MASTER_SATSAR)),
    Step(RowKind.RSAR_IFG, Stage.COHERENCE, (_MASTER, *_BOTH, _SIBLINGS)),
    Step(RowKind.RSAR_IFG, Stage.UNWRAP),
)


def for_dialect(sql: str, postgresql: bool) -> str:
    """Fill in what the dialects spell differently: the days between a date and the master's."""
    return sql.replace("{days}", "u.date - m.date" if postgresql else "julianday(u.date) - julianday(m.date)")
