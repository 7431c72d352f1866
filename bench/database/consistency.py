"""check-consistency of thousands of frames against walking the same tree, and the fix of a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from bench.database import archive
from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database, consistency

FRAMES = {True: 20, False: 2000}
MOST_GROWTH = 2.0
"""Of the cost of a frame at ten times as many frames."""


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """Products that the database does not know are found and entered; then all fits, and is looked at again."""
    db, root = Database(settings), settings.parameters.processing_path
    root.mkdir(parents=True, exist_ok=True)
    frames = archive.frame_ids(FRAMES[small])
    rows, products = archive.write_rows(db, frames), archive.write_products(root, frames)
    report = consistency.check(db)
    if len(report.rows) != products:
        raise AssertionError(f"expected {products} rows to be put right, got {len(report.rows)}: {report.problems[:2]}")
    fix_s = seconds(lambda: consistency.fix(db, report, who="bench"))
    bare_s = seconds(lambda: _bare_walk(root), 3)
    tenth = frames[: len(frames) // 10]
    part_s = seconds(lambda: _clean(db, tenth))
    all_s = seconds(lambda: _clean(db, None))
    db.close()
    note = f"{rows} rows, {products} products"
    growth = Ratio("a frame's check among all / among a tenth", all_s / len(frames), part_s / len(tenth), note=note)
    return [
        Ratio(f"check of {len(frames)} frames / walk, stat, read product.json", all_s, bare_s, note=note),
        growth if small else Ratio(growth.name, growth.ours, growth.bare, MOST_GROWTH),
        Ratio(f"fix of {products} rows / the same walk", fix_s, bare_s),
    ]


def _clean(db: Database, frames: list[str] | None) -> None:
    if problems := consistency.check(db, frames).problems:
        raise AssertionError(f"expected that all fits, got {problems[:2]}")


def _bare_walk(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            path.stat()
            if name == "product.json":
                path.read_bytes()
