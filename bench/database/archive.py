"""Many small frames: their rows, and products on disk that the database does not know yet."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from products_made import write_product

from satdaemon.db import Database, Frame, Ifg, Master, RsarIfg
from satdaemon.db.upsert import insert_many
from satdaemon.status import Stage

DATES = 40
MADE = 5
"""Dates of a frame whose download stands on disk."""
DAYS = [date(2020, 1, 1) + timedelta(days=12 * n) for n in range(DATES)]
PAIRS = [(one, other) for gap in (1, 2) for one, other in zip(DAYS, DAYS[gap:], strict=False)]
MASTER = DAYS[DATES // 2]


def frame_ids(count: int) -> list[str]:
    """Names of the frames."""
    return [f"132A_C{number:05d}" for number in range(count)]


def write_rows(db: Database, frames: list[str]) -> int:
    """Frames with all rows waiting; how many rows."""
    secondary = [day for day in DAYS if day != MASTER]
    for start in range(0, len(frames), 50):
        some = frames[start : start + 50]
        with db.session_scope() as session:
            session.add_all(Frame(id=frame, track=132, orbit_direction="A", processing=True) for frame in some)
            session.flush()
            insert_many(session, Master, [{"frame_id": frame, "date": MASTER} for frame in some])
            insert_many(session, Ifg, [{"frame_id": frame, "date": day} for frame in some for day in secondary])
            pairs: list[dict[str, Any]] = [{"frame_id": f, "date1": a, "date2": b} for f in some for a, b in PAIRS]
            insert_many(session, RsarIfg, pairs)
    return len(frames) * (1 + len(DAYS) + len(PAIRS))


def write_products(root: Path, frames: list[str]) -> int:
    """A download of MADE dates of each frame; how many. Files are those of one product, but for its product.json."""
    template = write_product(root.parent / "template", Stage.DOWNLOAD, "20200101", master=MASTER)
    document = json.loads((template / "product.json").read_text())
    files = [path for path in template.iterdir() if path.name != "product.json"]
    for frame in frames:
        for day in DAYS[:MADE]:
            place = root / frame / Stage.DOWNLOAD / f"{day:%Y%m%d}"
            place.mkdir(parents=True)
            for file in files:
                os.link(file, place / file.name)
            (place / "product.json").write_text(json.dumps({**document, "frame": frame, "key": place.name}))
    return len(frames) * MADE
