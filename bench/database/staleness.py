"""Finding what is stale: nearly free where nothing changed, and paid by the frame where something did."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select, update

from bench.database.ratio import Ratio, seconds
from satdaemon.config import Settings
from satdaemon.db import Database, Frame, Ifg, Master, Product, RsarIfg, staleness
from satdaemon.db.staleness.conditions import recorded, stage_settings
from satdaemon.db.upsert import insert_many
from satdaemon.domain import product_key
from satdaemon.status import RowKind, Stage

FRAMES = {True: 5, False: 100}
DATES = 60
DAYS = [date(2020, 1, 1) + timedelta(days=12 * n) for n in range(DATES)]
PAIRS = [(one, other) for gap in (1, 2, 3) for one, other in zip(DAYS, DAYS[gap:], strict=False)]
_SCENE = "S1A_IW_SLC__1SDV_20200101T061400_20200101T061427_030000_037000_ABCD"


def measure(settings: Settings, small: bool) -> list[Ratio]:
    """Of finished frames: nothing changed, one frame changed, a setting of all changed."""
    db = Database(settings)
    frames = [f"132A_B{number:04d}" for number in range(FRAMES[small])]
    for frame_id in frames:
        _build(db, frame_id)
    if db.on_postgresql:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    count = 3 * DATES + 2 * len(PAIRS) + 3
    note = f"{len(frames)} frames of {count} products"
    first_s = seconds(lambda: staleness.mark(db))
    bare_s = seconds(lambda: _read(db, None), 3)
    again_s = seconds(lambda: staleness.mark(db), 5)
    one_s, bare_one_s = seconds(lambda: staleness.mark(db, frames[:1]), 9), seconds(lambda: _read(db, frames[0]), 9)

    def touched() -> None:
        with db.session_scope() as session:
            same = (Product.frame_id == frames[0], Product.stage == "unwrap", Product.key == _pair(PAIRS[0]))
            session.execute(
                update(Product).where(*same).values(id=select(func.max(Product.id) + 1).scalar_subquery(), judged=None)
            )
        staleness.mark(db, frames[:1])

    changed_s = seconds(touched, 9)
    other = Database(settings.model_copy(update={"unwrap": settings.unwrap.model_copy(update={"max_gap_m": 99.0})}))
    all_s = seconds(lambda: staleness.mark(other, frames[:5]))
    stale = len(staleness.stale(other))
    if stale != 5 * (len(PAIRS) + 1):
        raise AssertionError(f"expected {5 * (len(PAIRS) + 1)} stale rows, got {stale}")
    made_s = seconds(lambda: _read_all(db, frames[:5]), 3)
    db.close()
    other.close()
    return [
        Ratio("nothing changed, all frames / reading ids of all products", again_s, bare_s, note=note),
        Ratio("first look at all frames / the same", first_s, bare_s, note=f"{1000 * first_s / len(frames):.0f} ms a frame"),
        Ratio("nothing changed, one frame / reading its products' ids", one_s, bare_one_s),
        Ratio("one product made again / reading the frame's products' ids", changed_s, bare_one_s),
        Ratio("a setting changed, 5 frames / reading their products whole", all_s, made_s, note=f"{stale} rows made stale"),
    ]


def _read(db: Database, frame_id: str | None) -> None:
    wanted = select(Product.id, Product.stage, Product.key, Product.fingerprint)
    with db.read_scope() as session:
        session.execute(wanted if frame_id is None else wanted.where(Product.frame_id == frame_id)).all()


def _read_all(db: Database, frames: list[str]) -> None:
    with db.read_scope() as session:
        session.scalars(select(Product).where(Product.frame_id.in_(frames))).all()


def _pair(pair: tuple[date, date]) -> str:
    return product_key(RowKind.RSAR_IFG, Stage.UNWRAP, *pair)


def _build(db: Database, frame_id: str) -> None:
    """A frame as it is when all is done."""
    master = DAYS[DATES // 2]
    with db.session_scope() as session:
        session.add(Frame(id=frame_id, track=132, orbit_direction="A", processing=True))
        session.flush()
        session.add(Master(frame_id=frame_id, date=master, proc_stage=6, proc_status=2))
        rows: list[dict[str, Any]] = [{"frame_id": frame_id, "proc_status": 2}]
        insert_many(session, Ifg, [{**rows[0], "date": day, "proc_stage": 3} for day in DAYS if day != master])
        insert_many(session, RsarIfg, [{**rows[0], "date1": a, "date2": b, "proc_stage": 2} for a, b in PAIRS])
        session.flush()
        insert_many(session, Product, _products(db, session.get_one(Frame, frame_id), master))


def _products(db: Database, frame: Frame, master: date) -> list[dict[str, Any]]:
    given = {s: stage_settings(db.settings, frame, s, db.settings.network) for s in Stage}

    def one(kind: RowKind, stage: Stage, key: str, inputs: dict[str, str]) -> dict[str, Any]:
        kept = {"inputs": inputs, **recorded(db.settings, kind, stage, given[stage], master, ())}
        scenes = {"scenes": [[_SCENE, "md5:0"]]} if stage in (Stage.DOWNLOAD, Stage.SLC) else {}
        return {
            "frame_id": frame.id, "stage": stage.value, "key": key, "kind": kind.value, "path": f"/p/{frame.id}/{stage}/{key}",
            "files": 3, "bytes": 10**8, "checksum": "sha256:0", "processor": stage.value, "processor_version": "1",
            "fingerprint": f"{stage}/{key}", "inputs": {**kept, **scenes}, "job_id": 1, "attempt": 1, "cpu_s": 100.0,
        }  # fmt: skip

    made, name = [], {day: f"{day:%Y%m%d}" for day in DAYS}
    geometry = {"geometry": f"satsar/{name[master]}"}
    for day in [master, *(d for d in DAYS if d != master)]:
        kind = RowKind.MASTER if day == master else RowKind.IFG
        made.append(one(kind, Stage.DOWNLOAD, name[day], {}))
        made.append(one(kind, Stage.SLC, name[day], {"download": f"download/{name[day]}"}))
        grid = {} if day == master else {"master": f"satsar/{name[master]}"}
        made.append(one(kind, Stage.SATSAR, name[day], {"slc": f"slc/{name[day]}", **grid}))
    stack = {f"satsar/{name[day]}": f"satsar/{name[day]}" for day in DAYS[24:36]}
    made.append(one(RowKind.MASTER, Stage.COHERENCE, "frame", {**geometry, **stack}))
    for pair in PAIRS:
        both = {f"satsar/{name[day]}": f"satsar/{name[day]}" for day in pair}
        made.append(one(RowKind.RSAR_IFG, Stage.COHERENCE, _pair(pair), {"siblings": "coherence/frame", **both}))
        made.append(one(RowKind.RSAR_IFG, Stage.UNWRAP, _pair(pair), {"coherence": f"coherence/{_pair(pair)}", **geometry}))
    unwraps = {f"unwrap/{_pair(pair)}": f"unwrap/{_pair(pair)}" for pair in PAIRS}
    made.append(one(RowKind.MASTER, Stage.TIMESERIES, "frame", {**geometry, **unwraps}))
    return [*made, one(RowKind.MASTER, Stage.INGEST, "frame", {"timeseries": "timeseries/frame"})]
