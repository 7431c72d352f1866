"""The download processor: zips verified, orbit chosen, and every bad date told apart."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from orbit_files import precise, restituted
from product_zips import START, damage, make_zip
from simulated import small_archive

from satdaemon.archive import LocalArchive
from satdaemon.domain import Frame, Scene, StageInput, StageResult
from satdaemon.errors import ArchiveError, ConfigError, CorruptProduct, DataError, NotReady, RequestError
from satdaemon.planning import newest_products, split_dates
from satdaemon.processors.registry import builtin
from satdaemon.simulator.archives import OrbitStandIn
from satdaemon.status import RowKind, Stage

FRAME = Frame("071D_TEST", 71, "D", ())


class Told:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.warnings: list[str] = []

    def progress(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("archive", "orbits", "data", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


def job(folder: Path, scenes: tuple[Scene, ...] | None = None, frame: Frame = FRAME, **settings) -> StageInput:
    if scenes is None:
        scenes = tuple(LocalArchive(folder / "archive").search(FRAME))
    day = scenes[0].date if scenes else START.date()
    paths = {name: folder / name for name in ("archive", "orbits", "data")}
    return StageInput(1, 1, Stage.DOWNLOAD, RowKind.IFG, frame, day, day, None, folder / "out", {}, scenes, settings, paths)


def run(work: StageInput, told: Told | None = None) -> StageResult:
    return builtin(Stage.DOWNLOAD).run(work, told or Told())


def test_two_slices_and_a_precise_orbit(folder: Path) -> None:
    make_zip(folder / "archive")
    make_zip(folder / "archive", START + timedelta(seconds=25), crc="2222")
    orbit = precise(folder / "orbits")
    told = Told()
    result = run(job(folder), told)
    document = json.loads((folder / "out" / "download.json").read_text())
    assert document["orbit"] == {"paths": [str(orbit)], "type": "POEORB"}
    assert [s["id"] for s in document["scenes"]] == [s.id for s in result.scenes]
    for scene, written in zip(result.scenes, document["scenes"], strict=True):
        assert scene.path == folder / "data" / "T071" / f"{scene.id}.zip" and scene.path.stat().st_size == scene.size
        assert (written["path"], written["size"], written["checksum"]) == (str(scene.path), scene.size, scene.checksum)
        assert scene.url.startswith("file://") and "archive" in scene.url
    assert result.files == ("download.json", "product.json") and result.warnings == ()
    assert result.metrics["scenes"] == 2 and result.metrics["orbit_type"] == "POEORB"
    assert told.fractions == sorted(told.fractions) and told.fractions[-1] == pytest.approx(1)
    product = json.loads((folder / "out" / "product.json").read_text())
    assert product["orbit_type"] == "POEORB" and product["stage"] == "download" and "download.json" in product["files"]
    assert StageResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_running_it_twice_gives_the_same_product(folder: Path) -> None:
    make_zip(folder / "archive")
    precise(folder / "orbits")
    first = run(job(folder))
    kept = (folder / "out" / "download.json").read_bytes()
    assert run(job(folder)) == first
    assert run(job(folder, first.scenes)) == first, "with size and checksum known by now"
    assert (folder / "out" / "download.json").read_bytes() == kept


def test_a_restituted_orbit_is_noted_not_warned_of(folder: Path) -> None:
    make_zip(folder / "archive")
    restituted(folder / "orbits", 105, 30)
    told = Told()
    result = run(job(folder), told)
    assert result.metrics["orbit_type"] == "RESORB" and result.warnings == () and told.warnings == []
    assert json.loads((folder / "out" / "product.json").read_text())["orbit_type"] == "RESORB"


def test_an_orbit_that_only_an_archive_has_is_fetched_before_the_products(folder: Path) -> None:
    make_zip(folder / "archive")
    (folder / "bucket").mkdir()
    with OrbitStandIn(folder / "bucket") as bucket:
        with pytest.raises(NotReady, match="Nor has aws"):
            run(job(folder, orbit_archives=[f"aws {bucket.base}"]))
        assert list((folder / "data").rglob("*.zip")) == []
        wanted = precise(folder / "bucket")
        result = run(job(folder, orbit_archives=[f"aws {bucket.base}"]))
    assert result.metrics["orbit_type"] == "POEORB" and result.warnings == ()
    document = json.loads((folder / "out" / "download.json").read_text())
    assert document["orbit"]["paths"] == [str(folder / "orbits" / wanted.name)]


def test_a_damaged_orbit_that_was_passed_over_is_a_warning(folder: Path) -> None:
    make_zip(folder / "archive")
    bad = precise(folder / "orbits", edit=lambda text: text[:3000])
    restituted(folder / "orbits", 105, 30)
    told = Told()
    result = run(job(folder), told)
    assert result.warnings == tuple(told.warnings) and str(bad) in result.warnings[0]


@pytest.mark.parametrize("resorb", [False, True])
def test_a_date_without_an_acceptable_orbit_waits_and_fetches_nothing(folder: Path, resorb: bool) -> None:
    make_zip(folder / "archive")
    if resorb:
        restituted(folder / "orbits", 105, 30)
    with pytest.raises(NotReady) as caught:
        run(job(folder, accept_resorb=False, orbit_retry_s=99))
    assert "precise orbit is expected about 2023-01-28" in str(caught.value) and caught.value.retry_after_s == 99
    assert list((folder / "data").iterdir()) == [] and list((folder / "out").iterdir()) == []


def test_a_corrupt_zip_fails_naming_member_and_what_to_do(folder: Path) -> None:
    damage(make_zip(folder / "archive"))
    precise(folder / "orbits")
    with pytest.raises(CorruptProduct, match=r"measurement/s1a-iw1-slc-vv.tiff, got .*; fetch it again .* or exclude the date"):
        run(job(folder))
    assert list((folder / "data" / "T071").iterdir()) == [] and list((folder / "out").iterdir()) == []


def test_a_product_ingested_where_it_stands(folder: Path) -> None:
    make_zip(folder / "data" / "T071")
    precise(folder / "orbits")
    (scene,) = LocalArchive(folder / "data").search(FRAME)
    path = Path(scene.url.removeprefix("file://"))
    (got,) = run(job(folder, (replace(scene, url="", path=path),))).scenes
    assert got.path == path and got.size == path.stat().st_size


def test_no_scenes_two_satellites_a_foreign_address(folder: Path) -> None:
    precise(folder / "orbits")
    with pytest.raises(DataError, match="071D_TEST 20230108: expected at least one product of the date, got none"):
        run(job(folder, ()))
    make_zip(folder / "archive")
    scenes = LocalArchive(folder / "archive").search(FRAME)
    with pytest.raises(DataError, match="the products of one satellite, got S1A, S1B"):
        run(job(folder, (scenes[0], replace(scenes[0], platform="S1B"))))
    with pytest.raises(RequestError, match="got 'https://x/y'"):
        run(job(folder, (replace(scenes[0], url="https://x/y"),)))
    with pytest.raises(ConfigError, match="expected the place 'orbits'"):
        run(replace(job(folder), paths={"data": folder / "data"}))
    shutil.rmtree(folder / "archive")
    with pytest.raises(ArchiveError, match="found nothing; is its disk mounted"):
        run(job(folder, tuple(scenes)))


def test_links_where_asked_to(folder: Path) -> None:
    source = make_zip(folder / "archive")
    precise(folder / "orbits")
    (got,) = run(job(folder, transfer="link")).scenes
    assert got.path is not None and got.path.samefile(source)


def test_every_special_case_of_a_simulated_archive(folder: Path) -> None:
    root = small_archive()
    shutil.rmtree(folder / "archive")
    (folder / "archive").symlink_to(root / "archive")
    (folder / "orbits").rmdir()
    (folder / "orbits").symlink_to(root / "orbits")
    frame = Frame("132A_SIM", 132, "A", ())
    found = LocalArchive(folder / "archive").search(frame)
    dates = split_dates(newest_products(found))
    special = {
        case: date.fromisoformat(d["date"])
        for d in json.loads((root / "truth" / "truth.json").read_text())["dates"]
        for case in d["cases"]
    }
    assert len(dates) == 10 and len(dates[special["split"]]) == 2 and len(dates[special["duplicate"]]) == 1
    newest = dates[special["duplicate"]][0]
    assert all(s.proc_utc <= newest.proc_utc for s in found if s.date == newest.date)  # type: ignore[operator]

    def of(case: str) -> StageResult:
        return run(job(folder, tuple(dates[special[case]]), frame))

    assert of("split").metrics["orbit_type"] == "POEORB"
    assert of("missing_burst").metrics["scenes"] == 1
    assert of("resorb_only").metrics["orbit_type"] == "RESORB"
    with pytest.raises(NotReady, match="no precise orbit"):
        of("no_orbit")
    with pytest.raises(CorruptProduct, match="measurement"):
        of("corrupt")
