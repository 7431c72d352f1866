"""A frame all of whose products have the pictures that the engine makes of them."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
from frames_made import FRAME, make_frame, master_date, run_all
from stack_products import write_geometry

from satdaemon.db import Database, Product
from satdaemon.domain import Frame, Quicklook, StageInput
from satdaemon.insar.rowrasters import write_raster
from satdaemon.processors.quicklook_files import SHOWN
from satdaemon.processors.quicklooks import make
from satdaemon.status import RowKind, Stage

SHAPE = (96, 200)


def pictured_frame(database: Database, dates: int = 4) -> list[date]:
    """Make the frame, finish all that it owes, and put rasters and pictures into its products; the dates."""
    found = make_frame(database, dates)
    run_all(database, product=True)
    for product in database.query(Product, frame_id=FRAME):
        if names := SHOWN.get((RowKind(product.kind), Stage(product.stage))):
            job = _job(database, product)
            _fill(job, names)
            made = make(job)
            assert made.warnings == () and made.quicklooks
            record(database, product, made.quicklooks)
    return found


def record(database: Database, product: Product, made: tuple[Quicklook, ...]) -> None:
    """Tell the database of a product's pictures."""
    database.update(Product, {"quicklooks": [one.to_json() for one in made]}, id=product.id)


def product_of(database: Database, stage: Stage, key: str) -> Product:
    """The record of one product."""
    (found,) = database.query(Product, frame_id=FRAME, stage=stage.value, key=key)
    return found


def _job(database: Database, product: Product) -> StageInput:
    days = [datetime.strptime(word, "%Y%m%d").date() for word in product.key.split("_") if word != "frame"]
    master = master_date(database)
    geometry = database.settings.parameters.processing_path / FRAME / "satsar" / f"{master:%Y%m%d}"
    if not (geometry / "lon.tif").exists():
        write_geometry(geometry, SHAPE)
    first, second = (days or [master])[0], days[1] if len(days) > 1 else None
    frame = Frame(FRAME, 132, "A", ())
    kind, stage = RowKind(product.kind), Stage(product.stage)
    return StageInput(1, 1, stage, kind, frame, master, first, second, Path(product.path), {"geometry": geometry})


def _fill(job: StageInput, names: tuple[str, ...]) -> None:
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(np.float32)
    phase = rows / 8 + cols / 40
    speckle = np.random.default_rng(1).exponential(size=SHAPE)
    images = {
        "slc.tif": (np.sqrt(speckle) * np.exp(1j * phase)).astype(np.complex64),
        "amplitude.tif": np.sqrt(speckle).astype(np.float32),
        "ifg.tif": (cols / SHAPE[1] * np.exp(1j * phase)).astype(np.complex64),
        "unwrapped.tif": np.where(cols > 20, phase, np.nan).astype(np.float32),
        "velocity.tif": (rows - 40).astype(np.float32),
    }
    for name in names:
        write_raster(job.out_dir / name, images[name])
