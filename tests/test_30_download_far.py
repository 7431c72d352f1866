"""The download processor with archives over HTTP: order, waits, refusals, what it tells, what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from archive_stand_ins import at_stand_ins
from orbit_files import precise
from product_zips import START, make_zip
from test_20_archive_sites import HERE, LOGINS

from satdaemon.archive import sites, transfer
from satdaemon.config import Settings
from satdaemon.config.stages import DownloadSettings
from satdaemon.domain import Frame, Scene, SceneSource, StageInput, StageResult
from satdaemon.errors import CorruptProduct, CredentialsError, DiskFull, NotInArchive, RequestError, Throttled
from satdaemon.joblog import JobContext
from satdaemon.processors.registry import builtin
from satdaemon.runner.environment import LOGINS as VARIABLES
from satdaemon.runner.environment import job_environment
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble
from satdaemon.status import RowKind, Stage

FRAME = Frame("071D_TEST", 71, "D", ())


class Told:
    """A report that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.fractions: list[float] = []
        self.warnings: list[str] = []

    def progress(self, fraction: float, message: str = "") -> None:
        self.fractions.append(fraction)
        self.messages.append(message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


class Site:
    """Two archives with the same products, and a job that wants them."""

    def __init__(self, folder: Path, asf: AsfStandIn, cdse: CdseStandIn) -> None:
        self.folder, self.asf, self.cdse = folder, asf, cdse
        self.settings = at_stand_ins(Settings(download=DownloadSettings(archives=("cdse", "asf"))), asf=asf, cdse=cdse)

    def scenes(self, *archives: str) -> tuple[Scene, ...]:
        """As the database gives them to the job: with sources in this order."""
        listed = {
            name: {one.scene.id: one.scene for one in sites.catalogues(self.settings, [name])[0].search(HERE).listed}
            for name in archives
        }
        found = []
        for scene_id, first in listed[archives[0]].items():
            each = [SceneSource(name, s.url, s.size, s.checksum) for name in archives if (s := listed[name].get(scene_id))]
            found.append(replace(first, sources=tuple(each)))
        return tuple(found)

    def job(self, scenes: tuple[Scene, ...], **more) -> StageInput:
        download, archives = (section.model_dump(mode="json") for section in (self.settings.download, self.settings.archives))
        given = {**download, "sites": archives, **more}
        paths = {"data": self.folder / "data", "orbits": self.folder / "orbits"}
        day, out = scenes[0].date, self.folder / "out"
        return StageInput(1, 1, Stage.DOWNLOAD, RowKind.IFG, FRAME, day, day, None, out, {}, scenes, given, paths)

    def run(self, *archives: str, told: Told | None = None, **more) -> StageResult:
        return builtin(Stage.DOWNLOAD).run(self.job(self.scenes(*archives), **more), told or Told())

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "data").rglob("*") if path.is_file())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in LOGINS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    for name in ("orbits", "data", "out"):
        (tmp_path / name).mkdir()
    make_zip(tmp_path / "shelf", size=400_000)
    precise(tmp_path / "orbits")
    shelf = Shelf(tmp_path / "shelf")
    with AsfStandIn(shelf, Faults()) as asf, CdseStandIn(shelf, Faults()) as cdse:
        yield Site(tmp_path, asf, cdse)


def test_from_the_preferred_archive_with_rate_and_time_left(site: Site) -> None:
    site.cdse.faults.expect("data/", Trouble(Fault.SLOW, bytes_per_s=4e5))
    told = Told()
    result = site.run("cdse", "asf", told=told)
    (scene,) = result.scenes
    (original,) = (site.folder / "shelf").glob("*.zip")
    assert scene.path is not None and scene.path.read_bytes() == original.read_bytes()
    assert scene.url.startswith(site.cdse.base) and scene.checksum.startswith("md5:")
    assert site.asf.tally.of("data") == 0 and site.cdse.sessions.active() == 0, "the session is ended"
    assert told.fractions == sorted(told.fractions) and told.fractions[-1] == pytest.approx(1) and told.warnings == []
    assert any(" GB, 0." in text and text.endswith(" left") for text in told.messages), told.messages
    assert result.warnings == () and result.metrics["tried_again"] == 0
    before = site.cdse.tally.of("data")
    assert site.run("cdse", "asf").scenes[0].path == scene.path and site.cdse.tally.of("data") == before, "it is there"


def test_the_next_archive_where_the_first_fails(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.cdse.faults.expect("data/", *[Trouble(Fault.BROKEN)] * 20)
    result = site.run("cdse", "asf")
    assert result.scenes[0].url.startswith(site.asf.base) and result.warnings == () and result.metrics["tried_again"] >= 5
    assert "tried at asf" in capsys.readouterr().out and site.cdse.sessions.active() == 0


def test_a_directory_first_then_far_away(site: Site) -> None:
    (scene,) = site.scenes("cdse")
    gone = SceneSource("local", (site.folder / "archive" / f"{scene.id}.zip").as_uri(), scene.size, scene.checksum)
    scene = replace(scene, sources=(gone, *scene.sources))
    (found,) = builtin(Stage.DOWNLOAD).run(site.job((scene,)), Told()).scenes
    assert found.url.startswith(site.cdse.base)
    make_zip(site.folder / "archive", size=400_000)
    (site.folder / "data" / "T071" / f"{scene.id}.zip").unlink()
    before = site.cdse.tally.of("data")
    (found,) = builtin(Stage.DOWNLOAD).run(site.job((replace(scene, url=gone.url),)), Told()).scenes
    assert found.url == gone.url and site.cdse.tally.of("data") == before


def test_busy_archives_give_the_job_back_for_as_long_as_they_say(site: Site) -> None:
    site.cdse.faults.expect("data/", Trouble(Fault.THROTTLED, retry_after_s=1800.0))
    site.asf.faults.expect("data/", Trouble(Fault.THROTTLED, retry_after_s=700.0))
    with pytest.raises(Throttled, match="too many requests") as caught:
        site.run("cdse", "asf")
    assert caught.value.retry_after_s == 700.0 and site.left == [] and site.cdse.sessions.active() == 0
    assert (site.cdse.tally.of("data"), site.asf.tally.of("data")) == (1, 1)


def test_refused_and_missing_logins_say_what_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDSE_PASSWORD", "wrong-as-can-be")
    with pytest.raises(CredentialsError) as caught:
        site.run("cdse")
    said = str(caught.value)
    assert "CDSE_USERNAME and CDSE_PASSWORD in the environment are refused" in said and "correct them" in said
    assert "wrong-as-can-be" not in said and caught.value.retry_after_s == 900 and site.cdse.tally.of("token") == 1
    assert site.run("cdse", "asf").scenes[0].url.startswith(site.asf.base), "another archive takes its login"
    for name in LOGINS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(site.folder))
    (site.folder / "data" / "T071" / f"{site.scenes('cdse')[0].id}.zip").unlink()
    with pytest.raises(CredentialsError) as caught:
        site.run("cdse", "asf")
    for words in ("set CDSE_USERNAME and CDSE_PASSWORD", "set EARTHDATA_TOKEN, or EARTHDATA_USERNAME", ".netrc", "keyring"):
        assert words in str(caught.value)


def test_no_space_no_product_no_address(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        usage = transfer.shutil.disk_usage("/")._replace(free=1000)
        patch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DiskFull, match=r"no space for it: expected .* GB free, got 0.00 GB; free some"):
            site.run("cdse")
    scenes = site.scenes("cdse", "asf")
    next((site.folder / "shelf").glob("*.zip")).unlink()
    with pytest.raises(NotInArchive, match=r"no archive gives it: \(1\) cdse: .*no such product.*\(2\) asf: .*search again"):
        builtin(Stage.DOWNLOAD).run(site.job(scenes), Told())
    with pytest.raises(RequestError, match="got none; search for it again"):
        builtin(Stage.DOWNLOAD).run(site.job((replace(scenes[0], url="", sources=()),)), Told())
    assert site.left == []


def test_what_the_archive_has_is_not_the_product(site: Site) -> None:
    (scene,) = site.scenes("cdse")
    wrong = replace(scene, sources=(replace(scene.sources[0], checksum="md5:" + "0" * 32),))
    with pytest.raises(CorruptProduct, match=r"expected md5:0000.*fetch it from another archive, search again, or exclude"):
        builtin(Stage.DOWNLOAD).run(site.job((wrong,)), Told())
    assert site.left == []


def test_two_slices_share_one_session_and_its_bandwidth(site: Site) -> None:
    make_zip(site.folder / "shelf", START.replace(second=14, minute=53), crc="2222", size=400_000)
    began = time.monotonic()
    result = site.run("cdse", archive_sessions=["cdse 2"], archive_bandwidth=["cdse 1.6"])
    assert len(result.scenes) == 2 and site.cdse.tally.of("token") == 1
    assert time.monotonic() - began >= 0.8, "800 kB at 0.8 MB a second"


def test_a_job_that_is_stopped_ends_its_session_and_keeps_what_came(site: Site, tmp_path: Path) -> None:
    site.cdse.faults.expect("data/", Trouble(Fault.SLOW, bytes_per_s=2e5))
    input_path = tmp_path / "input.json"
    input_path.write_text(json.dumps(site.job(site.scenes("cdse")).to_json()))
    environment = {**os.environ, **JobContext(1, 1, FRAME.id, "download", tmp_path / "events").to_environment()}
    child = subprocess.Popen([sys.executable, "-m", "satdaemon.runner.child", str(input_path)], env=environment)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until and not any(p.stat().st_size > 50_000 for p in (tmp_path / "data").rglob(".S1*.zip.part")):
            time.sleep(0.05)
        assert site.cdse.sessions.active() == 1
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 128 + signal.SIGTERM
    finally:
        child.kill()
        child.wait()
    assert site.cdse.sessions.active() == 0 and any(name.endswith(".part") for name in site.left)
    served = site.cdse.tally.of("bytes")
    (scene,) = site.run("cdse").scenes
    assert site.cdse.tally.of("bytes") - served < scene.size, "carried on"


def test_logins_reach_the_builtin_download_alone(site: Site, tmp_path: Path) -> None:
    base = {"HOME": "/h", "PATH": "/bin", **dict.fromkeys(VARIABLES, "secret")}
    job = site.job(site.scenes("cdse"))
    context = JobContext(1, 1, "f", "download", None)
    settings = Settings()
    assert set(VARIABLES) <= job_environment(settings, job, context, tmp_path, base).keys()
    assert not set(VARIABLES) & job_environment(settings, replace(job, stage=Stage.SLC), context, tmp_path, base).keys()
    own = settings.download.model_copy(update={"processor": "command", "command": "fetch"})
    program = settings.model_copy(update={"download": own})
    assert not set(VARIABLES) & job_environment(program, job, context, tmp_path, base).keys()
