"""Frames and bursts for maps (QGIS and others), with how far they are. docs/maps.md describes the columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from satdaemon.db.frame_overview import FrameOverview, overviews
from satdaemon.db.models import Burst, File, Frame, files2bursts, frames2bursts
from satdaemon.db.outline import rolled
from satdaemon.db.store import Store
from satdaemon.db.vector_files import GEOMETRY, check_target, write_multipolygons
from satdaemon.errors import RequestError
from satdaemon.status import LedgerState, Stage

BATCH, BATCH_OF_SOME = 20_000, 1000
_SHORT_STAGE = {
    "download": "dl",
    "slc": "slc",
    "satsar": "sat",
    "coherence": "coh",
    "unwrap": "unw",
    "timeseries": "ts",
    "ingest": "ing",
}
_SHORT_STATE = {"blocked": "block", "running": "run", "failed": "fail", "excluded": "excl"}
_TEXT, _COUNT, _DAY, _YES = pa.string(), pa.int32(), pa.date32(), pa.bool_()
FRAME_COLUMNS: dict[str, tuple[pa.DataType, Callable[[FrameOverview], Any]]] = {
    "frame": (_TEXT, lambda f: f.id),
    "track": (_COUNT, lambda f: f.track),
    "pass": (_TEXT, lambda f: f.direction),
    "bursts": (_COUNT, lambda f: f.bursts),
    "state": (_TEXT, lambda f: f.state),
    "priority": (_COUNT, lambda f: f.priority),
    "stages_on": (_TEXT, lambda f: ",".join(f.stages_on)),
    "updates": (_YES, lambda f: f.update),
    "reprocess": (_YES, lambda f: f.reprocess),
    "start_date": (_DAY, lambda f: f.start_date),
    "end_date": (_DAY, lambda f: f.end_date),
    "retired": (_DAY, lambda f: f.retired),
    "master": (_DAY, lambda f: f.master),
    "dates": (_COUNT, lambda f: f.dates),
    "dates_out": (_COUNT, lambda f: f.dates_out),
    "first_date": (_DAY, lambda f: f.first_date),
    "last_date": (_DAY, lambda f: f.last_date),
    "last_done": (_DAY, lambda f: f.last_done),
    "pairs": (_COUNT, lambda f: f.pairs),
    "notes": (_TEXT, lambda f: f.notes),
}
BURST_COLUMNS: dict[str, pa.DataType] = {
    "burst": _TEXT, "track": _COUNT, "pass": _TEXT, "swath": _TEXT, "anx": _COUNT, "esa_id": _COUNT, "frames": _TEXT,
    "frame_count": _COUNT, "files": _COUNT, "first_date": _DAY, "last_date": _DAY,
}  # fmt: skip
PROGRESS_COLUMNS = tuple((stage, state) for stage in Stage for state in LedgerState)


def progress_column(stage: Stage, state: LedgerState, *, short: bool = False) -> str:
    """Name of the column that counts rows of a stage in a state: `coherence_done`, in a Shapefile `coh_done`."""
    if short:
        return f"{_SHORT_STAGE[stage.value]}_{_SHORT_STATE.get(state.value, state.value)}"
    return f"{stage.value}_{state.value}"


SHORT_NAMES = {progress_column(stage, state): progress_column(stage, state, short=True) for stage, state in PROGRESS_COLUMNS} | {
    "frame_count": "n_frames"
}
"""Column names in a Shapefile, where they differ: it allows ten characters."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A file that was written."""

    path: Path
    rows: int
    columns: tuple[str, ...]


def export_frames(
    db: Store,
    path: Path,
    frame_ids: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write frames, all or those named, with outline, switches, dates and counts a stage and state.

    The suffix tells the format (`satdaemon.db.vector_files.DRIVERS`). Raises RequestError for a suffix or a frame
    that is not known and for a file that exists, unless `overwrite`.
    """
    check_target(path, overwrite=overwrite)
    found = overviews(db, frame_ids)
    schema = pa.schema(
        [
            *((name, kind) for name, (kind, _) in FRAME_COLUMNS.items()),
            *((progress_column(stage, state), _COUNT) for stage, state in PROGRESS_COLUMNS),
            (GEOMETRY, pa.binary()),
        ]
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(found), 1000):
            some = found[start : start + 1000]
            with db.read_scope() as session:
                ids = [one.id for one in some]
                rows = session.execute(select(Frame.id, Frame.geometry).where(Frame.id.in_(ids))).all()
            shapes: dict[str, Any] = {frame_id: shape for frame_id, shape in rows}
            columns: list[Any] = [[read(one) for one in some] for _, read in FRAME_COLUMNS.values()]
            columns += [[one.counts.get(stage, {}).get(state, 0) for one in some] for stage, state in PROGRESS_COLUMNS]
            columns.append([_wkb(shapes.get(one.id)) for one in some])
            yield _batch(columns, schema)
            progress(min(start + 1000, len(found)), len(found))

    write_multipolygons(path, schema, batches(), layer="frames", short_names=SHORT_NAMES, overwrite=overwrite)
    return ExportReport(path, len(found), tuple(schema.names))


def export_bursts(
    db: Store,
    path: Path,
    frame_ids: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write bursts, all that the database knows or those of the frames named, with their frames, files and dates."""
    check_target(path, overwrite=overwrite)
    schema = pa.schema([*BURST_COLUMNS.items(), (GEOMETRY, pa.binary())])
    wanted = select(Burst.number)
    with db.read_scope() as session:
        if frame_ids is not None:
            known = set(session.scalars(select(Frame.id).where(Frame.id.in_(frame_ids))))
            if unknown := sorted(set(frame_ids) - known):
                raise RequestError(f"expected frames of the database, got unknown ones: {', '.join(unknown)}")
            wanted = wanted.join(frames2bursts).where(frames2bursts.c.frame_id.in_(frame_ids)).distinct()
        total = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0

    def batches() -> Iterator[pa.RecordBatch]:
        done, last, size = 0, -1, BATCH if frame_ids is None else BATCH_OF_SOME
        while True:
            with db.read_scope() as session:
                page = list(session.scalars(wanted.where(Burst.number > last).order_by(Burst.number).limit(size)))
                if not page:
                    return
                among = Burst.number.between(page[0], page[-1]) if frame_ids is None else Burst.number.in_(page)
                yield _batch(_burst_columns(session, among), schema)
            done, last = done + len(page), page[-1]
            progress(done, total)

    write_multipolygons(path, schema, batches(), layer="bursts", short_names=SHORT_NAMES, overwrite=overwrite)
    return ExportReport(path, total, tuple(schema.names))


def _burst_columns(session: Session, among: ColumnElement[bool]) -> list[list[Any]]:
    """The columns of the bursts that meet a condition."""
    columns = (
        Burst.number, Burst.id, Burst.track, Burst.orbit_direction, Burst.swath, Burst.anx, Burst.esa_id, Burst.geometry,
    )  # fmt: skip
    rows = session.execute(select(*columns).where(among).order_by(Burst.number)).all()
    frames: dict[str, list[str]] = defaultdict(list)
    link = frames2bursts.c
    tied = select(link.burst_id, link.frame_id).join(Burst).where(among).order_by(link.frame_id)
    for burst, frame in session.execute(tied):
        frames[burst].append(frame)
    shown = files2bursts.c
    counted = select(shown.burst_id, func.count(), func.min(File.date), func.max(File.date)).select_from(files2bursts)
    joined = counted.join(File).join(Burst).where(among).group_by(shown.burst_id)
    files: dict[str, tuple[int, date | None, date | None]] = {
        burst: (count, first, newest) for burst, count, first, newest in session.execute(joined)
    }
    none = (0, None, None)
    found = [
        (
            row.id, row.track, row.orbit_direction, row.swath, row.anx, row.esa_id, ",".join(frames[row.id]) or None,
            len(frames[row.id]), *files.get(row.id, none),
        )
        for row in rows
    ]  # fmt: skip
    return [*(list(column) for column in zip(*found, strict=True)), _all_wkb([row.geometry for row in rows])]


def _batch(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(values, column.type) for values, column in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _wkb(shape: Any) -> bytes | None:
    if shape is None:
        return None
    parts = [p for part in shapely.get_parts(rolled(shape)) for p in shapely.get_parts(part) if p.geom_type == "Polygon"]
    return bytes(shapely.to_wkb(shapely.MultiPolygon(parts)))


def _all_wkb(shapes: Sequence[Any]) -> list[bytes | None]:
    """`_wkb` of many polygons; all at once but the few that are missing or reach beyond the 180th meridian."""
    array = np.array([*shapes, None], dtype=object)[:-1]  # the None keeps NumPy from looking into the shapes
    simple = (shapely.get_type_id(array) == shapely.GeometryType.POLYGON) & (shapely.bounds(array)[:, 2] <= 180)
    found: list[bytes | None] = [None if done else _wkb(shape) for done, shape in zip(simple, shapes, strict=True)]
    for place, wkb in zip(np.flatnonzero(simple), shapely.to_wkb(shapely.multipolygons(array[simple][:, None])), strict=True):
        found[place] = wkb
    return found
