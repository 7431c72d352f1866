"""What may be removed to free disk space, what never, and that it comes back where it is needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from frames_made import FRAME, make_frame
from products_made import write_all

from satdaemon.control import SatDaemonController
from satdaemon.db import Database, File, Frame, Ifg, JobEvent, Master, PendingJob, Product, RsarIfg, space
from satdaemon.db.consistency import check, fix
from satdaemon.db.planning import plan
from satdaemon.status import ProcStatus, RowKind, Stage

DONE = int(ProcStatus.DONE)


@pytest.fixture
def made(database: Database) -> dict[tuple[Stage, str], Path]:
    """All products of a frame that is done, known to the database."""
    make_frame(database, 4)
    places = write_all(database)
    fix(database, check(database), who="the test")
    assert {row.proc_status for model in (Master, Ifg, RsarIfg) for row in database.query(model)} == {DONE}
    plan(database, everything=True)
    return places


def names(found: list[space.Removable]) -> set[tuple[str, str]]:
    return {(one.stage.value, one.key) for one in found}


def test_only_what_was_read_for_the_last_time_may_be_removed(database: Database, made: dict[tuple[Stage, str], Path]) -> None:
    pairs = {(stage.value, key) for stage, key in made if stage is Stage.COHERENCE and key != "frame"}
    dates = {(stage.value, key) for stage, key in made if stage is Stage.SLC}
    assert names(space.removable(database)) == pairs | dates
    assert space.removable(database, ["132A_NONE"]) == []
    (first, *_) = sorted(row.date for row in database.query(Ifg))
    database.update(Ifg, {"proc_status": int(ProcStatus.STALE), "stale_from": 3}, date=first)
    assert names(space.removable(database, [FRAME])) == pairs | dates - {("slc", f"{first:%Y%m%d}")}, "it is about to be read"
    database.update(File, {"state": "missing"}, track=132)
    assert names(space.removable(database)) == pairs, "without zips there is nothing to cut out"
    unwrap = database.query(RsarIfg)[0]
    database.delete(Product, stage="unwrap", key=f"{unwrap.date1:%Y%m%d}_{unwrap.date2:%Y%m%d}")
    assert len(space.removable(database)) == len(pairs) - 1


def test_the_cheapest_go_first_and_no_row_claims_what_is_gone(database: Database, made: dict[tuple[Stage, str], Path]) -> None:
    for place, product in enumerate(database.query(Product, stage="slc")):
        database.update(Product, {"bytes": 10**9, "cpu_s": 100.0 - place}, id=product.id)
    control = SatDaemonController(database, who="the test")
    shown = control.free_space()
    assert [one.stage for one in shown[:4]] == [Stage.SLC] * 4, "what nobody knows the cost of comes last"
    assert [one.cpu_s for one in shown[:4]] == [97.0, 98.0, 99.0, 100.0]
    assert all(place.is_dir() for place in made.values()), "to look removes nothing"
    gone = control.free_space(1.5)
    assert [one.cpu_s for one in gone] == [97.0, 98.0]
    assert {key for key, place in made.items() if not place.is_dir()} == {(one.stage, one.key) for one in gone}
    assert not list(database.settings.parameters.processing_path.glob("*/.attempts/*"))
    (event,) = database.query(JobEvent, event="removed")
    assert (event.who, event.message) == ("the test", "2 products to free 2 GB")
    assert names(space.removable(database)) == names(shown) - names(gone)
    assert [f for f in check(database).problems if f.key in {one.key for one in gone}] == [], "the check knows"
    plan(database, everything=True)
    assert database.query(PendingJob) == [], "nothing is made again for it"


def test_what_was_removed_is_made_again_where_it_is_needed(database: Database, made: dict[tuple[Stage, str], Path]) -> None:
    SatDaemonController(database).free_space(1e6)
    assert not made[Stage.SLC, f"{database.query(Master)[0].date:%Y%m%d}"].exists()
    one, two, *_ = database.query(Ifg)
    pair = database.query(RsarIfg)[0]
    database.update(Frame, {"reprocess": True}, id=FRAME)
    database.update(Ifg, {"proc_status": int(ProcStatus.WAITING)}, id=one.id)
    plan(database)
    jobs = {(job.kind, job.row_id): job.stage for job in database.query(PendingJob)}
    assert jobs == {(RowKind.IFG.value, one.id): "slc"}, "satsar waits for its cut-outs"
    with database.session_scope() as session:
        session.get_one(Ifg, two.id).proc_status = int(ProcStatus.STALE)
        session.get_one(Ifg, two.id).stale_from = 3
        session.get_one(RsarIfg, pair.id).proc_status = int(ProcStatus.STALE)
        session.get_one(RsarIfg, pair.id).stale_from = 2
        assert space.bring_back(session, [FRAME]) == 2
        assert space.bring_back(session, [FRAME]) == 0
        assert (session.get_one(Ifg, two.id).stale_from, session.get_one(RsarIfg, pair.id).stale_from) == (2, 1)


def test_files_that_a_crash_left_are_removed_not_new_ones(database: Database, made: dict[tuple[Stage, str], Path]) -> None:
    found = [one for one in space.removable(database) if one.stage is Stage.SLC]
    database.write(lambda session: space._mark(database, session, found[:2], "the test"))
    assert found[0].path.is_dir(), "marked, and killed"
    database.delete(Product, id=found[1].product_id)  # made again since: another record
    assert space.finish(database) == 1
    assert not found[0].path.exists()
    assert found[1].path.is_dir()
    assert space.finish(database) == 0


def test_protected_places_and_links_are_left(database: Database, made: dict[tuple[Stage, str], Path], tmp_path: Path) -> None:
    one, two, three, *_ = (one for one in space.removable(database) if one.stage is Stage.SLC)
    database.update(Product, {"path": str(tmp_path / "elsewhere")}, id=one.product_id)
    elsewhere = tmp_path / "another disk"
    shutil.move(two.path, elsewhere)
    two.path.symlink_to(elsewhere)
    left = {found.product_id for found in space.removable(database)}
    assert one.product_id not in left and two.product_id not in left and three.product_id in left
    parameters = database.settings.parameters.model_copy(update={"data_path": three.path.parent.parent})
    database.settings = database.settings.model_copy(update={"parameters": parameters})
    assert space.removable(database) == [], "products within data_path are zips' neighbours: nothing there is ours"
    assert os.path.lexists(two.path) and elsewhere.is_dir()


def test_work_under_way_keeps_what_it_reads(database: Database, made: dict[tuple[Stage, str], Path]) -> None:
    found = space.removable(database)
    day = database.query(Ifg)[0]
    database.update(Ifg, {"proc_status": int(ProcStatus.WAITING)}, id=day.id)
    plan(database)
    assert [job.stage for job in database.query(PendingJob)] == ["satsar"]
    gone = space.remove(database, found, who="the test")
    assert names(found) - names(gone) == {("slc", f"{day.date:%Y%m%d}")}, "it was chosen before, and is needed now"
    assert made[Stage.SLC, f"{day.date:%Y%m%d}"].is_dir()
