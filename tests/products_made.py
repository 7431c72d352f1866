"""Small whole products on disk, as processors leave them: product.json, a raster, a Zarr store, points."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from frames_made import FRAME

from satdaemon.db import Database, Ifg, Master, RsarIfg
from satdaemon.domain import product_key
from satdaemon.insar.rowrasters import write_raster
from satdaemon.status import RowKind, Stage

BEGAN = datetime(2023, 6, 1, tzinfo=UTC)
SHAPE = (96, 80)
SERIES = {
    "id": np.arange(6, dtype=np.int64), "lon": np.linspace(-2, -1.9, 6), "lat": np.linspace(52, 52.1, 6),
    "velocity": np.zeros(6, np.float32), "coherence": np.ones(6, np.float32),
}  # fmt: skip


def write_product(
    place: Path, stage: Stage, key: str, *, master: date, frame_id: str = FRAME, made: datetime = BEGAN,
    inputs: Mapping[str, Path] | None = None, value: float = 1.0, dates: list[date] | None = None,
) -> Path:  # fmt: skip
    """A product of any stage; its contents follow from `value`."""
    place.mkdir(parents=True, exist_ok=True)
    files: dict[str, Any] = {"image.tif": {"unit": "1", "dtype": "float32", "shape": list(SHAPE)}}
    write_raster(place / "image.tif", np.full(SHAPE, value, np.float32) + np.arange(SHAPE[1], dtype=np.float32))
    extra: dict[str, Any] = {}
    if stage is Stage.DOWNLOAD:
        files["download.json"] = {"unit": "bytes"}
        (place / "download.json").write_text(json.dumps({"scenes": [], "orbit": {"paths": [], "type": "POEORB"}}))
    if stage in (Stage.SATSAR, Stage.TIMESERIES):
        files["store.zarr"] = {"fields": {"data": {}}}
        array = zarr.open_group(place / "store.zarr", mode="w").create_array("data", shape=(40, 30), dtype="f4", chunks=(16, 30))
        array[:] = np.random.default_rng(1).normal(size=(40, 30))
    if stage is Stage.INGEST:
        days = [d.isoformat() for d in dates or [master]]
        pq.write_table(pa.table(SERIES), place / "points.parquet")
        np.save(place / "series.npy", np.zeros((6, len(days)), np.int16))
        files |= {"points.parquet": {"fields": {name: {} for name in SERIES}}, "series.npy": {"shape": [6, len(days)]}}
        extra["dates"] = days
    document = {
        "frame": frame_id, "stage": stage.value, "key": key, "master_date": master.isoformat(), "files": files,
        "processor": {"name": "test", "version": "1", "satdaemon": "0.1.0"}, "created_utc": made.isoformat(timespec="seconds"),
        "inputs": {role: str(path) for role, path in (inputs or {}).items()}, "settings": {"previous": 3},
        "metrics": {"bperp_m": 12.5} if stage is Stage.SATSAR else {}, **extra,
    }  # fmt: skip
    (place / "product.json").write_text(json.dumps(document))
    return place


def write_all(db: Database, frame_id: str = FRAME) -> dict[tuple[Stage, str], Path]:
    """Every product that the rows of a frame can have, each made a minute after those that it is made from."""
    (row,) = db.query(Master, frame_id=frame_id)
    days = sorted(r.date for r in db.query(Ifg, frame_id=frame_id))
    pairs = [(r.date1, r.date2) for r in db.query(RsarIfg, frame_id=frame_id)]
    made: dict[tuple[Stage, str], Path] = {}

    def one(kind: RowKind, stage: Stage, day: date, other: date | None = None, **inputs: Path) -> None:
        key = product_key(kind, stage, day, other)
        place = db.settings.parameters.processing_path / frame_id / stage.value / key
        moment = BEGAN + timedelta(minutes=len(made))
        all_days = sorted([*days, row.date])
        write_product(
            place, stage, key, master=row.date, frame_id=frame_id, made=moment, inputs=inputs, dates=all_days
        )
        made[stage, key] = place

    def at(stage: Stage, key: str) -> Path:
        return made[stage, key]

    geometry = f"{row.date:%Y%m%d}"
    for day in [row.date, *days]:
        kind, key = (RowKind.MASTER if day == row.date else RowKind.IFG), f"{day:%Y%m%d}"
        one(kind, Stage.DOWNLOAD, day)
        one(kind, Stage.SLC, day, download=at(Stage.DOWNLOAD, key))
        more = {} if day == row.date else {"master": at(Stage.SATSAR, geometry)}
        one(kind, Stage.SATSAR, day, slc=at(Stage.SLC, key), **more)
    one(RowKind.MASTER, Stage.COHERENCE, row.date, geometry=at(Stage.SATSAR, geometry))
    for day, other in pairs:
        both = {f"satsar/{d:%Y%m%d}": at(Stage.SATSAR, f"{d:%Y%m%d}") for d in (day, other)}
        one(RowKind.RSAR_IFG, Stage.COHERENCE, day, other, siblings=at(Stage.COHERENCE, "frame"), **both)
        key = f"{day:%Y%m%d}_{other:%Y%m%d}"
        one(RowKind.RSAR_IFG, Stage.UNWRAP, day, other, coherence=at(Stage.COHERENCE, key))
    unwraps = {f"unwrap/{a:%Y%m%d}_{b:%Y%m%d}": at(Stage.UNWRAP, f"{a:%Y%m%d}_{b:%Y%m%d}") for a, b in pairs}
    one(RowKind.MASTER, Stage.TIMESERIES, row.date, geometry=at(Stage.SATSAR, geometry), **unwraps)
    one(RowKind.MASTER, Stage.INGEST, row.date, timeseries=at(Stage.TIMESERIES, "frame"))
    return made
