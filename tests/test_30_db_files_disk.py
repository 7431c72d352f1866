"""Zips as they stand on real disks: moved, doubled, growing, linked, forbidden, misnamed; read by many, written by one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path

import pytest
import zip_readers
from databases import make_settings
from simulated import index_of, small_archive, zip_of
from sqlalchemy import event, text

from satdaemon.db import Database, File, Frame, JobEvent, StrayFile, files
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.files.walk import escaped, walk
from satdaemon.db.files.writing import write
from satdaemon.errors import RequestError
from satdaemon.insar.safe import read_product
from satdaemon.insar.safe_probe import Probe

OLD_S = 3600


@pytest.fixture
def data(database: Database) -> Path:
    """data_path/T132."""
    folder = database.settings.parameters.data_path / "T132"
    folder.mkdir()
    return folder


def put(folder: Path, index: int = 0, which: int = 0, name: str = "") -> Path:
    """A copy of a simulated product, an hour old."""
    source = zip_of(index, which)
    target = folder / (name or source.name)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    return aged(target)


def aged(path: Path) -> Path:
    then = time.time() - OLD_S
    os.utime(path, (then, then))
    return path


def states(db: Database) -> dict[str, str]:
    return {f.id: f.state for f in db.query(File)}


def test_many_readers_find_what_one_finds(database: Database, data: Path) -> None:
    shutil.copytree(small_archive() / "archive" / "T132", data, dirs_exist_ok=True)
    for path in data.glob("*.zip"):
        aged(path)
    calls: list[tuple[int, int]] = []
    report = files.ingest_files(database, workers=2, progress=lambda done, total: calls.append((done, total)))
    found = {f.id: (f.checksum, f.size, f.date, tuple(b.id for b in f.bursts)) for f in database.query(File)}
    assert report.added == len(found) == 12 - len(report.bad) and report.duplicates == {} and not report.stopped
    assert calls[0] == (0, 12) and calls[-1] == (12, 12)
    for name in ("files2bursts", "frames2files", "files", "stray_files"):
        with database.session_scope() as session:
            session.execute(text(f"DELETE FROM {name}"))
    files.ingest_files(database, workers=1)
    assert {f.id: (f.checksum, f.size, f.date, tuple(b.id for b in f.bursts)) for f in database.query(File)} == found
    assert files.ingest_files(database, workers=2, read=zip_readers.never).unchanged == 12


def test_a_zip_that_ends_its_reader_is_bad_and_the_others_are_entered(database: Database, data: Path) -> None:
    for index in range(7):
        put(data, index)
    put(data, 0, name="deadly.zip")
    put(data, 1, name="deadly2.zip")
    report = files.ingest_files(database, workers=2, checksum=False, read=zip_readers.deadly)
    assert report.added == 7
    assert sorted(Path(p).name for p in report.bad) == ["deadly.zip", "deadly2.zip"]
    assert all("ended the reading process" in reason for reason in report.bad.values())


@pytest.mark.parametrize(
    ("read", "reason", "opened_again"),
    [
        (zip_readers.failing_disk, "Input/output error", True),
        (zip_readers.surprising, "RecursionError: too deep", False),
    ],
)
def test_whatever_reading_a_file_provokes_is_its_reason(
    database: Database, data: Path, read, reason: str, opened_again: bool
) -> None:
    path = put(data)
    report = files.ingest_files(database, read=read)
    assert reason in report.bad[str(path)]
    (file,) = database.query(File)
    assert (file.state, reason in str(file.reason)) == ("bad", True)
    again = files.ingest_files(database)
    assert (again.renewed, len(again.bad)) == ((1, 0) if opened_again else (0, 1))
    assert files.ingest_files(database, again=True).renewed == int(not opened_again)
    assert states(database) == {file.id: "on_disk"}


def test_what_the_database_refuses_is_bad_and_the_rest_of_the_batch_is_entered(database: Database, data: Path) -> None:
    wrong, right = put(data, 0), put(data, 1)
    report = files.ingest_files(database, read=zip_readers.contradicting)
    assert list(report.bad) == [str(wrong)] and "orbit_direction" in report.bad[str(wrong)]
    assert states(database) == {right.stem: "on_disk"}
    assert [s.abspath for s in database.query(StrayFile)] == [str(wrong)]


def test_a_zip_that_grows_is_left_for_the_next_turn(database: Database, data: Path) -> None:
    path = put(data)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    report = files.ingest_files(database)
    assert list(report.growing) == [str(path)] and (report.bad, report.news, states(database)) == ({}, 0, {})
    path.write_bytes(whole)
    assert files.ingest_files(database).added == 1
    path.write_bytes(whole[:5000])
    assert list(files.ingest_files(database, settle_s=0).bad) == [str(path)]
    assert states(database) == {path.stem: "bad"}
    path.write_bytes(whole)
    assert files.ingest_files(database).renewed == 1
    assert states(database) == {path.stem: "on_disk"}


def test_a_second_copy_is_told_and_takes_over_when_the_first_goes(database: Database, data: Path) -> None:
    first, second = put(data / "a"), put(data / "b")
    report = files.ingest_files(database)
    assert (report.added, report.duplicates) == (1, {str(second): first.stem})
    again = files.ingest_files(database, read=zip_readers.never)
    assert (again.unchanged, again.duplicates, again.news) == (2, report.duplicates, 0)
    first.unlink()
    assert files.ingest_files(database).renewed == 1
    (file,) = database.query(File)
    assert (file.abspath, file.state, database.query(StrayFile)) == (str(second), "on_disk", [])


def test_a_moved_file_is_not_opened_again(database: Database, data: Path) -> None:
    path = put(data)
    files.ingest_files(database)
    (before,) = database.query(File)
    target = data / "2021" / path.name
    target.parent.mkdir()
    path.rename(target)
    report = files.ingest_files(database, read=zip_readers.never)
    assert (report.renewed, report.missing) == (1, 0)
    (file,) = database.query(File)
    assert (file.abspath, file.state, file.checksum) == (str(target), "on_disk", before.checksum)


def test_a_file_that_comes_back_is_not_opened_again_and_its_frames_are_told(database: Database, data: Path) -> None:
    path, _ = put(data), put(data, 1)
    files.ingest_files(database)
    bursts = [b.id for b in database.query(File)[0].bursts]
    database.make_new_frame_using_burstlist(bursts, "132A_FILES")
    with database.session_scope() as session:
        session.execute(text("UPDATE frames SET files_changed_utc = NULL"))
    path.rename(path.with_suffix(".away"))
    assert files.ingest_files(database).missing == 1
    assert database.query(Frame)[0].files_changed_utc is not None
    with database.session_scope() as session:
        session.execute(text("UPDATE frames SET files_changed_utc = NULL"))
    path.with_suffix(".away").rename(path)
    report = files.ingest_files(database, read=zip_readers.never)
    assert (report.renewed, states(database)[path.stem]) == (1, "on_disk")
    assert database.query(Frame)[0].files_changed_utc is not None


def test_another_product_at_a_known_path(database: Database, data: Path) -> None:
    path = put(data, 0, name="product.zip")
    files.ingest_files(database)
    shutil.copy(zip_of(1), path)
    assert files.ingest_files(database).added == 1
    assert states(database) == {zip_of(0).stem: "missing", zip_of(1).stem: "on_disk"}


def test_a_bad_copy_does_not_spoil_the_good_one(database: Database, data: Path) -> None:
    good = put(data / "a")
    files.ingest_files(database)
    cut = put(data / "b")
    cut.write_bytes(cut.read_bytes()[:3000])
    report = files.ingest_files(database, settle_s=0)
    assert list(report.bad) == [str(cut)] and states(database) == {good.stem: "on_disk"}
    assert [(s.abspath, s.file_id) for s in database.query(StrayFile)] == [(str(cut), good.stem)]
    shutil.copy(zip_of(0), cut)
    assert files.ingest_files(database).duplicates == {str(cut): good.stem}
    cut.unlink()
    files.ingest_files(database)
    assert database.query(StrayFile) == []


def test_a_good_copy_takes_the_place_of_a_bad_one(database: Database, data: Path) -> None:
    cut = put(data / "a")
    cut.write_bytes(cut.read_bytes()[:3000])
    files.ingest_files(database, settle_s=0)
    assert states(database) == {cut.stem: "bad"}
    good = put(data / "b")
    report = files.ingest_files(database)
    (file,) = database.query(File)
    assert (file.state, file.abspath, report.renewed) == ("on_disk", str(good), 1)
    assert list(files.ingest_files(database).bad) == [str(cut)]


def test_a_bad_zip_leaves_what_an_archive_offers(database: Database, data: Path) -> None:
    product = read_product(zip_of(0))
    with database.session_scope() as session:
        files.enter(session, product, url="https://archive/x.zip", state="remote")
    cut = put(data)
    cut.write_bytes(cut.read_bytes()[:3000])
    assert list(files.ingest_files(database, settle_s=0).bad) == [str(cut)]
    assert states(database) == {product.id: "remote"}
    shutil.copy(zip_of(0), cut)
    assert files.ingest_files(database).added == 1
    (file,) = database.query(File)
    assert (file.state, file.url) == ("on_disk", "https://archive/x.zip")


def test_a_bad_file_that_is_removed_is_missing_and_no_longer_bad(database: Database, data: Path) -> None:
    cut, nameless = put(data), data / "holiday.zip"
    cut.write_bytes(b"PK")
    nameless.write_bytes(b"no zip at all")
    assert len(files.ingest_files(database, settle_s=0).bad) == files.problems(database) == 2
    cut.unlink()
    nameless.unlink()
    put(data, 1)
    assert (files.ingest_files(database).bad, files.problems(database)) == ({}, 0)
    assert states(database)[cut.stem] == "missing"


def test_reissued_products_are_both_kept_and_the_newest_is_used(database: Database, data: Path) -> None:
    index = index_of("duplicate")
    first, second = put(data, index, 0), put(data, index, 1)
    assert files.ingest_files(database).added == 2
    listed = {row.id: row.state for row in files.list_files(database)}
    newest = max((read_product(p) for p in (first, second)), key=lambda p: p.proc_utc)
    assert listed == {p.stem: "on_disk" if p.stem == newest.id else "replaced" for p in (first, second)}
    bursts = [b.id for b in database.query(File)[0].bursts]
    database.make_new_frame_using_burstlist(bursts, "132A_FILES")
    database.update_procdates("132A_FILES")
    with database.read_scope() as session:
        used = session.execute(text("SELECT file_id FROM frames2files WHERE valid = 1")).scalars().all()
    assert used == [newest.id]


def test_links_are_followed_once(database: Database, data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk2"
    path = put(elsewhere / "deep")
    (data.parent / "T133").symlink_to(elsewhere)
    (data / "again").symlink_to(elsewhere / "deep")
    (data / "loop").symlink_to(data)
    (data / path.name).symlink_to(path)
    (data / "gone.zip").symlink_to(tmp_path / "nothing.zip")
    report = files.ingest_files(database)
    assert (report.added, report.duplicates, list(report.bad)) == (1, {}, [str(data / "gone.zip")])
    assert "link to nothing" in report.bad[str(data / "gone.zip")]
    assert files.ingest_files(database, read=zip_readers.never).unchanged == 1


def test_names_of_one_file_are_one_file(database: Database, data: Path, tmp_path: Path) -> None:
    """Hard links and links to a file that is known at another place: no second copy, and not opened for that."""
    store = tmp_path / "store"
    first, second = put(store / "T132", 0), put(store / "T132", 1)
    files.ingest_files(database, store, checksum=False)
    (data / first.name).hardlink_to(first)
    (data / second.name).symlink_to(second)
    report = files.ingest_files(database, read=zip_readers.never)
    assert (report.unchanged, report.news, report.duplicates, report.warnings) == (2, 0, {}, [])
    assert {f.abspath for f in database.query(File)} == {str(first), str(second)}
    (data / "renamed.zip").hardlink_to(first)
    (data / first.name).unlink()
    report = files.ingest_files(database, checksum=False)
    assert (report.unchanged, report.added, report.duplicates, report.warnings) == (2, 0, {}, [])
    report = files.ingest_files(database, read=zip_readers.never)
    assert (report.unchanged, report.duplicates, report.warnings) == (2, {}, []), "its other name is known now"
    first.unlink()
    files.ingest_files(database, checksum=False)
    assert {f.abspath for f in database.query(File)} == {str(data / "renamed.zip"), str(second)}
    shutil.copy(second, data / "copy.zip")
    report = files.ingest_files(database, checksum=False)
    assert report.duplicates == {str(aged(data / "copy.zip")): second.stem} and len(report.warnings) == 1, "a copy is no link"


def test_a_batch_takes_few_statements_however_many_files_it_has(database: Database, data: Path) -> None:
    insert_bursts(database, read_product(zip_of(0)).domain_bursts())
    database.make_new_frame_using_burstlist([b.id for b in read_product(zip_of(0)).bursts], "132A_TEST")
    product = read_product(put(data, 0))

    def statements(names: range) -> int:
        batch = []
        for k in names:
            path = data / f"{product.id[:-4]}{k:04X}.zip"
            batch.append(Probe(path, 1, 1, replace(product, id=path.stem, path=path)))
        with counted(database) as count:
            told = database.write(partial(write, batch, "vv", walk(data.parent)))
        assert [outcome for outcome, _ in told] == ["added"] * len(batch)
        return count[0]

    few, many = statements(range(3)), statements(range(3, 33))
    assert many == few <= 16
    rows = database.query(File)
    assert len(rows) == 33 and {len(f.bursts) for f in rows} == {6}
    assert all([g.id for g in f.frames] == ["132A_TEST"] for f in rows)


@contextmanager
def counted(database: Database) -> Iterator[list[int]]:
    """How many statements the database is sent; many rows of one statement count once."""
    count = [0]

    def one(*_: object) -> None:
        count[0] += 1

    event.listen(database.engine, "before_cursor_execute", one)
    yield count
    event.remove(database.engine, "before_cursor_execute", one)


def test_pipes_and_names_of_any_bytes_stop_nothing(database: Database, data: Path) -> None:
    os.mkfifo(data / "pipe.zip")
    odd = os.fsencode(data) + b"/caf\xe9.zip"
    Path(os.fsdecode(odd)).write_bytes(b"x")
    spaced = put(data, 0, name="with 'quotes', spaces\nand % ünïcode.zip")
    report = files.ingest_files(database)
    assert report.added == 1 and database.query(File)[0].abspath == str(spaced)
    assert report.bad == {
        str(data / "pipe.zip"): "no regular file",
        escaped(os.fsdecode(odd)): "its name is not UTF-8: rename it",
    }
    assert len(database.query(StrayFile)) == files.problems(database) == 2
    Path(os.fsdecode(odd)).unlink()
    (data / "pipe.zip").unlink()
    assert files.ingest_files(database).bad == {} == {s.abspath: s for s in database.query(StrayFile)}


@contextmanager
def nobody() -> Iterator[None]:
    """As an account that may not do everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_that_may_not_be_listed_hides_nothing(tmp_path: Path) -> None:
    for folder in ("T001", "T002"):
        put(tmp_path / folder, 0)
    tmp_path.chmod(0o755)
    for parent in takewhile(lambda place: place != Path(tempfile.gettempdir()), tmp_path.parents):
        parent.chmod(parent.stat().st_mode | 0o055)
    (tmp_path / "T002").chmod(0)
    try:
        with nobody():
            found = walk(tmp_path)
    finally:
        (tmp_path / "T002").chmod(0o755)
    assert [Path(p).parent.name for p in found.zips] == ["T001"]
    assert "Permission denied" in found.problems[str(tmp_path / "T002")]
    assert not found.covers(str(tmp_path / "T002" / "x.zip")) and found.covers(str(tmp_path / "T001" / "x.zip"))


def test_a_disk_that_is_not_mounted_loses_no_file(database: Database, data: Path) -> None:
    path = put(data)
    files.ingest_files(database)
    path.unlink()
    with pytest.raises(RequestError, match="is the disk mounted"):
        files.ingest_files(database)
    assert states(database) == {path.stem: "on_disk"}
    assert files.ingest_files(database, all_gone=True).missing == 1
    with pytest.raises(RequestError, match="expected a directory"):
        files.ingest_files(database, data / "none")


def test_zips_of_another_track_or_beside_the_folders_are_told(database: Database, data: Path) -> None:
    put(data.parent / "T071")
    put(data.parent, 1)
    report = files.ingest_files(database)
    assert report.added == 1
    assert any("stands in T071 but is of track 132" in w for w in report.warnings)
    assert any("1 zips stand directly in it" in w for w in report.warnings)


def test_it_stops_between_files_and_goes_on_later(database: Database, data: Path) -> None:
    for index in range(4):
        put(data, index)
    asked = iter([False, False, True])
    report = files.ingest_files(database, stop=lambda: next(asked, True))
    assert report.stopped and report.added == 2
    rest = files.ingest_files(database)
    assert (rest.added, rest.unchanged, rest.stopped) == (2, 2, False)


def test_watching_sees_new_files_survives_trouble_and_ends_when_asked(database: Database, data: Path) -> None:
    stop, turns, troubles = threading.Event(), [], []
    put(data, 0)

    def told(report: files.IngestReport) -> None:
        turns.append(report)
        if len(turns) == 1:
            put(data, 1)
        elif report.added and not troubles:
            data.parent.rename(data.parent.with_name("away"))

    def trouble(reason: str) -> None:
        troubles.append(reason)
        data.parent.with_name("away").rename(data.parent)
        put(data, 2)
        threading.Timer(0.5, stop.set).start()

    files.watch_files(database, None, interval_s=0.05, stop=stop, told=told, trouble=trouble, checksum=False)
    assert sum(r.added for r in turns) == 3 and sum(r.missing for r in turns) == 0
    assert len(troubles) == 1 and "expected a directory" in troubles[0]


def ingest_slowly(url: str, root: Path) -> None:
    """Body of a process that is killed."""
    db = Database(make_settings(root, url))
    files.ingest_files(db, workers=2, checksum=False, read=zip_readers.slow)


def children(pid: int) -> set[int]:
    return {int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_a_killed_ingest_leaves_no_process_and_the_next_run_goes_on(
    database: Database, database_url: str, data: Path, tmp_path: Path
) -> None:
    for index in range(9):
        put(data, index)
    process = multiprocessing.get_context("spawn").Process(target=ingest_slowly, args=(database_url, tmp_path))
    process.start()
    assert process.pid is not None
    until = time.monotonic() + 120
    while not (data / "first").exists() and time.monotonic() < until:
        time.sleep(0.05)
    readers = children(process.pid)
    assert len(readers) >= 2
    process.kill()
    process.join()
    while any(Path(f"/proc/{pid}").exists() for pid in readers) and time.monotonic() < until:
        time.sleep(0.05)
    assert [pid for pid in readers if Path(f"/proc/{pid}").exists()] == []
    report = files.ingest_files(database, checksum=False)
    assert report.added + report.unchanged == len(states(database)) == 9


def test_nothing_new_tells_the_planner_nothing(database: Database, data: Path) -> None:
    put(data)
    (data / "holiday.zip").write_bytes(b"no zip at all")
    files.ingest_files(database, settle_s=0)
    events = len(database.query(JobEvent))
    files.ingest_files(database)
    assert len(database.query(JobEvent)) == events


def test_files_are_counted_by_track_and_listed(database: Database, data: Path) -> None:
    path = put(data)
    (data / "holiday.zip").write_bytes(b"no zip at all")
    files.ingest_files(database, settle_s=0)
    (one,) = files.tracks(database)
    assert (one.track, one.files, one.on_disk, one.bad, one.bytes) == (132, 1, 1, 0, path.stat().st_size)
    assert [r.id for r in files.list_files(database, track=132)] == [path.stem]
    assert [r.path for r in files.list_files(database, bad=True)] == [str(data / "holiday.zip")]
    assert files.list_files(database, track=7) == []
