"""Pictures in real jobs: of a site's own program, whatever it leaves; they never fail a job."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from engine_parts import FRAME, make_frame, make_settings, until
from PIL import Image

from satdaemon.config import load
from satdaemon.db import Database, Master, Product, RunningJob, jobs, planning, runs
from satdaemon.db import products as product_records
from satdaemon.db.consistency import check, fix
from satdaemon.db.quicklook_view import quicklooks_of
from satdaemon.domain import Frame, Job, StageInput, StageResult
from satdaemon.insar.rasters import create_radar
from satdaemon.runner import run_job
from satdaemon.runner.launch import start_builtin
from satdaemon.runner.order import Ended, Order
from satdaemon.runner.quicklooks import NAME, ordered, with_quicklooks
from satdaemon.status import ProcStatus, RowKind, Stage

STAGES = (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR)
SHAPE = (128, 160)
WHOLE = """
speckle = np.random.default_rng(1).normal(size=(2, 128, 160))
write_raster(out / "slc.tif", (speckle[0] + 1j * speckle[1]).astype(np.complex64))
write_raster(out / "lat.tif", np.linspace(52, 52.016, 128)[:, None] + np.zeros((128, 160)))
write_raster(out / "lon.tif", np.linspace(4, 4.008, 160)[None] + np.zeros((128, 160)))
"""
BROKEN = WHOLE + 'os.truncate(out / "slc.tif", 3000)\n'
OWN = WHOLE + '(out / "quicklooks").mkdir()\n(out / "quicklooks" / "mine.png").write_bytes(b"mine")\n'
ENDLESS = """
with create_radar(out / "slc.tif", (200_000, 200_000), "complex64", nodata=np.nan):
    pass
"""
"""A raster without data, small on the disk, that takes many minutes to read."""


class Site:
    """A frame of one date whose satsar is a site's own program."""

    def __init__(self, place: Path, body: str, **parameters: Any) -> None:
        self.place = place
        make_settings(place, stages=(Stage.DOWNLOAD, Stage.SLC), **parameters)
        head = "import os, sys\nfrom pathlib import Path\nimport numpy as np\nfrom satdaemon.insar.rasters import create_radar\n"
        head += "from satdaemon.insar.rowrasters import write_raster\nout = Path(sys.argv[1])\n"
        (place / "satsar.py").write_text(head + textwrap.dedent(body) + "(out / 'product.txt').write_text('made')\n")
        config = place / "satdaemon.cfg"
        command = f"{sys.executable} {place / 'satsar.py'} {{out}}"
        section = {"processor": "command", "command": command, "outputs": "product.txt", "memory_gb": 1}
        config.write_text("\n".join([config.read_text(), "[SATSAR]", *(f"{k} = {v}" for k, v in section.items()), ""]))
        self.settings = load(config)
        self.database: Database = make_frame(self.settings, dates=1, stages=STAGES)
        assert runs.claim_frame(self.database, FRAME, "the test")

    def grant(self) -> Job:
        runs.beat_frame(self.database, FRAME, "the test")
        planning.plan(self.database)
        until(lambda: jobs.grant_pass(self.database) or self.database.query(RunningJob), what="a grant")
        (job,) = [found for found in jobs.pending_of_frame(self.database, FRAME, 5) if found.machine]
        return job

    def run(self, job: Job) -> dict[str, Any]:
        return run_job(str(self.settings.source), job.id, job.attempt, {"job": job})

    def to_satsar(self) -> Job:
        """Finish what comes before; the job of satsar."""
        for stage in STAGES[:2]:
            job = self.grant()
            assert job.stage is stage and self.run(job)["outcome"] == "done"
        return self.grant()

    def product(self) -> Product:
        (found,) = self.database.query(Product, frame_id=FRAME, stage="satsar")
        return found


def test_a_sites_own_program_gets_its_pictures(tmp_path: Path) -> None:
    site = Site(tmp_path, WHOLE)
    summary = site.run(site.to_satsar())
    assert (summary["outcome"], summary["warnings"]) == ("done", []), summary
    product = site.product()
    (one,) = quicklooks_of(product)
    with Image.open(Path(product.path, one.file)) as image:
        assert image.size == (one.cols, one.rows) and image.mode == "P"
    assert one.pixel_m is not None and one.pixel_m[0] == pytest.approx(one.pixel_m[1], rel=0.05) and one.known == 1.0
    said = json.loads(Path(product.path, "product.json").read_text())
    assert said["quicklooks"]["made"] == [one.to_json()]
    measured = product_records.measure(Path(product.path))
    assert (product.files, product.bytes, product.checksum) == (measured.files, measured.bytes, measured.checksum)
    assert product.files == len({*said["files"], "product.json"}), "the pictures are files of the product, all listed"
    assert {p.stage: len(p.quicklooks) for p in site.database.query(Product)} == {"download": 0, "slc": 0, "satsar": 1}


def test_a_check_knows_pictures_and_finds_them_again(tmp_path: Path) -> None:
    site = Site(tmp_path, WHOLE)
    assert site.run(site.to_satsar())["outcome"] == "done"
    before = site.product()
    assert check(site.database, [FRAME], deep=True).is_clean
    with site.database.session_scope() as session:
        session.delete(session.get(Product, before.id))
    fix(site.database, check(site.database, [FRAME]), who="the test")
    assert site.product().id != before.id and site.product().quicklooks == before.quicklooks
    (one,) = quicklooks_of(before)
    path = Path(before.path, one.file)
    os.truncate(path, path.stat().st_size - 20)
    (problem,) = check(site.database, [FRAME]).problems
    assert one.file in str(problem) or "files of" in str(problem)


def test_a_picture_changes_no_fingerprint(tmp_path: Path) -> None:
    with_them, without = Site(tmp_path / "a", WHOLE), Site(tmp_path / "b", WHOLE, quicklooks="no")
    for site in (with_them, without):
        assert site.run(site.to_satsar())["outcome"] == "done"
    assert without.product().quicklooks == [] and not Path(without.product().path, "quicklooks").exists()
    assert with_them.product().inputs.keys() == without.product().inputs.keys()
    assert "quicklook" not in json.dumps(with_them.product().inputs)


def test_a_broken_raster_is_a_warning_of_the_job(tmp_path: Path) -> None:
    site = Site(tmp_path, BROKEN)
    summary = site.run(site.to_satsar())
    assert summary["outcome"] == "done", summary
    (warning,) = summary["warnings"]
    assert warning.startswith("no quicklook of slc.tif: ")
    assert f"warning: {warning}" in Path(summary["log"]).read_text()
    product = site.product()
    assert (product.quicklooks, product.warnings) == ([], [warning])
    assert json.loads(Path(product.path, "product.json").read_text())["quicklooks"]["warnings"] == [warning]
    assert ProcStatus(site.database.query(Master)[0].proc_status) is ProcStatus.DONE_WITH_WARNINGS


def test_a_program_that_makes_pictures_of_its_own_keeps_them(tmp_path: Path) -> None:
    site = Site(tmp_path, OWN)
    summary = site.run(site.to_satsar())
    assert (summary["outcome"], summary["warnings"]) == ("done", [])
    assert [path.name for path in Path(site.product().path, "quicklooks").iterdir()] == ["mine.png"]
    assert site.product().quicklooks == []


def test_a_job_cancelled_while_its_pictures_are_made_ends_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, ENDLESS)
    job = site.to_satsar()
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(site.run(job)))
    thread.start()
    begun = "processing/*/.attempts/*/out/quicklooks"
    until(lambda: list(tmp_path.glob(begun)), 60.0, "pictures begun")
    jobs.cancel(site.database, job_id=job.id, who="the test")
    thread.join(30)
    assert found and "operator stopped" in found[0]["message"], found
    assert site.database.query(Product, stage="satsar") == []


@pytest.mark.parametrize(("how", "said"), [("time", "stopped for time"), ("kill", "signal 9"), ("memory", "stopped for memory")])
def test_pictures_that_come_to_no_end_are_a_warning(tmp_path: Path, how: str, said: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with create_radar(out / "slc.tif", (200_000, 200_000), "complex64", nodata=float("nan")):
        pass
    day = date(2023, 1, 1)
    job = StageInput(1, 1, Stage.SATSAR, RowKind.MASTER, Frame(FRAME, 132, "A", ()), day, day, None, out, {})
    (tmp_path / "input.json").write_text(json.dumps(job.to_json()))
    order = Order(str(tmp_path / "log"), dict(os.environ), str(out), 0.02 if how == "memory" else 1.0, 9.0)
    order = replace(ordered(replace(order, input_path=str(tmp_path / "input.json"))), time_limit_s=3.0 if how == "time" else 60.0)
    child = start_builtin(order)
    if how == "kill":
        until((out / "quicklooks").exists, 30.0, "pictures begun")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    ended: Ended | None = until(lambda: child.wait(1.0), 60.0, "the child's end")
    child.close()
    found = with_quicklooks(StageResult(("slc.tif",), warnings=("other",)), job, tmp_path / NAME, ended)
    assert found.warnings[0] == "other" and found.warnings[1].startswith("no quicklooks were made: ")
    assert said in found.warnings[1], found.warnings
    assert found.quicklooks == () and found.files == ("slc.tif",) and not (out / "quicklooks").exists()
    lost = with_quicklooks(StageResult(()), job, tmp_path / NAME, None)
    assert lost.warnings == ("no quicklooks were made: their process was lost",)
