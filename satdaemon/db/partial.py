"""Downloads that hold only the frame's bursts of some scenes: where they serve, and where a new download has to come first.

They are recorded with what they hold (`products.inputs`): scenes, and the frame's bursts and polarisation of then. Of a frame
with other bursts, or of another polarisation, they may lack what the slc stage wants.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db.arrays import among, array
from satdaemon.domain import BURSTS_ONLY
from satdaemon.status import RowKind, Stage

KINDS = (RowKind.MASTER, RowKind.IFG)
"""Rows that have a download."""
_BEGIN_WITH_DOWNLOAD = (
    ("proc_stage = 1", "x.proc_status = 0 AND x.proc_stage = 2"),
    ("stale_from = 1", "x.proc_status = 6 AND coalesce(x.stale_from, x.proc_stage) = 2"),
    ("proc_status = 6, stale_from = 1", "x.proc_status IN (2, 3) AND x.proc_stage = 1"),
)
"""What becomes of a row whose slc is next, and which rows these are."""


def holding(postgresql: bool, product: str, part: str = "") -> str:
    """SQL text of what a product holds only bursts of, NULL for others; `part`: `scenes`, `bursts` or `polarisation` of it."""
    if postgresql:
        path = f"-> '{BURSTS_ONLY}' ->> '{part}'" if part else f"->> '{BURSTS_ONLY}'"
        return f"({product}.inputs {path})"
    return f"json_extract({product}.inputs, '$.{BURSTS_ONLY}{f'.{part}' if part else ''}')"


def of_row(product: str, row: str) -> str:
    """SQL: the product is the download of the row."""
    key = f"replace(CAST({row}.date AS TEXT), '-', '')"
    return f"{product}.frame_id = {row}.frame_id AND {product}.stage = '{Stage.DOWNLOAD}' AND {product}.key = {key}"


def holds(postgresql: bool, row: str, file_id: str) -> str:
    """SQL: the download of the row has the frame's bursts of a scene, and is there."""
    listed = holding(postgresql, "d", "scenes")
    found = f"{of_row('d', row)} AND d.removed_utc IS NULL AND {_names(postgresql, listed, file_id)}"
    return f"EXISTS (SELECT 1 FROM products d WHERE {found})"


def is_other(postgresql: bool, product: str, wanted: str = ":polarisation") -> str:
    """SQL: a download holds only bursts, and not those that its frame has now, or of another polarisation than `wanted`."""
    bursts, polarisation = (holding(postgresql, product, part) for part in ("bursts", "polarisation"))
    return (
        f"{product}.stage = '{Stage.DOWNLOAD}' AND {holding(postgresql, product)} IS NOT NULL"
        f" AND ({polarisation} <> {wanted} OR EXISTS (SELECT 1 FROM frames2bursts b WHERE b.frame_id = {product}.frame_id"
        f" AND NOT {_names(postgresql, bursts, 'b.burst_id')}))"
    )


def _names(postgresql: bool, listed: str, name: str) -> str:
    """SQL: a JSON list of texts, itself as text, has one of them; NULL where there is none."""
    return f"({'strpos' if postgresql else 'instr'}({listed}, '\"' || {name} || '\"') > 0)"


def bring_back(session: Session, frame_ids: Sequence[str], polarisation: str) -> int:
    """Rows whose slc is next, and whose download lacks bursts that it wants, begin with their download; how many.

    Part of every plan of theirs.
    """
    postgresql = session.get_bind().dialect.name == "postgresql"
    lacking = f"EXISTS (SELECT 1 FROM products p WHERE {of_row('p', 'x')} AND {is_other(postgresql, 'p')})"
    return begin_with_download(session, frame_ids, lacking, polarisation=polarisation)


def begin_with_download(session: Session, frame_ids: Sequence[str], where: str, **values: str) -> int:
    """Rows `x` of these frames whose slc is next, and of which the SQL `where` holds, begin with their download; how many."""
    moved, postgresql = 0, session.get_bind().dialect.name == "postgresql"
    given = {**values, "frames": array(postgresql, frame_ids)}
    for kind in KINDS:
        for change, are_next in _BEGIN_WITH_DOWNLOAD:
            ours = f"{among(postgresql, 'x.frame_id', 'frames')} AND {where}"
            chosen = f"SELECT x.id FROM {kind.value} x WHERE {are_next} AND {ours}"
            result = session.execute(text(f"UPDATE {kind.value} SET {change} WHERE id IN ({chosen})"), given)
            moved += int(result.rowcount)  # type: ignore[attr-defined]
    return moved
