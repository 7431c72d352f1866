"""Frames changed, copied, retired, taken back and deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from databases import make_settings
from frames_made import FRAME, add_dates, bursts, make_frame, plan, run_all, step
from points_made import show_points, write_points
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from satdaemon.db import (
    Burst,
    Database,
    DeletedFrame,
    File,
    Frame,
    Ifg,
    Master,
    PendingJob,
    Point,
    Product,
    RsarIfg,
    RunningJob,
    consistency,
    init_database,
    jobs,
    points,
)
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.frame_edit import edit_bursts, plan_edit
from satdaemon.db.frame_life import clone_frame, delete_frame, restore_frame, retire_frame
from satdaemon.db.frame_settings import edit_notes, edit_settings
from satdaemon.db.models.products import LEFT_BEHIND
from satdaemon.db.outline import outline
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.status import ProcStatus, Stage

IDS = [b.id for b in bursts()]
IW1, IW2 = IDS[:3], IDS[3:]


# Edit.


def test_other_bursts_mean_new_images_and_nothing_is_lost_without_asking(database: Database) -> None:
    made = make_frame(database, 4)
    more = bursts(4)
    insert_bursts(database, more)
    run_all(database, product=True)
    new = next(b.id for b in more if b.id not in IDS and b.swath == "IW1")
    before = {(p.stage, p.key) for p in database.query(Product)}
    with pytest.raises(
        NeedsConfirmation, match=r"add 132_.*_IW1: usable dates 4 -> 4; made again: 4 slc .*4 satsar .*1 ingest"
    ) as caught:
        edit_bursts(database, FRAME, add=[new])
    assert caught.value.effects == plan_edit(database, FRAME, add=[new])
    assert "the master" in caught.value.effects.warnings[0] and "lacks" in caught.value.effects.warnings[0]
    assert {(p.stage, p.key) for p in database.query(Product)} == before
    plan_, report = edit_bursts(database, FRAME, add=[new], drop=[IW2[0]], confirm=True)
    assert plan_.added == (new,) and plan_.dropped == (IW2[0],) and report.dates == made
    (frame,) = database.query(Frame)
    assert {b.id for b in frame.bursts} == (set(IDS) | {new}) - {IW2[0]}
    assert frame.geometry.equals(outline(b.geometry for b in frame.bursts))
    assert {p.stage for p in database.query(Product) if LEFT_BEHIND not in p.inputs} == {"download"}
    assert plan_edit(database, FRAME, drop=[IW2[1]]).redo == ()
    for row in (*database.query(Ifg), *database.query(Master)):
        assert (row.stage, row.status) == (Stage.SLC, ProcStatus.WAITING)
    assert {(row.stage, row.status) for row in database.query(RsarIfg)} == {(Stage.COHERENCE, ProcStatus.WAITING)}
    assert consistency.check(database).rows == []  # what stands on disk is no news
    titles = run_all(database, product=True)
    assert not [t for t in titles if t.startswith("download")]
    assert sum(t.startswith("slc") for t in titles) == 4
    assert not [p for p in database.query(Product) if LEFT_BEHIND in p.inputs]
    assert {(p.stage, p.key) for p in database.query(Product)} == before


def test_files_follow_the_bursts_of_a_frame(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    first, second, both = add_dates(database, [every[:3], every[3:], every])
    database.make_new_frame_using_burstlist(IW1, FRAME)
    database.update_procdates(FRAME)
    assert {f.date for f in database.query(Frame)[0].files} == {first, both}
    plan_, report = edit_bursts(database, FRAME, add=IW2, drop=IW1)
    assert plan_.redo == () and {f.date for f in database.query(Frame)[0].files} == {second, both}
    assert report.dates == [second, both]
    with pytest.raises(RequestError, match="none that changes it"):
        edit_bursts(database, FRAME, add=IW2)
    with pytest.raises(RequestError, match="expected bursts of the frame to drop, got 132_8566_IW1"):
        edit_bursts(database, FRAME, drop=IW1[:1])
    with pytest.raises(RequestError, match="got both of"):
        edit_bursts(database, FRAME, add=[IW2[0]], drop=[IW2[0]])
    insert_bursts(database, bursts(1, ("IW1",), track=95))
    with pytest.raises(RequestError, match="bursts of track 132 only"):
        edit_bursts(database, FRAME, add=["95_8566_IW1"])
    shifted, _ = edit_bursts(database, FRAME, drop=["132_8577_IW2"])
    assert shifted.dropped == ("132_8575_IW2",) and "taken as" in shifted.warnings[0]


def test_bursts_are_not_changed_under_a_running_job(database: Database) -> None:
    make_frame(database, 3)
    plan(database)
    jobs.grant_pass(database)
    with pytest.raises(RequestError, match="expected no running jobs"):
        edit_bursts(database, FRAME, drop=[IW1[0]], confirm=True)
    assert len(database.query(Frame)[0].bursts) == 6


def test_notes_and_settings(database: Database) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    edit_notes(database, FRAME, "  landslide east of the A5 ")
    assert database.query(Frame)[0].notes == "landslide east of the A5"
    redo = edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": "7"}})
    assert redo[0].stage is Stage.SATSAR and redo[0].products == 4
    assert database.query(Frame)[0].stage_settings == {"satsar": {"esd_cell_lines": 7}}
    assert edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": 7}}) == ()
    for values, message in [
        ({"satsar": {"colour": 1}}, r"keys of \[SATSAR\] .*got colour"),
        ({"satsar": {"cpu": 4}}, "got cpu"),
        ({"sadsar": {}}, "expected a stage"),
        ({"satsar": {"esd_cell_lines": 0}}, "greater than or equal to 1"),
    ]:
        with pytest.raises(RequestError, match=message):
            edit_settings(database, FRAME, values)
    edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": None}})
    assert database.query(Frame)[0].stage_settings == {}


# Clone, retire, delete.


def test_a_clone_has_bursts_and_settings_and_is_off(database: Database) -> None:
    make_frame(database, 3)
    database.update(Frame, {"previous": 2, "priority": 7, "do_ingest": False, "notes": "n"}, id=FRAME)
    edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": 7}})
    report = clone_frame(database, FRAME, "132A_COPY_TWO")
    assert report.files == 3 and sorted(report.bursts) == sorted(IDS)
    (copy,) = database.query(Frame, id="132A_COPY_TWO")
    assert (copy.previous, copy.priority, copy.do_ingest, copy.notes, copy.processing) == (2, 7, False, "n", False)
    assert copy.stage_settings == {"satsar": {"esd_cell_lines": 7}}
    assert database.query(Ifg, frame_id=copy.id) == []
    assert len(database.update_procdates(copy.id).dates) == 3
    for new_id, message in [(FRAME, "exists already"), ("95A_X", "frame id"), ("095A_X", "bursts of track 95 only")]:
        with pytest.raises(RequestError, match=message):
            clone_frame(database, FRAME, new_id)
    with pytest.raises(RequestError, match="found none"):
        clone_frame(database, "132A_NONE", "132A_OTHER")


def test_a_retired_frame_keeps_all_and_does_nothing_until_it_is_back(database: Database) -> None:
    make_frame(database, 4)
    step(database)
    assert plan(database).ready > 0
    rows = len(database.query(Ifg))
    pending, running = retire_frame(database, FRAME, who="somebody")
    assert pending > 0 and running == 0
    assert database.query(PendingJob) == [] and len(database.query(Ifg)) == rows
    assert plan(database).ready == 0 and jobs.grant_pass(database) == []
    with pytest.raises(RequestError, match="retired already"):
        retire_frame(database, FRAME)
    assert restore_frame(database, FRAME) is True
    with pytest.raises(RequestError, match="one in service"):
        restore_frame(database, FRAME)
    assert plan(database).ready == pending


def test_running_jobs_of_a_frame_to_be_retired_are_asked_about(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    granted = len(jobs.grant_pass(database))
    with pytest.raises(NeedsConfirmation, match=f"{granted} jobs are running: download on .*say whether"):
        retire_frame(database, FRAME)
    assert database.query(Frame)[0].retired_utc is None
    assert retire_frame(database, FRAME, running="let_end")[1] == granted
    assert all(job.cancel_by is None for job in database.query(RunningJob))
    restore_frame(database, FRAME)
    retire_frame(database, FRAME, running="cancel", who="somebody")
    assert {job.cancel_by for job in database.query(RunningJob)} == {"somebody"}


def test_deleting_a_frame_says_what_goes_and_asks(database: Database) -> None:
    make_frame(database, 3)
    plan(database)
    with pytest.raises(NeedsConfirmation, match=r"deleting it loses 3 pending and 0 failed jobs"):
        delete_frame(database, FRAME)
    jobs.grant_pass(database)
    with pytest.raises(RequestError, match="expected no running jobs"):
        delete_frame(database, FRAME, confirm=True)
    for job in database.query(RunningJob):
        jobs.cancel(database, job_id=job.job_id, who="me", hold=False)
    assert len(database.query(Frame)) == 1


def test_a_deleted_frame_takes_rows_and_leaves_files(database: Database) -> None:
    make_frame(database, 3)
    run_all(database, product=True)
    path = Path(database.query(Product)[0].path)
    with pytest.raises(NeedsConfirmation, match=r"the record of products: 3 download .*retiring loses nothing"):
        delete_frame(database, FRAME)
    gone = delete_frame(database, FRAME, confirm=True)
    assert gone.products[0].products == 3 and path.is_dir()
    assert database.query(Frame) == database.query(Ifg) == database.query(Product) == []
    assert len(database.query(File)) == 3 and len(database.query(Burst)) == 6
    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist(IDS, "132A_EMPTY")
    assert str(delete_frame(database, "132A_EMPTY")) == ""


def test_points_go_with_their_frame(database: Database, tmp_path: Path) -> None:
    insert_bursts(database, bursts())
    for frame_id in (FRAME, "132A_OTHER"):
        database.make_new_frame_using_burstlist(IDS, frame_id)
        write_points(tmp_path / frame_id, 40, 5)
        show_points(database, frame_id, tmp_path / frame_id)
    with pytest.raises(NeedsConfirmation, match="deleting it loses 40 points"):
        delete_frame(database, FRAME)
    delete_frame(database, FRAME, confirm=True)
    assert points.versions(database, FRAME) == [] and len(points.versions(database, "132A_OTHER")) == 1


DELETE_AND_DIE = """
import os, sys
from pathlib import Path
from databases import make_settings
from satdaemon.db import Database, frame_life
frame_life.remove = frame_life.finish = lambda *given: os._exit(9)
root, main, apart = sys.argv[1:4]
frame_life.delete_frame(Database(make_settings(Path(root), main, points_database=apart or None)), "132A_TEST", confirm=True)
"""


@pytest.mark.parametrize("apart", [False, True])
def test_a_crash_between_frame_and_points_leaves_nothing(database: Database, tmp_path: Path, apart: bool) -> None:
    """Killed when the frame is deleted and its points are about to be: they are out of reach, or recorded as to be removed."""
    main = database.settings.parameters.database
    own = f"sqlite:///{tmp_path / 'points.sqlite'}" if apart else None
    db = init_database(make_settings(tmp_path, main, points_database=own))
    insert_bursts(db, bursts())
    db.make_new_frame_using_burstlist(IDS, FRAME)
    write_points(tmp_path / "set", 40, 5)
    show_points(db, FRAME, tmp_path / "set")
    arguments = [sys.executable, "-c", DELETE_AND_DIE, str(tmp_path), main, own or ""]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(arguments, env=here, check=False).returncode == 9
    assert db.query(Frame) == []
    assert points.versions(db, FRAME) == [] or [r.frame_id for r in db.query(DeletedFrame)] == [FRAME]
    # a new frame of the same name, with points of its own, before anybody has cleared up
    db.make_new_frame_using_burstlist(IDS, FRAME)
    write_points(tmp_path / "new", 30, 5)
    show_points(db, FRAME, tmp_path / "new")
    points.prune(db)
    (left,) = points.versions(db, FRAME)
    assert left.points == 30 and db.query(DeletedFrame) == []
    with Session(db.points_engine) as session:
        assert session.scalar(select(func.count()).select_from(Point)) == 30
    assert points.orphaned(db) == [] and points.prune(db) == 0
    db.close()
