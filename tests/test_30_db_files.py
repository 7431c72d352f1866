"""Zips into the database: simulated ones, real ones, bad ones."""

from __future__ import annotations

import shutil
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import realdata
from frames_made import add_orbit
from sqlalchemy import select

from satdaemon.archive.local_catalogue import LocalCatalogue
from satdaemon.db import Burst, Database, File, Frame, Ifg, files
from satdaemon.db.bursts import to_value
from satdaemon.db.models import files2bursts
from satdaemon.db.scenes import fill_files
from satdaemon.insar.safe import read_product
from satdaemon.planning.bursts import anx_matches


def real_zips() -> list[Path]:
    return sorted((realdata.data_dir() / "s1reader").glob("*.zip"))


@pytest.fixture
def zips(database: Database) -> Path:
    """Real zips below data_path/T071, as an operator has them."""
    root = database.settings.parameters.data_path
    for path in real_zips():
        product = read_product(path)
        folder = root / f"T{product.track:03d}"
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder / f"{product.id}.zip")
    return root


@pytest.mark.realdata
def test_real_zips_are_entered_with_all_that_they_tell(database: Database, zips: Path) -> None:
    report = files.ingest_files(database)
    known = database.query(File)
    assert report.added == len(known) == len(real_zips()) and report.bad == {}
    assert all("lacks measurement/" in warning for warning in report.warnings) and len(report.warnings) == 2
    (file,) = [f for f in known if "20200511T135117" in f.id]
    assert (file.track, file.date, file.platform, file.state) == (71, date(2020, 5, 11), "S1A", "on_disk")
    assert file.size and str(file.checksum).startswith("sha256:") and file.proc_utc and file.footprint.area > 1
    product = read_product(Path(str(file.abspath)))
    assert {b.id for b in file.bursts} == {b.id for b in product.bursts}
    again = files.ingest_files(database, checksum=False)
    assert (again.added, again.renewed, again.unchanged) == (0, 0, len(known))


@pytest.mark.realdata
def test_bursts_are_matched_not_compared(database: Database, zips: Path) -> None:
    """The same zip under ids that differ by some tenths of a second, as they do between dates."""
    path = next(p for p in zips.rglob("*.zip") if "20200511T135117" in p.name)
    from satdaemon.db.bursts import insert_bursts

    moved = []
    for k, burst in enumerate(read_product(path).domain_bursts()):
        anx = burst.anx + (k % 4)
        moved.append(type(burst)(f"{burst.track}_{anx}_{burst.swath}", burst.track, burst.orbit_direction, anx, burst.swath, None,
                                 burst.footprint))  # fmt: skip
    insert_bursts(database, moved)
    files.ingest_files(database, checksum=False)
    (file,) = [f for f in database.query(File) if "20200511T135117" in f.id]
    assert {b.id for b in file.bursts} == {b.id for b in moved}


@pytest.mark.realdata
def test_the_pair_of_2025_shares_its_bursts(database: Database, tmp_path: Path) -> None:
    """Two real dates of one place: one set of bursts, two files on it, times kept."""
    import tarfile

    source = realdata.data_dir() / "isce2_pair_t108_2025" / "packaging.tar.xz"
    with tarfile.open(source) as tar:
        tar.extractall(tmp_path / "pair", filter="data")
    root = database.settings.parameters.data_path / "T108"
    root.mkdir()
    for safe in sorted((tmp_path / "pair").rglob("*.SAFE")):
        with zipfile.ZipFile(root / f"{safe.stem}.zip", "w") as archive:
            for path in sorted(safe.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(safe.parent))
    files.ingest_files(database, checksum=False)
    with database.read_scope() as session:
        rows = session.execute(select(files2bursts.c.burst_id, files2bursts.c.file_id, files2bursts.c.start_utc)).all()
    shown: dict[str, set[str]] = {}
    for burst, file, start in rows:
        shown.setdefault(burst, set()).add(file)
        assert start is not None
    dates = {f.id: f.date for f in database.query(File)}
    both = [b for b, names in shown.items() if {dates[n] for n in names} >= {date(2025, 4, 6), date(2025, 4, 18)}]
    assert len(both) >= 20
    values = [to_value(b) for b in database.query(Burst)]
    twins = [(a.id, b.id) for i, a in enumerate(values) for b in values[i + 1 :] if anx_matches(a, b)]
    assert twins == []


def test_bad_zips_are_recorded_and_stop_nothing(database: Database) -> None:
    root = database.settings.parameters.data_path / "T132"
    root.mkdir()
    name = "S1A_IW_SLC__1SDV_20230101T061400_20230101T061427_046592_0ABCDE_AAAA"
    (root / f"{name}.zip").write_bytes(b"PK\x03\x04 cut off")
    (root / "holiday.zip").write_bytes(b"no zip at all")
    report = files.ingest_files(database, settle_s=0)
    assert len(report.bad) == 2 and all(report.bad.values())
    (file,) = database.query(File)
    assert (file.id, file.state, file.date, file.platform) == (name, "bad", date(2023, 1, 1), "S1A")
    assert file.reason == report.bad[str(root / f"{name}.zip")]
    again = files.ingest_files(database)
    assert again.unchanged == 2 and again.bad == report.bad and again.news == 0


@pytest.mark.realdata
def test_a_file_that_is_gone_is_noted_and_one_that_returns_too(database: Database, zips: Path) -> None:
    files.ingest_files(database, checksum=False)
    (file,) = [f for f in database.query(File) if "20200511T135117" in f.id]
    place = Path(str(file.abspath))
    place.rename(place.with_suffix(".away"))
    assert files.ingest_files(database, checksum=False).missing == 1
    assert database.query(File, id=file.id)[0].state == "missing"
    place.with_suffix(".away").rename(place)
    assert files.ingest_files(database, checksum=False).renewed == 1
    assert database.query(File, id=file.id)[0].state == "on_disk"


@pytest.mark.realdata
def test_the_scenes_of_a_local_archive(database: Database, tmp_path: Path) -> None:
    """A frame's scenes are entered before download; one that cannot be read brings its date up with the reason."""
    archive = tmp_path / "archive"
    archive.mkdir()
    good = next(p for p in real_zips() if "20200511T135117" in p.name)
    product = read_product(good)
    shutil.copy(good, archive / f"{product.id}.zip")
    broken = product.id.replace("20200511", "20200523").replace("_032518_", "_032693_")
    (archive / f"{broken}.zip").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    from satdaemon.db.bursts import insert_bursts

    mine = [b for b in product.domain_bursts() if b.swath == "IW2"][2:5]
    insert_bursts(database, mine)
    frame = f"071{product.orbit_direction}_REAL"
    database.make_new_frame_using_burstlist([b.id for b in mine], frame)
    report = fill_files(database, frame, catalogues=[LocalCatalogue(archive)])
    assert (report.found, report.added, list(report.bad)) == (2, 1, [broken])
    (file,) = database.query(File, id=product.id)
    assert (file.state, file.abspath, file.url) == ("remote", None, (archive / f"{product.id}.zip").as_uri())
    assert {b.id for b in mine} <= {b.id for b in file.bursts}
    add_orbit(database, file.date)
    dates = database.update_procdates(frame)
    assert dates.master == date(2020, 5, 11)
    (row,) = database.query(Ifg, frame_id=frame)
    assert (row.date, int(row.proc_status)) == (date(2020, 5, 23), 5) and broken in str(row.reason)
    assert fill_files(database, frame, catalogues=[LocalCatalogue(archive)]).added == 0
    assert database.query(Frame, id=frame)[0].files_changed_utc <= datetime.now(UTC)
