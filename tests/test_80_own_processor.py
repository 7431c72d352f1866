"""docs/howto/own-processor.md: its blocks run as they stand, and the programs that they make run as jobs."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from engine_parts import FRAME, make_frame, until
from stack_products import write_geometry

from satdaemon.config import Settings, load
from satdaemon.db import Database, FailedJob, Frame, Ifg, Master, Product, RsarIfg, jobs, planning, runs
from satdaemon.domain import Job
from satdaemon.insar.rowrasters import read_raster, write_raster
from satdaemon.runner import run_job
from satdaemon.status import ProcStatus, Stage

ROOT = Path(__file__).parents[1]
SNAPHU = ROOT / "bench" / ".peers" / "snaphu" / "snaphu"
FIRST, SECOND = date(2023, 1, 1), date(2023, 1, 13)
SHAPE = (160, 200)
SATSAR, UNWRAP = "satsar/20230113", "unwrap/20230101_20230113"


@dataclass(frozen=True)
class Site:
    """A place where the page was followed."""

    settings: Settings
    output: str

    @property
    def products(self) -> Path:
        return self.settings.parameters.processing_path / FRAME

    def run(self, *stages: Stage) -> tuple[Database, dict[str, dict[str, object]]]:
        """Run what the stages owe, each job once; the summaries by stage and key."""
        database = Database(self.settings)
        database.update(Frame, {f"do_{stage.value}": stage in stages for stage in Stage}, id=FRAME)
        planning.plan(database, [FRAME])
        assert runs.claim_frame(database, FRAME, "the test")
        until(lambda: jobs.grant_pass(database), what="a grant")
        granted = [job for job in jobs.pending_of_frame(database, FRAME, 5) if job.machine]
        return database, {f"{job.stage}/{job.key}": self._run(job) for job in granted}

    def _run(self, job: Job) -> dict[str, object]:
        return run_job(str(self.settings.source), job.id, job.attempt, {"job": job})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The page followed once, and a frame whose next stages are the programs' that it makes."""
    tmp_path = tmp_path_factory.mktemp("site")
    config = tmp_path / "satdaemon.cfg"
    places = [f"{name}_path = {name}" for name in ("data", "processing", "log", "orbit")]
    head = ["[PARAMETERS]", "database = sqlite:///satdaemon.sqlite", *places, "heartbeat_s = 0.5", "[PROC_MACHINES]", "cpu = 4"]
    config.write_text("\n".join([*head, ""]))
    text = (ROOT / "docs" / "howto" / "own-processor.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SATDAEMON_CONFIG": str(config)}
    if SNAPHU.exists():
        environment["SNAPHU"] = str(SNAPHU)
    output = ""
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        output += done.stdout + done.stderr
    site = Site(load(config), output)
    make_products(site.products)
    make_rows(site.settings)
    return site


def make_products(place: Path) -> None:
    """What the stages before have left: a ramp of twelve cycles as the pair's interferogram."""
    master = place / "satsar" / "20230101"
    write_geometry(master, SHAPE)
    write_raster(master / "slc.tif", np.ones(SHAPE, np.complex64))
    (place / "slc" / "20230113").mkdir(parents=True)
    (place / "slc" / "20230101").mkdir()
    coherence = place / "coherence" / "20230101_20230113"
    coherence.mkdir(parents=True)
    rng = np.random.default_rng(3)
    write_raster(coherence / "ifg.tif", (0.9 * np.exp(1j * (ramp() + rng.normal(0, 0.1, SHAPE)))).astype(np.complex64))
    write_raster(coherence / "points.tif", np.ones(SHAPE, np.uint8))
    (coherence / "product.json").write_text(json.dumps({"metrics": {"point_looks_mean": 25.0}}))


def ramp() -> np.ndarray:
    """Phase of the pair, rad."""
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    return np.asarray(0.2 * rows + 0.22 * cols)


def make_rows(settings: Settings) -> None:
    database = make_frame(settings, dates=2, stages=())
    with database.session_scope() as session:
        pair = RsarIfg(frame_id=FRAME, date1=FIRST, date2=SECOND, proc_stage=1, proc_status=ProcStatus.DONE)
        session.add(pair)
        session.query(Master).update({"proc_stage": 3, "proc_status": int(ProcStatus.DONE)})
        session.query(Ifg).update({"proc_stage": 2, "proc_status": int(ProcStatus.DONE)})
    database.close()


def test_a_script_around_a_c_program_runs_as_satsar(site: Site) -> None:
    assert '"level": "progress"' in site.output and "no burst records in by-hand/slc" in site.output
    database, found = site.run(Stage.SATSAR)
    summary = found[SATSAR]
    assert summary["outcome"] == "done", summary
    assert summary["warnings"] == [f"no burst records in {site.products / 'slc' / '20230113'}"]
    assert (site.products / SATSAR / "slc.tif").read_bytes() == (site.products / "satsar/20230101/slc.tif").read_bytes()
    (date_row,) = database.query(Ifg)
    assert (date_row.proc_status, date_row.bperp_m) == (ProcStatus.DONE_WITH_WARNINGS, 12.5)
    (product,) = database.query(Product)
    assert (product.processor, product.metrics) == ("my-satsar", {"bperp_m": 12.5})


@pytest.mark.skipif(not SNAPHU.exists(), reason="SNAPHU is not installed: bench/requirements.txt says how")
def test_snaphu_runs_as_unwrap_and_finds_the_truth(site: Site) -> None:
    SNAPHU.chmod(SNAPHU.stat().st_mode | stat.S_IXUSR)
    _, found = site.run(Stage.UNWRAP)
    assert found[UNWRAP]["outcome"] == "done", found
    phase, truth = read_raster(site.products / UNWRAP / "unwrapped.tif"), ramp()
    cycles = np.round((phase - truth) / (2 * np.pi))
    assert np.mean(cycles != np.median(cycles)) < 0.01
    assert read_raster(site.products / UNWRAP / "components.tif").max() == 1
    assert found[UNWRAP]["metrics"] == {"points": phase.size, "in_components": pytest.approx(1.0, abs=0.05)}


def test_what_a_script_says_as_error_is_why_its_job_failed(site: Site) -> None:
    # Last: the master has no geometry any more.
    with Database(site.settings).session_scope() as session:
        session.query(Master).update({"proc_stage": 2})
    database, found = site.run(Stage.SATSAR)
    assert found["satsar/20230101"]["outcome"] == "failed"
    (failed,) = database.query(FailedJob)
    assert (failed.message, failed.return_code) == ("my-satsar makes no geometry of a master yet", 1)
