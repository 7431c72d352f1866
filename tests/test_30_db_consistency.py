"""The database against the file system: found, put right, put back; and what is left alone."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from frames_made import FRAME, add_file, bursts, days, make_frame, master_date, run_all, start
from products_made import BEGAN, write_all, write_product

from satdaemon.db import Database, File, Frame, Ifg, JobEvent, Master, PendingJob, Product, RsarIfg, RunningJob, jobs
from satdaemon.db.clock import now_utc
from satdaemon.db.consistency import Kind, Report, check, contents, delete_paths, fix, undo
from satdaemon.db.consistency.dump import Dump
from satdaemon.db.consistency.snapshot import shown_points
from satdaemon.db.frames import to_update
from satdaemon.db.planning import plan
from satdaemon.errors import ConfigError, RequestError
from satdaemon.status import STAGES_OF, ProcStatus, Stage

WHO = "the test"
DATES = 4


def places(db: Database) -> dict[tuple[str, int], tuple[int, int, int | None]]:
    """Every row with where it stands."""
    return {
        (model.kind.value, row.id): (row.proc_stage, row.proc_status, row.stale_from)
        for model in (Master, Ifg, RsarIfg)
        for row in db.query(model)
    }


def records(db: Database) -> set[tuple[str, str, str, str]]:
    return {(p.frame_id, p.stage, p.key, p.fingerprint) for p in db.query(Product)}


def kinds(report: Report) -> set[Kind]:
    return {f.kind for f in report.problems}


def corrected(db: Database) -> Report:
    """Check, fix, and check again."""
    fix(db, check(db), who=WHO)
    return check(db)


@pytest.fixture
def made(database: Database) -> dict[tuple[Stage, str], Path]:
    """A frame whose rows are new, and all of whose products stand on disk."""
    make_frame(database, DATES, on=False)
    return write_all(database)


@pytest.fixture
def known(database: Database, made: dict[tuple[Stage, str], Path]) -> dict[tuple[Stage, str], Path]:
    """The same frame, with the database as it should be."""
    assert corrected(database).is_clean
    return made


def test_an_empty_database_comes_to_know_a_full_processing_directory(database: Database, made: dict) -> None:
    before = places(database)
    found = check(database)
    assert kinds(found) == {Kind.UNKNOWN, Kind.BEHIND, Kind.POINTS}
    assert all(f.fixable for f in found.problems)
    assert places(database) == before and not database.query(Product)
    told = fix(database, found, who=WHO)
    assert told.rows == len(before) and told.records == len(made) and not told.skipped
    for model in (Master, Ifg, RsarIfg):
        for row in database.query(model):
            assert (row.proc_stage, row.status) == (len(STAGES_OF[model.kind]), ProcStatus.DONE), row
    assert {(Stage(p.stage), p.key): Path(p.path) for p in database.query(Product)} == made
    assert {row.bperp_m for row in database.query(Ifg)} == {12.5}
    assert shown_points(database, FRAME)
    (frame,) = database.query(Frame)
    assert frame.initial_last_date == days(DATES)[-1]
    assert check(database).is_clean
    assert len(database.query(JobEvent, event="found_done")) == len(before)


def test_what_was_found_needs_no_job_and_stays_found(database: Database, known: dict) -> None:
    database.update(Frame, {"processing": True}, id=FRAME)
    before = places(database)
    assert plan(database, [FRAME]).added == 0
    assert places(database) == before


def test_a_fix_can_be_put_back(database: Database, made: dict) -> None:
    before = places(database), records(database)
    told = fix(database, check(database), who=WHO)
    assert told.dump is not None
    after = places(database), records(database)
    undone = undo(database, told.dump, who=WHO)
    assert (places(database), records(database)) == before
    assert undone.rows == told.rows and not undone.left
    fix(database, check(database), who=WHO)
    assert (places(database), records(database)) == after
    (path,) = made[Stage.SATSAR, f"{days(DATES)[0]:%Y%m%d}"].glob("product.json")
    with pytest.raises(RequestError, match="expected a file that check-consistency --fix wrote"):
        undo(database, path, who=WHO)


def test_a_missing_product_takes_its_row_back_to_what_is_there(database: Database, known: dict) -> None:
    day, *_ = (row.date for row in database.query(Ifg))
    key = f"{day:%Y%m%d}"
    shutil.rmtree(known[Stage.SATSAR, key])
    before = places(database), records(database)
    found = check(database)
    assert [(f.kind, f.stage, f.key) for f in found.problems] == [(Kind.MISSING, Stage.SATSAR, key)]
    told = fix(database, found, who=WHO)
    (row,) = database.query(Ifg, date=day)
    assert (row.stage, row.status) == (Stage.SATSAR, ProcStatus.WAITING)
    assert row.reason and key in row.reason
    assert check(database).is_clean
    assert told.dump is not None and not undo(database, told.dump, who=WHO).left
    assert (places(database), records(database)) == before


def test_a_missing_pair_leaves_its_neighbours_alone(database: Database, known: dict) -> None:
    pair = database.query(RsarIfg)[0]
    key = f"{pair.date1:%Y%m%d}_{pair.date2:%Y%m%d}"
    shutil.rmtree(known[Stage.UNWRAP, key])
    shutil.rmtree(known[Stage.COHERENCE, key])
    before = places(database)
    assert corrected(database).is_clean
    now = places(database)
    assert now.pop(("rsar_ifg", pair.id)) == (1, ProcStatus.WAITING, None)
    before.pop(("rsar_ifg", pair.id))
    assert now == before


def test_without_the_geometry_the_siblings_count_for_nothing(database: Database, known: dict) -> None:
    shutil.rmtree(known[Stage.SATSAR, f"{master_date(database):%Y%m%d}"])
    corrected(database)
    (row,) = database.query(Master)
    assert (row.stage, row.status) == (Stage.SATSAR, ProcStatus.WAITING)
    assert {r.status for r in database.query(RsarIfg)} == {ProcStatus.DONE}


def test_an_intermediate_product_that_nobody_reads_any_more_may_go(database: Database, known: dict) -> None:
    before = places(database)
    for (stage, _), place in known.items():
        if stage in (Stage.DOWNLOAD, Stage.SLC):
            shutil.rmtree(place)
    assert kinds(check(database)) == {Kind.MISSING}
    assert corrected(database).is_clean
    assert places(database) == before
    day = next(row.date for row in database.query(Ifg))
    with database.session_scope() as session:
        row = session.query(Ifg).filter_by(date=day).one()
        row.proc_status, row.stale_from = int(ProcStatus.STALE), 3
    assert corrected(database).is_clean
    (row,) = database.query(Ifg, date=day)
    assert (row.status, row.stale_from) == (ProcStatus.STALE, 1)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damage_is_found_without_reading_all(database: Database, known: dict, damage: str) -> None:
    place = known[Stage.SATSAR, f"{next(r.date for r in database.query(Ifg)):%Y%m%d}"]
    image = place / "image.tif"
    if damage == "cut":
        image.write_bytes(image.read_bytes()[:-200])
    else:
        about = json.loads((place / "product.json").read_text())
        about["processor"]["version"] = "2"
        (place / "product.json").write_text(json.dumps(about))
    found = check(database)
    assert kinds(found) == {Kind.DAMAGED}, found.problems
    fix(database, found, who=WHO)
    (row,) = database.query(Ifg, date=next(r.date for r in database.query(Ifg)))
    assert (row.stage, row.status) == (Stage.SATSAR, ProcStatus.WAITING)
    again = check(database)
    assert again.is_clean and [f.kind for f in again.findings] == [Kind.DAMAGED]  # a note: its row waits to make it


def test_a_flipped_bit_is_found_by_reading_all(database: Database, known: dict) -> None:
    fix(database, check(database, deep=True), who=WHO)
    assert all(p.checksum.startswith("sha256:") for p in database.query(Product))
    image = known[Stage.UNWRAP, next(key for stage, key in known if stage is Stage.UNWRAP)] / "image.tif"
    data = bytearray(image.read_bytes())
    data[-5] ^= 1
    image.write_bytes(data)
    assert check(database).is_clean
    found = check(database, deep=True)
    assert kinds(found) == {Kind.DAMAGED}
    fix(database, found, who=WHO)
    assert len(database.query(RsarIfg, proc_status=int(ProcStatus.WAITING))) == 1
    assert not check(database).rows  # what is known to be bad is not taken for good by a quick look


def test_a_product_cut_short_is_not_taken_for_done(database: Database, made: dict) -> None:
    key = f"{next(r.date for r in database.query(Ifg)):%Y%m%d}"
    image = made[Stage.SATSAR, key] / "image.tif"
    image.write_bytes(image.read_bytes()[:-200])
    corrected(database)
    (row,) = database.query(Ifg, proc_status=int(ProcStatus.DONE), proc_stage=2)
    assert f"{row.date:%Y%m%d}" == key
    assert len(database.query(Ifg, proc_status=int(ProcStatus.DONE), proc_stage=3)) == len(days(DATES)) - 2


def test_a_database_put_back_from_an_old_dump_goes_forward(database: Database, known: dict) -> None:
    """Rows and products as they were a while ago; on disk a date was made again since, and all that follows from it."""
    later = BEGAN + timedelta(days=400 * 365)  # after the records, which have the time of the test
    day = next(r.date for r in database.query(Ifg))
    key = f"{day:%Y%m%d}"
    with database.session_scope() as session:
        row = session.query(Ifg).filter_by(date=day).one()
        row.proc_status, row.stale_from = int(ProcStatus.STALE), 2
    for stage in (Stage.SLC, Stage.SATSAR):
        write_product(known[stage, key], stage, key, master=master_date(database), made=later, value=3.0)
    old = {p.key: p.id for p in database.query(Product, stage="satsar")}
    corrected(database)
    (row,) = database.query(Ifg, date=day)
    assert (row.stage, row.status, row.stale_from) == (Stage.SATSAR, ProcStatus.DONE, None)
    new = {p.key: p.id for p in database.query(Product, stage="satsar")}
    assert new.pop(key) > max(old.values()) and new == {k: v for k, v in old.items() if k != key}


def test_a_product_older_than_what_it_was_made_from_is_stale(database: Database, made: dict) -> None:
    day = next(r.date for r in database.query(Ifg))
    key = f"{day:%Y%m%d}"
    later = BEGAN + timedelta(days=1)
    write_product(made[Stage.SLC, key], Stage.SLC, key, master=master_date(database), made=later)
    found = check(database)
    assert Kind.OUTDATED in kinds(found)
    fix(database, found, who=WHO)
    (row,) = database.query(Ifg, date=day)
    assert (row.stage, row.status, row.stale_from) == (Stage.SATSAR, ProcStatus.STALE, 3)


def test_products_of_another_master_are_not_taken(database: Database, made: dict) -> None:
    (row,) = database.query(Master)
    other = next(r.date for r in database.query(Ifg))
    for (stage, key), place in made.items():
        if stage not in (Stage.DOWNLOAD, Stage.SLC):
            shutil.rmtree(place)
            write_product(place, stage, key, master=other)
    found = check(database)
    told = [f for f in found.problems if f.kind is Kind.OTHER_MASTER]
    assert len(told) == 1 and str(other) in told[0].what and "frame master" in told[0].remedy
    fix(database, found, who=WHO)
    assert {(r.proc_stage, r.status) for r in database.query(Ifg)} == {(2, ProcStatus.DONE)}
    assert {r.status for r in database.query(RsarIfg)} == {ProcStatus.WAITING}
    assert database.query(Master)[0].date == row.date


def test_rows_that_wait_to_be_made_again_stay_so(database: Database, known: dict) -> None:
    """What is there is known: whoever set the row back wants it made again."""
    with database.session_scope() as session:
        for row in session.query(Ifg):
            row.proc_status = int(ProcStatus.WAITING)
    before = places(database)
    assert check(database).is_clean
    assert places(database) == before


def test_excluded_rows_are_left_alone(database: Database, made: dict) -> None:
    day = next(r.date for r in database.query(Ifg))
    database.update(Ifg, {"proc_status": int(ProcStatus.EXCLUDED), "reason": "snow"}, date=day)
    corrected(database)
    (row,) = database.query(Ifg, date=day)
    assert (row.proc_stage, row.status, row.reason) == (1, ProcStatus.EXCLUDED, "snow")


def test_rows_marked_running_without_a_job_wait_again(database: Database) -> None:
    make_frame(database, DATES, on=False)
    with database.session_scope() as session:
        for row in session.query(Ifg):
            row.proc_status = int(ProcStatus.RUNNING)
    found = check(database)
    assert kinds(found) == {Kind.NO_JOB}
    assert corrected(database).is_clean
    assert {r.status for r in database.query(Ifg)} == {ProcStatus.WAITING}


def test_what_jobs_work_on_is_not_touched(database: Database) -> None:
    make_frame(database)
    run_all(database, product=True, most=500)
    database.update(Frame, {"reprocess": True}, id=FRAME)
    with database.session_scope() as session:
        for row in session.query(Ifg):
            row.proc_status, row.stale_from = int(ProcStatus.STALE), 3
    plan(database, [FRAME])
    grants = jobs.grant_pass(database)
    assert grants and all(start(database, g.job_id, g.attempt) for g in grants)
    root = database.settings.parameters.processing_path / FRAME
    for grant in grants:
        (root / ".attempts" / f"{grant.job_id}-{grant.attempt}" / "out").mkdir(parents=True)
        shutil.rmtree(root / "satsar" / grant.job.key)
    (root / ".attempts" / "99-1").mkdir()
    found = check(database)
    assert [f.path for f in found.problems] == [root / ".attempts" / "99-1"]
    live = [f for f in found.findings if f.kind is Kind.IN_MOTION]
    assert {f.key for f in live} == {g.job.key for g in grants} and all("job" in f.what for f in live)
    before = places(database)
    fix(database, found, who=WHO)
    assert places(database) == before
    assert {j.job_id for j in database.query(RunningJob)} == {g.job_id for g in grants}


def test_a_job_that_takes_a_row_between_check_and_fix_keeps_it(database: Database, made: dict) -> None:
    found = check(database)
    database.update(Frame, {"processing": True}, id=FRAME)
    plan(database, [FRAME])
    grants = jobs.grant_pass(database)
    assert grants
    told = fix(database, found, who=WHO)
    assert len(told.skipped) == len(grants)
    running = {(g.job.kind.value, g.job.key) for g in grants}
    for model in (Master, Ifg):
        for row in database.query(model):
            is_live = (model.kind.value, f"{row.date:%Y%m%d}") in running
            assert (row.status is ProcStatus.RUNNING) == is_live
    # The queue of rows that moved is gone, and the next plan queues nothing for them.
    assert not database.query(PendingJob, kind="rsar_ifg")


def test_held_jobs_and_their_rows_stay(database: Database, made: dict) -> None:
    database.update(Frame, {"processing": True}, id=FRAME)
    plan(database, [FRAME])
    job = database.query(PendingJob, kind="ifg")[0]
    jobs.cancel(database, job_id=job.job_id, who=WHO)
    assert database.query(PendingJob, job_id=job.job_id)[0].held
    fix(database, check(database), who=WHO)
    (row,) = database.query(Ifg, id=job.row_id)
    assert row.status is ProcStatus.WAITING
    assert database.query(PendingJob, job_id=job.job_id)[0].held


def test_undo_leaves_what_moved_since(database: Database, made: dict) -> None:
    told = fix(database, check(database), who=WHO)
    day = next(r.date for r in database.query(Ifg))
    database.update(Ifg, {"proc_status": int(ProcStatus.EXCLUDED), "reason": "snow"}, date=day)
    assert told.dump is not None
    undone = undo(database, told.dump, who=WHO)
    assert undone.rows == told.rows - 1
    assert any(f"{day:%Y%m%d}" in line and "EXCLUDED" in line for line in undone.left)
    assert database.query(Ifg, date=day)[0].status is ProcStatus.EXCLUDED


def test_leftovers_are_found_and_deleted_by_name_only(database: Database, known: dict, tmp_path: Path) -> None:
    root = database.settings.parameters.processing_path
    odd = [
        root / FRAME / "notes.txt", root / FRAME / "satsar" / "20230101.old", root / "999D_GONE", root / "a file",
        root / FRAME / ".attempts" / "7-1", root / FRAME / "slc" / "20290101", root / FRAME / "unwrap" / "20230101_20290101",
    ]  # fmt: skip
    for place in odd:
        if place.suffix == ".txt" or place.name == "a file":
            place.write_text("x")
        else:
            place.mkdir(parents=True)
            (place / "x.bin").write_text("x")
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "thing").write_text("x")
    link = root / FRAME / "link"
    link.symlink_to(outside)
    odd.append(known[Stage.SATSAR, f"{days(DATES)[0]:%Y%m%d}"] / "image.tif.aux.xml")
    odd[-1].write_text("x")
    found = check(database)
    assert kinds(found) == {Kind.UNEXPECTED, Kind.NO_FRAME, Kind.HALF_WRITTEN, Kind.ORPHANED}
    assert {f.path for f in found.problems} == {*odd, link} and all(f.deletable for f in found.problems)
    fix(database, found, who=WHO)
    assert all(p.exists() for p in odd)
    for wrong in (known[Stage.SLC, f"{days(DATES)[0]:%Y%m%d}"], outside, root / FRAME, root, root / ".." / "precious"):
        with pytest.raises(RequestError, match="expected a path that this check reports"):
            delete_paths(database, found, [odd[0], wrong])
    assert odd[0].exists()
    assert delete_paths(database, found, [*odd[:3], odd[-1], link]) == [*odd[:3], odd[-1], link]
    assert not any(p.exists() for p in (*odd[:3], odd[-1])) and all(p.exists() for p in odd[3:-1])
    assert (outside / "thing").exists() and not link.is_symlink()


def test_a_frame_whose_directory_is_gone_needs_to_be_named(database: Database, known: dict) -> None:
    root = database.settings.parameters.processing_path
    (root / FRAME).rename(root.parent / "unmounted")
    before = places(database)
    found = check(database)
    assert kinds(found) == {Kind.MISSING} and "mount" in found.problems[0].remedy
    fix(database, found, who=WHO)
    assert places(database) == before
    fix(database, check(database, [FRAME]), who=WHO)
    assert {p[:2] for p in places(database).values()} == {(1, ProcStatus.WAITING)}
    (root.parent / "unmounted").rename(root / FRAME)
    assert corrected(database).is_clean
    assert places(database) == before
    shutil.rmtree(root)
    with pytest.raises(ConfigError, match="is its disk mounted"):
        check(database)


def test_a_processing_directory_that_moved_keeps_its_products(database: Database, known: dict) -> None:
    root = database.settings.parameters.processing_path
    with database.session_scope() as session:
        for product in session.query(Product):
            product.path = product.path.replace(str(root), "/elsewhere")
    before = places(database)
    assert kinds(check(database)) == {Kind.MOVED}
    assert corrected(database).is_clean
    assert places(database) == before
    assert all(Path(p.path).is_dir() for p in database.query(Product))


def test_zips_that_are_gone_or_changed_are_told(database: Database) -> None:
    folder = database.settings.parameters.data_path / "T132"
    folder.mkdir(parents=True)
    names = {}
    for k, day in enumerate(days(4)):
        path = folder / f"{k}.zip"
        path.write_bytes(b"x" * 1000)
        names[k] = add_file(database, datetime(day.year, day.month, day.day, 6, tzinfo=UTC), [], abspath=str(path))
    with database.session_scope() as session:
        session.query(File).update({"checksum": "md5:8d2b2f8ee3a7b0a7ad1de5d6e8a3f1c0"})
    (folder / "0.zip").unlink()
    (folder / "1.zip").write_bytes(b"y" * 999)
    (folder / "new.zip").write_bytes(b"z")
    (folder / ".x.zip.part").write_bytes(b"z")
    found = check(database)
    assert len(found.problems) == 2 and kinds(found) == {Kind.ZIP}
    assert {f.kind for f in found.findings if f.note} == {Kind.ZIP, Kind.HALF_WRITTEN}
    fix(database, found, who=WHO)
    (file,) = database.query(File, state="missing")
    assert file.id == names[0]
    deep = check(database, deep=True)
    assert sum("checksum" in f.what for f in deep.problems) == 2
    (folder / "0.zip").write_bytes(b"x" * 1000)
    told = fix(database, check(database), who=WHO)
    assert not database.query(File, state="missing")
    assert told.dump is not None and undo(database, told.dump, who=WHO).files == 1
    assert [f.id for f in database.query(File, state="missing")] == [names[0]]


def test_the_dates_of_a_zip_that_is_gone_are_looked_at_again(database: Database) -> None:
    make_frame(database, DATES)
    folder = database.settings.parameters.data_path / "T132"
    folder.mkdir(parents=True)
    path = folder / "0.zip"
    path.write_bytes(b"x" * 1000)
    add_file(database, datetime(2023, 6, 1, 6, tzinfo=UTC), bursts(), abspath=str(path))
    database.update_procdates(FRAME)
    assert to_update(database) == []
    path.unlink()
    told = fix(database, check(database), who=WHO)
    assert told.files == 1 and to_update(database) == [FRAME]
    database.update_procdates(FRAME)
    assert told.dump is not None and undo(database, told.dump, who=WHO).files == 1
    assert to_update(database) == [FRAME]


def test_a_data_disk_that_is_not_mounted_changes_nothing(database: Database, made: dict) -> None:
    folder = database.settings.parameters.data_path / "T132"
    folder.mkdir(parents=True)
    path = folder / "0.zip"
    path.write_bytes(b"x" * 1000)
    add_file(database, datetime(2023, 1, 1, 6, tzinfo=UTC), [], abspath=str(path))
    download = made[Stage.DOWNLOAD, f"{master_date(database):%Y%m%d}"]
    said = json.loads((download / "download.json").read_text())
    scenes = [{"id": "0", "path": str(path), "size": 1000}]
    (download / "download.json").write_text(json.dumps({**said, "scenes": scenes}))
    assert corrected(database).is_clean
    folder.rename(folder.with_name("away"))
    found = check(database)
    assert len(found.problems) == 2 and not found.changes
    assert all("not there" in f.what and not f.fixable for f in found.problems)
    folder.with_name("away").rename(folder)
    assert check(database).is_clean


def test_a_disk_that_does_not_answer_changes_nothing(
    database: Database, known: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(contents, "check_file", refuse)
    found = check(database)
    assert kinds(found) == {Kind.DAMAGED} and not found.rows and not any(f.fixable for f in found.problems)
    assert "Permission denied" in found.problems[0].what


def test_a_retired_frame_is_noted_and_an_unknown_one_refused(database: Database, known: dict) -> None:
    with database.session_scope() as session:
        session.query(Frame).update({"retired_utc": now_utc()})
    found = check(database)
    assert found.is_clean and [f.kind for f in found.findings] == [Kind.RETIRED]
    with pytest.raises(RequestError, match="999A_NO"):
        check(database, ["999A_NO"])
    assert check(database, [FRAME]).frames == 1


def test_failed_rows_go_forward_on_news_only(database: Database, made: dict) -> None:
    day, *_ = sorted(r.date for r in database.query(Ifg))
    with database.session_scope() as session:
        for row in session.query(Ifg).filter_by(date=day):
            row.proc_stage, row.proc_status = 3, int(ProcStatus.RUNNING)
        session.flush()
        for row in session.query(Ifg).filter_by(date=day):
            row.proc_status = int(ProcStatus.FAILED)
    shutil.rmtree(made[Stage.SATSAR, f"{day:%Y%m%d}"])
    corrected(database)
    (row,) = database.query(Ifg, date=day)
    assert (row.proc_stage, row.status) == (3, ProcStatus.FAILED)
    write_product(made[Stage.SATSAR, f"{day:%Y%m%d}"], Stage.SATSAR, f"{day:%Y%m%d}", master=master_date(database),
                  made=BEGAN + timedelta(hours=9))  # fmt: skip
    corrected(database)
    assert database.query(Ifg, date=day)[0].status is ProcStatus.DONE


def test_a_fix_that_never_came_to_its_end_changed_nothing(
    database: Database, made: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the dump was written and before the commit: the dump is there, and undoing it does no harm."""
    before = places(database), records(database)

    def killed(self: Dump, path: Path) -> None:
        write(self, path)
        raise KeyboardInterrupt

    write = Dump.write
    monkeypatch.setattr(Dump, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        fix(database, check(database), who=WHO)
    assert (places(database), records(database)) == before
    assert not shown_points(database, FRAME)
    (dump,) = (database.settings.parameters.log_path / "consistency").glob("*.json")
    undone = undo(database, dump, who=WHO)
    assert undone.rows == 0 and undone.records == 0 and undone.left
    assert (places(database), records(database)) == before
    monkeypatch.undo()
    assert corrected(database).is_clean


def test_progress_reaches_its_end(database: Database, made: dict) -> None:
    told: list[tuple[float, float]] = []
    check(database, progress=lambda done, total, what: told.append((done, total)))
    assert told[-1] == (1, 1) and [d for d, _ in told] == sorted(d for d, _ in told)


def test_a_check_of_what_fits_writes_nothing(database: Database, known: dict) -> None:
    events = len(database.query(JobEvent))
    told = fix(database, check(database), who=WHO)
    assert told.dump is None and len(database.query(JobEvent)) == events
