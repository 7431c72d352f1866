"""Only the bursts of a frame are fetched where the archive cuts them out: what comes, what the slc stage makes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from burst_site import Site, assert_same_slc, burst_site, day_of, slc_of_whole, tiff_of
from sar_chain import Listener

from satdaemon.archive.download import Download
from satdaemon.config import ArchiveSettings
from satdaemon.domain import SceneSource
from satdaemon.errors import DataError, Throttled
from satdaemon.insar.safe import read_product
from satdaemon.joblog import JobContext
from satdaemon.simulator.archives import Fault, Faults, Trouble

KINDS = [
    Trouble(kind, retry_after_s=0.05) if kind is Fault.THROTTLED else kind
    for kind in Fault
    if kind not in (Fault.BODY, Fault.SILENT, Fault.SLOW)
]
WORDS = "its bursts alone are not to be had"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with burst_site(tmp_path / "site", monkeypatch) as found:
        yield found


@pytest.mark.parametrize("case", ["plain", "split", "missing_burst", "duplicate"])
def test_the_slc_is_that_of_the_whole_product(site: Site, case: str) -> None:
    day = day_of(case)
    told = Listener()
    result = site.download(day, told)
    assert result.scenes == () and len(result.partial) == len(site.listed(day)) and told.warnings == []
    assert_same_slc(site.slc(day), slc_of_whole(day))
    scenes = site.scenes(day)
    pieces = site.asf.tally.by_name("data")
    assert result.metrics["bursts"] == sum(name.endswith(".tiff") for name in pieces)
    shared = {name.partition("/")[2] for name in pieces if name.endswith(".tiff")}
    assert len(scenes) == (2 if case == "split" else 1) and all(count == 1 for count in pieces.values())
    if case == "split":
        assert result.metrics["bursts"] == len(site.frame.bursts) + 2, (
            "the burst that both slices have comes from both, in each swath"
        )
    assert {name.split("/")[1] for name in shared} == {"VV"} and site.left == [] and site.asf.tally.of("leak") == 0


def test_a_frame_of_one_burst_fetches_a_fraction(site: Site) -> None:
    day = day_of("plain")
    few = replace(site.frame, bursts=site.frame.bursts[1:2])
    (scene,) = site.scenes(day)
    (found,) = site.download(day, frame=few).partial
    tiffs = [name for name in site.asked() if name.endswith(".tiff")]
    assert len(tiffs) == 1 and scene.size is not None and found.size is not None and found.size < scene.size / 2
    pixels = tiff_of(site, scene.id, tiffs[0]).stat().st_size
    assert pixels < site.asf.tally.of("bytes") < pixels + 400_000 < scene.size / 2, "one of six bursts, and the annotation"
    assert site.slc(day, few).joinpath("slc.json").is_file()


def test_what_was_not_fetched_is_refused(site: Site) -> None:
    day = day_of("plain")
    few = replace(site.frame, bursts=site.frame.bursts[:2])
    site.download(day, frame=few)
    with pytest.raises(DataError, match=rf"expected burst {few.bursts[0].id[:3]}_\d+_IW\d.*run the download again"):
        site.slc(day)


def test_it_opens_as_the_product_that_it_is_of(site: Site) -> None:
    day = day_of("plain")
    site.download(day)
    (listed,) = site.listed(day)
    assert listed["path"] == f"{listed['id']}.zip" and listed["checksum"] is None
    document = json.loads((site.folder / "download" / f"{day:%Y%m%d}" / "download.json").read_text())
    assert document["bursts_only"] == {
        "scenes": [listed["id"]], "bursts": [burst.id for burst in site.frame.bursts], "polarisation": "vv"
    }  # fmt: skip
    mine = read_product(site.folder / "download" / f"{day:%Y%m%d}" / listed["path"])
    whole = read_product(next(site.asf.shelf.folder.rglob(f"{listed['id']}.zip")))  # type: ignore[union-attr]
    assert replace(mine, path=whole.path, missing_files=()) == replace(whole, missing_files=())


def test_asked_again_while_it_is_being_extracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with burst_site(tmp_path, monkeypatch, extraction=3) as site:
        told = Listener()
        site.download(day_of("plain"), told)
        asked = site.asf.tally.by_name("burst")
        assert set(asked.values()) == {4} and told.fractions == sorted(told.fractions)
        assert any("of 6 files are being extracted" in text for text in told.messages), told.messages


def test_arrives_intact_under_every_fault(site: Site) -> None:
    for seed, case in enumerate(("plain", "split", "duplicate")):
        site.asf.faults = Faults(seed=seed, share=0.7, kinds=KINDS, most=1, where=("data/", "burst/"))
        day = day_of(case)
        result = site.download(day)
        assert sum(site.asf.faults.had.values()) >= 3 and result.metrics["tried_again"] >= 3
        assert result.scenes == (), "never fell back to the whole"
        assert_same_slc(site.slc(day), slc_of_whole(day))
    assert site.left == [] and site.asf.tally.of("leak") == 0


@pytest.mark.parametrize(
    "troubles",
    [[Fault.HTML] * 99, [Fault.BROKEN] * 99, [Fault.FORBIDDEN] * 99],
    ids=["html", "500", "403"],
)
def test_what_is_refused_comes_whole(site: Site, troubles: list[Fault], capsys: pytest.CaptureFixture[str]) -> None:
    day = day_of("plain")
    site.asf.faults.expect("burst/", *troubles)
    result = site.download(day)
    assert result.partial == () and len(result.scenes) == 1 and site.left == [f"{result.scenes[0].id}.zip"]
    assert WORDS in capsys.readouterr().out and result.metrics["tried_again"] >= 1
    assert_same_slc(site.slc(day), slc_of_whole(day))


def test_a_burst_of_another_shape_is_none(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    day = day_of("plain")
    (scene,) = site.scenes(day)
    site.download(day, frame=replace(site.frame, bursts=site.frame.bursts[:1]))
    other = tiff_of(site, scene.id, next(name for name in site.asked() if name.endswith(".tiff")), rows=7).read_bytes()
    trouble = Trouble(Fault.BODY, body=other, content_type="image/tiff")
    site.asf.faults.expect(f"data/{scene.id}/IW2", *[trouble] * 99)
    result = site.download(day)
    said = capsys.readouterr().out
    assert len(result.scenes) == 1 and re.search(r"expected a burst of \d+ x \d+ complex_int16, as annotated, got GTiff", said)


def test_where_there_is_no_extractor(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    none = site.settings.archives.model_copy(update={"asf_bursts": f"{site.asf.base}/none"})
    site.settings = site.settings.model_copy(update={"archives": none})
    result = site.download(day_of("plain"))
    assert len(result.scenes) == 1 and "the archive has no such product" in capsys.readouterr().out
    assert site.asf.tally.of("status 404") <= 2, "not asked again and again"


def test_no_login_for_an_extractor_elsewhere(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    away = ArchiveSettings.model_validate({**site.settings.archives.model_dump(), "asf_bursts": "https://elsewhere.example"})
    site.settings = site.settings.model_copy(update={"archives": away})
    assert len(site.download(day_of("plain")).scenes) == 1
    assert "expected an address at one of asf_hosts" in capsys.readouterr().out


def test_a_busy_extractor_gives_the_job_back(site: Site) -> None:
    site.asf.faults.expect("burst/", Trouble(Fault.THROTTLED, retry_after_s=1200.0))
    with pytest.raises(Throttled) as caught:
        site.download(day_of("plain"))
    assert caught.value.retry_after_s == 1200.0 and site.asf.tally.of("download") <= 1
    assert not [name for name in site.left if not name.endswith(".part")]


def test_whole_products_of_ours_come_first(site: Site) -> None:
    day = day_of("plain")
    (scene,) = site.scenes(day)
    zip_ = next(site.asf.shelf.folder.rglob(f"{scene.id}.zip"))  # type: ignore[union-attr]
    near = replace(scene, sources=(SceneSource("local", zip_.as_uri(), scene.size, scene.checksum), *scene.sources))
    assert len(site.download(day, scenes=(near,)).scenes) == 1
    assert len(site.download(day).scenes) == 1, "it is in data_path now"
    assert site.asf.tally.of("burst") == 0


def test_the_cookie_is_renewed_where_it_has_expired(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run, calls = Download.run, []

    def spoil(self: Download) -> str:
        calls.append(1)
        if len(calls) == 3:
            site.asf._cookies.clear()
        return run(self)

    monkeypatch.setattr(Download, "run", spoil)
    assert site.download(day_of("plain")).scenes == () and site.asf.tally.of("download") == 2


def test_killed_and_run_again_fetches_only_what_is_missing(site: Site, tmp_path: Path) -> None:
    day = day_of("plain")
    names = sorted(burst.swath for burst in site.frame.bursts)
    (scene,) = site.scenes(day)
    site.asf.faults.expect(f"data/{scene.id}/IW2", *[Trouble(Fault.SLOW, bytes_per_s=2e4)] * 3)
    job = site.job(day)
    given = tmp_path / "input.json"
    given.write_text(json.dumps(job.to_json()))
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom satdaemon.domain import StageInput\n"
        "from satdaemon.processors.registry import builtin\nfrom satdaemon.status import Stage\n"
        "class Told:\n    def progress(self, fraction, message=''): pass\n    def warning(self, message): print(message)\n"
        "builtin(Stage.DOWNLOAD).run(StageInput.from_json(json.loads(Path(sys.argv[1]).read_text())), Told())\n"
    )
    env = {**os.environ, **JobContext(1, 1, job.frame.id, "download", tmp_path / "events").to_environment()}
    child = subprocess.Popen([sys.executable, "-c", code, str(given)], env=env)
    until = time.monotonic() + 60
    while not any(part.stat().st_size for part in site.data.rglob(".*.iw2-vv-?.tiff.part")):
        assert child.poll() is None and time.monotonic() < until, site.left
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    whole = [name for name in site.left if name.endswith(".whole.part")]
    assert len(whole) == 1 + names.count("IW1"), "the annotation, and the first swath"
    before = dict(site.asf.tally.by_name("data"))
    result = site.download(day)
    after = site.asf.tally.by_name("data")
    again = {name for name in after if after[name] > before.get(name, 0)}
    assert result.scenes == () and again and all("/IW2/" in name for name in again) and site.left == []
    assert_same_slc(site.slc(day), slc_of_whole(day))
