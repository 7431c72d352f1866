"""A new database comes to know a processing directory that real jobs have filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from demos import KilledDemo, tidied

from satdaemon.config import Settings, load
from satdaemon.db import Database, Frame, Ifg, Master, PendingJob, PointsVersion, Product, RsarIfg, init_database
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.consistency import Kind, check, fix
from satdaemon.db.planning import plan
from satdaemon.domain import Burst
from satdaemon.status import RowKind

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1500)]
FRAME = "132A_DEMO_SIM"


def places(database: Database) -> dict[tuple[Any, ...], tuple[int, bool]]:
    """Where each row stands; how it was done plays no part."""
    return {
        (model.kind, getattr(row, "date", None) or (row.date1, row.date2)): (row.proc_stage, row.status.is_done)
        for model in (Master, Ifg, RsarIfg)
        for row in database.query(model)
    }


def elsewhere(settings: Settings, url: str) -> Settings:
    """The same places, and another database."""
    return settings.model_copy(update={"parameters": settings.parameters.model_copy(update={"database": url})})


def test_what_a_killed_demo_left_fits_and_makes_a_new_database_whole(killed_demo: KilledDemo, tmp_path: Path) -> None:
    settings = load(killed_demo.out / "satdaemon.cfg")
    old = Database(settings)
    tidied(killed_demo)
    assert check(old, deep=True).is_clean
    init_database(elsewhere(settings, f"sqlite:///{tmp_path / 'new.sqlite'}")).close()
    new = Database(elsewhere(settings, f"sqlite:///{tmp_path / 'new.sqlite'}"))
    bursts = json.loads((killed_demo.out / "simulation" / "frame.json").read_text())["bursts"]
    insert_bursts(new, [Burst(**{**b, "footprint": tuple(map(tuple, b["footprint"]))}) for b in bursts])
    new.make_new_frame_using_burstlist([b["id"] for b in bursts], FRAME)
    new.fill_files_table(FRAME)
    new.update_procdates(FRAME)
    (master,) = old.query(Master)
    assert new.query(Master)[0].date == master.date
    fix(new, check(new), who="the test")
    # What was left out by hand or by failure is not written on disk, so that the network may have other pairs.
    left = [f for f in check(new).problems if f.kind is not Kind.ORPHANED]
    assert not left, left
    done = {row: place for row, place in places(old).items() if place[1]}
    known = places(new)
    assert len(done.keys() - known.keys()) <= 4 and len(done) > 20
    assert {row: known[row] for row in done if row in known} == {row: place for row, place in done.items() if row in known}
    products = {(p.stage, p.key): p.bytes for p in old.query(Product)}
    assert all(products[p.stage, p.key] == p.bytes for p in new.query(Product))
    shown = [db.query(PointsVersion, state="active")[0].points for db in (old, new)]
    assert shown[0] == shown[1] > 0
    new.update(Frame, {"processing": True}, id=FRAME)
    plan(new, everything=True)
    queued = {(RowKind(j.kind), j.date1 if j.date2 is None else (j.date1, j.date2)) for j in new.query(PendingJob)}
    assert not queued & {row for row in done if row[0] is not RowKind.MASTER}
    old.close()
    new.close()
