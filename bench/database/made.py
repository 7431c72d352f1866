"""Products of some frames of the large database: one for every stage that its rows have behind them."""

from __future__ import annotations

from sqlalchemy import text

from satdaemon.db import Database
from satdaemon.processors.registry import versions
from satdaemon.status import STAGES_OF, RowKind, Stage

_COLUMNS = (
    "frame_id, stage, key, kind, path, files, bytes, checksum, processor, processor_version, fingerprint, inputs, metrics,"
    " warnings, job_id, attempt, restituted, cpu_s, created_utc"
)
_READS = {
    (RowKind.IFG, Stage.SLC): {"download": "'download/' || {key}"},
    (RowKind.IFG, Stage.SATSAR): {"slc": "'slc/' || {key}", "master": "'satsar/' || {master}"},
    (RowKind.RSAR_IFG, Stage.COHERENCE): {"siblings": "'coherence/frame'"},
    (RowKind.RSAR_IFG, Stage.UNWRAP): {"coherence": "'coherence/' || {key}", "geometry": "'satsar/' || {master}"},
    (RowKind.MASTER, Stage.INGEST): {"timeseries": "'timeseries/frame'"},
}
"""Role -> SQL of the fingerprint."""


def build(db: Database, frames: list[str]) -> int:
    """Enter the products of these frames; how many there are of one."""
    each = [(kind, stage) for kind in RowKind for stage in STAGES_OF[kind] if stage is not Stage.TIMESERIES]
    statements = [_of_rows(db.on_postgresql, *one) for one in each]
    with db.session_scope() as session:
        for frame_id in frames:
            for sql in (*statements, _series(db.on_postgresql)):
                session.execute(text(sql), {"frame": frame_id})
        count = int(session.scalar(text("SELECT count(*) FROM products WHERE frame_id = :frame"), {"frame": frames[0]}) or 0)
    if db.on_postgresql:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE products"))
    return count


def _of_rows(postgresql: bool, kind: RowKind, stage: Stage) -> str:
    number = STAGES_OF[kind].index(stage) + 1
    own = kind is RowKind.MASTER and stage in (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR)
    key = _day(postgresql, "r.date") if own or kind is RowKind.IFG else "'frame'"
    if kind is RowKind.RSAR_IFG:
        key = f"{_day(postgresql, 'r.date1')} || '_' || {_day(postgresql, 'r.date2')}"
    done = f"(r.proc_stage > {number} OR (r.proc_stage = {number} AND r.proc_status IN (2, 3)))"
    words = {"key": key, "master": _day(postgresql, "m.date")}
    pairs = [f"'{role}', {sql.format(**words)}" for role, sql in _READS.get((kind, stage), {}).items()]
    made = "json_build_object" if postgresql else "json_object"
    inputs = f"{made}('inputs', {made}({', '.join(pairs)}))"
    return _insert(stage, key, f"'{kind.value}'", inputs, f"{kind.value} r", done)


def _series(postgresql: bool) -> str:
    """The series of a frame, made from all its pairs."""
    collected = "json_object_agg" if postgresql else "json_group_object"
    made = "json_build_object" if postgresql else "json_object"
    given = (
        f"SELECT {collected}('unwrap/' || u.key, u.fingerprint) FROM products u"
        " WHERE u.frame_id = r.frame_id AND u.stage = 'unwrap'"
    )
    done = "r.proc_stage >= 5 AND r.proc_status IN (2, 3)"
    whole = f"({given})" if postgresql else f"json(({given}))"
    return _insert(Stage.TIMESERIES, "'frame'", "'master'", f"{made}('inputs', {whole})", "master r", done)


def _insert(made: Stage, key: str, kind: str, inputs: str, rows: str, where: str) -> str:
    stage, (name, version) = f"'{made.value}'", versions()[made]
    path = f"'/p/' || r.frame_id || '/' || {stage} || '/' || {key}"
    return (
        f"INSERT INTO products ({_COLUMNS}) SELECT r.frame_id, {stage}, {key}, {kind}, {path}, 3,"
        f" 100000000, 'sha256:0', '{name}', '{version}', {stage} || '/' || {key}, {inputs}, '{{}}', '[]', 1, 1, FALSE,"
        f" 100.0, m.last_updated FROM {rows} JOIN master m ON m.frame_id = r.frame_id"
        f" WHERE r.frame_id = :frame AND {where} ON CONFLICT DO NOTHING"
    )


def _day(postgresql: bool, date: str) -> str:
    return f"to_char({date}, 'YYYYMMDD')" if postgresql else f"strftime('%Y%m%d', {date})"
