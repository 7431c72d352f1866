"""The local archive: what it finds, and that nothing bad or half-written is ever seen in the data directory."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import stat
import tracemalloc
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from product_zips import SQUARE, START, damage, make_zip, product_name
from realdata import data_dir

from satdaemon.archive import LocalArchive, clear_parts, transfer
from satdaemon.archive.product import quick_look, scene_of_name, track_of
from satdaemon.archive.verify import check_zip, checksum_of
from satdaemon.domain import Burst, Frame, Scene
from satdaemon.errors import ArchiveError, ConfigError, CorruptProduct, DiskFull, RequestError

FRAME = Frame("071D_TEST", 71, "D", (Burst("071_5000_IW1", 71, "D", 5000, "IW1", None, SQUARE),))


@pytest.fixture
def archive(tmp_path: Path) -> LocalArchive:
    (tmp_path / "archive").mkdir()
    return LocalArchive(tmp_path / "archive")


def one(archive: LocalArchive, **more) -> Scene:
    make_zip(archive.path / "T071", **more)
    return archive.search(FRAME)[0]


def sha256(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.name.startswith("."))


# search


def test_search_reads_name_and_manifest(archive: LocalArchive) -> None:
    path = make_zip(archive.path / "deep" / "er")
    (scene,) = archive.search(FRAME)
    assert (scene.id, scene.platform, scene.absolute_orbit, scene.track) == (path.stem, "S1A", 46693, 71)
    assert scene.start_utc == START + timedelta(seconds=0.25) and scene.orbit_direction == "D"
    assert scene.proc_utc is not None and scene.proc_utc.isoformat() == "2023-01-08T15:52:25+00:00"
    assert (scene.url, scene.path, scene.size) == (path.as_uri(), None, path.stat().st_size)


def test_search_keeps_to_track_direction_and_place(archive: LocalArchive) -> None:
    make_zip(archive.path, orbit=46694, crc="0001")
    make_zip(archive.path, direction="ASCENDING", crc="0002")
    make_zip(archive.path, footprint=tuple((lon + 40, lat) for lon, lat in SQUARE), crc="0003")
    wanted = make_zip(archive.path, START + timedelta(days=12), orbit=46868)
    (archive.path / "notes.zip").write_text("x")
    (archive.path / "S1A_IW_SLC__1SDV_20239908T135249_20230108T135316_046693_0598D3_BA76.zip").write_text("x")
    shutil.copy(wanted, archive.path / f".{wanted.name}")
    assert [s.id for s in archive.search(FRAME)] == [wanted.stem]
    without_footprints = replace(FRAME, bursts=(replace(FRAME.bursts[0], footprint=()),))
    assert len(archive.search(without_footprints)) == 2


def test_a_slice_that_begins_on_the_track_before_is_found_by_its_footprint(archive: LocalArchive) -> None:
    make_zip(archive.path, orbit=46692)
    assert [s.track for s in archive.search(FRAME)] == [70]
    assert archive.search(replace(FRAME, bursts=(replace(FRAME.bursts[0], footprint=()),))) == []


def test_an_unreadable_zip_is_listed_where_the_others_of_the_frame_are(archive: LocalArchive) -> None:
    make_zip(archive.path)
    bad = make_zip(archive.path, START + timedelta(days=12, seconds=1), orbit=46868)
    bad.write_bytes(bad.read_bytes()[:5000])
    elsewhere = make_zip(archive.path, START + timedelta(days=12, minutes=40), orbit=46868, crc="0009")
    elsewhere.write_bytes(b"not a zip")
    found = archive.search(FRAME)
    assert [s.id for s in found] == [product_name(), bad.stem]
    assert found[1].orbit_direction == "D" and found[1].proc_utc is None
    (archive.path / f"{product_name()}.zip").unlink()
    assert len(archive.search(FRAME)) == 2, "with nothing to compare with, both"


def test_search_across_the_180th_meridian(archive: LocalArchive) -> None:
    make_zip(archive.path, footprint=((179.0, 0), (-179.0, 0), (-179.0, 2), (179.0, 2)))
    near = replace(FRAME.bursts[0], footprint=((-179.8, 0.5), (-179.2, 0.5), (-179.2, 1), (-179.8, 1)))
    far = replace(FRAME.bursts[0], footprint=((0.0, 0.5), (1.0, 0.5), (1.0, 1), (0.0, 1)))
    assert len(archive.search(replace(FRAME, bursts=(near,)))) == 1
    assert archive.search(replace(FRAME, bursts=(far,))) == []


def test_a_checksum_beside_the_zip_is_known(archive: LocalArchive) -> None:
    path = make_zip(archive.path)
    path.with_name(path.name + ".md5").write_text(f"{'AB' * 16}  {path.name}\n")
    assert archive.search(FRAME)[0].checksum == "md5:" + "ab" * 16


def test_a_missing_archive_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"expected the archive's directory \(archive_path\), found none"):
        LocalArchive(tmp_path / "gone").search(FRAME)


@pytest.mark.parametrize(
    ("platform", "orbit", "track"),
    [("S1A", 32518, 71), ("S1B", 26269, 168), ("S1C", 8018, 147), ("S1C", 8019, 46), ("S1D", 42, 1)],
)
def test_track_of_an_absolute_orbit(platform: str, orbit: int, track: int) -> None:
    assert track_of(platform, orbit) == track


@pytest.mark.realdata
def test_real_zips() -> None:
    looks = [quick_look(p) for folder in ("s1reader", "xarray_sentinel") for p in sorted((data_dir() / folder).glob("*.zip"))]
    got = [(k.scene.id[:24], k.scene.track, k.scene.orbit_direction, len(k.footprint), k.problem) for k in looks if k]
    assert got == [
        ("S1A_IW_SLC__1SDV_2020051", 71, "D", 4, ""),
        ("S1A_IW_SLC__1SDV_2022101", 64, "A", 4, ""),
        ("S1A_IW_SLC__1SDV_2023010", 71, "D", 4, ""),
        ("S1B_IW_SLC__1SDV_2021040", 168, "D", 4, ""),
    ]
    for look in looks:
        assert look is not None
        check_zip(Path(look.scene.url.removeprefix("file://")), look.scene.id)


# fetch


def test_fetch_brings_a_verified_copy(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    told: list[float] = []
    got = archive.fetch(scene, tmp_path / "data" / "T071", told.append)
    assert got.path == tmp_path / "data" / "T071" / f"{scene.id}.zip"
    assert got.checksum == sha256(got.path) and got.size == got.path.stat().st_size
    assert told == sorted(told) and told[-1] == 1.0
    assert leftovers(tmp_path) == []


def test_fetch_links_where_asked_to(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    linked = LocalArchive(archive.path, "link").fetch(scene, tmp_path / "data")
    source = archive.path / "T071" / f"{scene.id}.zip"
    assert linked.path is not None and linked.path.samefile(source) and linked.checksum == sha256(source)
    assert LocalArchive(archive.path, "link").fetch(scene, tmp_path / "data") == linked
    assert leftovers(tmp_path) == []


def test_fetch_links_over_a_bad_file_and_copies_where_links_are_impossible(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = one(archive)
    target = tmp_path / "data" / f"{scene.id}.zip"
    target.parent.mkdir()
    target.write_bytes(b"bad")
    linking = LocalArchive(archive.path, "link")
    linking.fetch(scene, target.parent)
    assert target.samefile(archive.path / "T071" / target.name)
    target.unlink()

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(transfer.os, "link", refuse)
    assert linking.fetch(scene, target.parent).path == target
    assert not target.samefile(archive.path / "T071" / target.name)


def test_a_valid_file_that_is_there_is_left_alone_even_without_the_archive(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    first = archive.fetch(scene, tmp_path / "data")
    assert first.path is not None
    before = first.path.stat()
    shutil.rmtree(archive.path)
    assert archive.fetch(scene, tmp_path / "data") == first
    assert archive.fetch(first, tmp_path / "data") == first
    assert first.path.stat().st_mtime_ns == before.st_mtime_ns and first.path.stat().st_ino == before.st_ino


def test_a_damaged_file_that_is_there_is_fetched_again(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    first = archive.fetch(scene, tmp_path / "data")
    damage(first.path)  # type: ignore[arg-type]
    assert archive.fetch(scene, tmp_path / "data") == first
    assert sha256(first.path) == first.checksum  # type: ignore[arg-type]


@pytest.mark.parametrize("left", ["half", "other", "longer", "empty"])
def test_what_a_crash_left_is_carried_on_or_done_again(archive: LocalArchive, tmp_path: Path, left: str) -> None:
    scene = one(archive, size=9_000_000)
    source = (archive.path / "T071" / f"{scene.id}.zip").read_bytes()
    content = {
        "half": source[: len(source) // 2],
        "other": b"x" * 5_000_000,
        "longer": source + b"more",
        "empty": b"",
    }[left]
    part = transfer.part_of(tmp_path / f"{scene.id}.zip")
    part.write_bytes(content)
    got = archive.fetch(scene, tmp_path)
    assert got.path is not None and got.path.read_bytes() == source
    assert not part.exists()


def test_a_carried_on_copy_does_not_write_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BLOCK", 1000)
    source, part = tmp_path / "source", tmp_path / "part"
    source.write_bytes(os.urandom(10_000))
    part.write_bytes(source.read_bytes()[:6_000])
    written: list[int] = []
    place = transfer._place

    def counted(outgoing, block, same):
        kept = place(outgoing, block, same)
        written.append(0 if kept else len(block))
        return kept

    monkeypatch.setattr(transfer, "_place", counted)
    assert transfer.copy(source, part, "sha256") == sha256(source)
    assert sum(written) == 4_000 and part.read_bytes() == source.read_bytes()


def test_a_corrupt_zip_in_the_archive_fails_naming_file_and_member(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    source = archive.path / "T071" / f"{scene.id}.zip"
    damage(source)
    for mode in ("copy", "link"):
        with pytest.raises(CorruptProduct) as caught:
            LocalArchive(archive.path, mode).fetch(scene, tmp_path / "data")  # type: ignore[arg-type]
        message = str(caught.value)
        assert message.startswith(f"{source}: expected an intact {scene.id}.SAFE/measurement/s1a-iw1-slc-vv.tiff, got ")
        assert message.endswith("fetch it again from its source, or exclude the date")
    assert list((tmp_path / "data").iterdir()) == [], "neither the file nor a part of it"


def test_a_wrong_size_checksum_or_content(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    source = archive.path / "T071" / f"{scene.id}.zip"
    size = source.stat().st_size
    with pytest.raises(CorruptProduct, match=f"expected 7 bytes, got {size}"):
        archive.fetch(replace(scene, size=7), tmp_path / "data")
    with pytest.raises(CorruptProduct, match="expected md5:0000, got md5:"):
        archive.fetch(replace(scene, checksum="md5:0000"), tmp_path / "data")
    with pytest.raises(RequestError, match="expected md5:HEX"):
        archive.fetch(replace(scene, checksum="crc7:0000"), tmp_path / "data")
    shutil.copy(make_zip(tmp_path, crc="0001"), source)
    with pytest.raises(CorruptProduct, match=rf"expected {scene.id}.SAFE/manifest.safe in the zip, got that of .*_0001"):
        archive.fetch(replace(scene, size=None), tmp_path / "data")
    source.write_bytes(b"")
    with pytest.raises(CorruptProduct, match="expected a product zip, got an empty file"):
        archive.fetch(replace(scene, size=None), tmp_path / "data")
    source.write_bytes(b"<html>Service unavailable</html>")
    with pytest.raises(CorruptProduct, match="cannot be opened"):
        archive.fetch(replace(scene, size=None), tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_known_md5_that_agrees(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    md5 = checksum_of(archive.path / "T071" / f"{scene.id}.zip", "md5")
    assert archive.fetch(replace(scene, checksum=md5.upper().replace("MD5", "md5")), tmp_path).checksum == md5


def test_a_missing_source_may_come_back(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    shutil.rmtree(archive.path)
    with pytest.raises(ArchiveError, match="expected a product in the archive, found nothing; is its disk mounted"):
        archive.fetch(scene, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_an_address_that_is_no_file(archive: LocalArchive, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected a file:// address"):
        archive.fetch(replace(one(archive), url="https://example.org/x.zip"), tmp_path)


def test_a_path_with_blanks_and_signs(tmp_path: Path) -> None:
    archive = LocalArchive(tmp_path / "a b#c%20ü")
    make_zip(archive.path)
    assert archive.fetch(archive.search(FRAME)[0], tmp_path / "data").path is not None


def test_an_archive_that_is_the_data_directory(archive: LocalArchive) -> None:
    scene = one(archive)
    folder = archive.path / "T071"
    got = archive.fetch(scene, folder)
    assert got.path == folder / f"{scene.id}.zip"
    damage(got.path)
    content = got.path.read_bytes()
    with pytest.raises(CorruptProduct, match="expected an intact"):
        archive.fetch(scene, folder)
    assert got.path.read_bytes() == content, "the only copy is not touched"
    assert leftovers(folder) == []


def test_too_little_space_is_said_before_copying(archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = one(archive)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match=r"no space for it: expected 0.07 GB free, got 0.00 GB; free some"):
        archive.fetch(scene, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_disk_that_fills_up_meanwhile(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive)
    part = transfer.part_of(tmp_path / f"{scene.id}.zip")
    part.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="no space left on its disk"):
        archive.fetch(scene, tmp_path)
    assert not part.is_symlink() and not (tmp_path / f"{scene.id}.zip").exists()


def test_a_data_path_that_is_a_file(archive: LocalArchive, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match=r"expected a directory that can be written \(data_path, orbit_path\)"):
        archive.fetch(one(archive), tmp_path / "data" / "T071")


def test_a_source_that_changes_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BLOCK", 1000)
    source, part = tmp_path / "source", tmp_path / "part"
    source.write_bytes(b"x" * 5000)
    part.touch()

    def grow(_: float) -> None:
        with source.open("ab") as file:
            file.write(b"y")

    with pytest.raises(ArchiveError, match="changed while it was copied"):
        transfer.copy(source, part, "sha256", grow)


def _fetch(folder: str, scene: Scene, target: str, results) -> None:
    got = LocalArchive(Path(folder)).fetch(scene, Path(target))
    results.put((got.checksum, Path(target, f"{scene.id}.zip").stat().st_ino))


def test_several_processes_want_one_file(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive, size=20_000_000)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    jobs = [context.Process(target=_fetch, args=(str(archive.path), scene, str(tmp_path / "data"), results)) for _ in range(4)]
    for job in jobs:
        job.start()
    got = {results.get(timeout=60) for _ in jobs}
    for job in jobs:
        job.join(30)
        assert job.exitcode == 0
    assert len(got) == 1, "made once, seen by all"
    assert leftovers(tmp_path) == []


def test_leftovers_are_cleared_unless_young_or_held(tmp_path: Path) -> None:
    old, young, held = (transfer.part_of(tmp_path / f"{name}.zip") for name in ("old", "young", "held"))
    for path in (old, young, held):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    with transfer.locked_part(tmp_path / "held.zip"):
        os.utime(held, (0, 0))
        assert clear_parts(tmp_path, 3600) == [old]
    assert clear_parts(tmp_path, 3600) == [held]
    assert leftovers(tmp_path) == [young.name]


def test_memory_stays_bounded(archive: LocalArchive, tmp_path: Path) -> None:
    scene = one(archive, size=60_000_000)
    tracemalloc.start()
    archive.fetch(scene, tmp_path / "data")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24e6


def test_the_copy_can_be_read_by_others(archive: LocalArchive, tmp_path: Path) -> None:
    got = archive.fetch(one(archive), tmp_path / "data")
    assert got.path is not None and got.path.stat().st_mode & stat.S_IRUSR and got.path.stat().st_mode & stat.S_IRGRP


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_found_or_harmless_and_never_another_error(tmp_path: Path, data) -> None:
    path = make_zip(tmp_path / "fuzz", size=3000)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as good:
        whole = {i.filename: good.read(i) for i in good.infolist()}
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content)))) :]
    path.write_bytes(content)
    quick_look(path)
    try:
        check_zip(path, path.stem)
    except CorruptProduct:
        return
    with zipfile.ZipFile(path) as survivor:
        assert {i.filename: survivor.read(i) for i in survivor.infolist()}.items() <= whole.items() | {
            (i.filename, survivor.read(i)) for i in survivor.infolist() if i.filename not in whole
        }


def test_scene_of_name_takes_safe_zips() -> None:
    assert scene_of_name(Path(f"/x/{product_name()}.SAFE.zip")).id == product_name()  # type: ignore[union-attr]
    assert scene_of_name(Path("/x/S1A_IW_GRDH_1SDV_20230108T135249_20230108T135316_046693_0598D3_BA76.zip")) is None
