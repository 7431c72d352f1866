"""The whole system: the demo on both databases, with a worker killed in the middle."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
from browser import browser
from demo_pages import look_at_every_page
from demos import KilledDemo, ended_well, start
from playwright.sync_api import Browser
from postgres import Cluster

from satdaemon.cli.demo.report import LIMITS, kept
from satdaemon.config import load
from satdaemon.db import Database, FailedJob, File, Ifg, JobEvent, PendingJob, Product, RsarIfg, RunningJob
from satdaemon.db.summary import frame_report
from satdaemon.processors.quicklook_files import SHOWN
from satdaemon.processors.quicklooks import PICTURES
from satdaemon.simulator import Truth
from satdaemon.status import ProcStatus, RowKind, Stage

__all__ = ["browser"]
FRAME = "132A_DEMO_SIM"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def finished_jobs(database: Database) -> Counter[tuple[Any, ...]]:
    events = database.query(JobEvent, event="finished")
    return Counter((e.kind, e.stage, e.date1, e.date2) for e in events)


@pytest.mark.faults
def test_the_demo_completes_though_a_worker_is_killed_and_nothing_is_done_twice(killed_demo: KilledDemo) -> None:
    out = killed_demo.out
    database = Database(load(out / "satdaemon.cfg"))
    assert {key: n for key, n in finished_jobs(database).items() if n > 1} == {}
    assert database.query(JobEvent, event="retry"), "the kill was noticed"
    assert database.query(RunningJob) == []
    _check_summary(out)
    _check_odd_dates(database, Truth.load(out / "simulation"))
    _check_pictures(database)
    assert "POEORB" in killed_demo.text, "the table wraps its lines: one word"
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(out) in " ".join(p.info["cmdline"] or [])]
    for name in ("velocity.png", "series.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    again = time.monotonic()
    assert "against the truth" in ended_well(start(out, "--dates", "10"))
    assert time.monotonic() - again < 60, "a finished demo starts nothing"
    database.close()


def _check_pictures(database: Database) -> None:
    """Every product that has something to show shows it, and nothing else does."""
    for product in database.query(Product):
        shown = SHOWN.get((RowKind(product.kind), Stage(product.stage)), ())
        wanted = {picture.name for name in shown for picture in PICTURES[name]}
        assert {Path(one["file"]).stem for one in product.quicklooks} == wanted, (product.stage, product.key)
        assert all(Path(product.path, one["file"]).is_file() for one in product.quicklooks)


def test_every_page_shows_what_the_demo_made(killed_demo: KilledDemo, browser: Browser) -> None:
    look_at_every_page(browser, load(killed_demo.out / "satdaemon.cfg"), FRAME)


@pytest.mark.postgis
@pytest.mark.faults
def test_the_demo_on_postgis_over_http_goes_on_after_it_was_killed(
    tmp_path: Path, postgres_cluster: Cluster, browser: Browser
) -> None:
    """From a stand-in for NASA's archive, which misbehaves; nothing that is left, Prefect's database included, holds a secret."""
    out = tmp_path / "demo"
    with postgres_cluster.database(template=None) as url:  # the template knows machines that are not there
        options = ("--dates", "6", "--database", url, "--archive", "asf")
        process = start(out, *options)
        deadline = time.monotonic() + 900
        while time.monotonic() < deadline and not list(out.glob(f"processing/{FRAME}/satsar/*/product.json")):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.3)
        process.kill()
        process.communicate(timeout=60)
        assert not (out / "summary.json").exists()
        ended_well(start(out, *options))
        database = Database(load(out / "satdaemon.cfg"))
        assert {key: n for key, n in finished_jobs(database).items() if n > 1} == {}
        assert database.query(RunningJob) == database.query(PendingJob) == database.query(FailedJob) == []
        assert {row.status for row in database.query(Ifg)} == {ProcStatus.DONE}
        assert {(f.state, str(f.url).startswith("http://127.0.0.1:")) for f in database.query(File)} == {("on_disk", True)}
        _check_summary(out)
        database.close()
        look_at_every_page(browser, load(out / "satdaemon.cfg"), FRAME, "demo-postgis")
    left = [path for path in out.rglob("*") if path.is_file() and path.suffix not in (".zip", ".npy", ".png", ".tif")]
    secrets = (b"demo-password", b"eyJ0eXAiOiJKV1Qi", b"ZGVtbzpkZW1vLXBhc3N3b3Jk")  # as a word, as a token, in a header
    assert len(left) > 50 and [path for path in left if any(word in path.read_bytes() for word in secrets)] == []
    refused = start(out, "--dates", "7")
    assert "--fresh" in refused.communicate(timeout=120)[0]
    assert refused.returncode == 1


def _check_summary(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert {name: summary[name] for name in LIMITS if not kept(name, summary[name])} == {}
    assert max(summary["displacement_rms_mm_by_date"].values()) <= 1.5
    assert summary["points_in_database"] == summary["points"] > 100_000
    assert {"dates", "jobs", "failed", "velocity_rms_mm_per_year", "wall_s"} <= set(summary)


def _check_odd_dates(database: Database, truth: Truth) -> None:
    """The corrupt zip, the date without orbit and the one lacking a burst stand where the rules put them, with reasons."""
    case = {name: truth.dates[k] for k, d in enumerate(truth.document["dates"]) for name in d["cases"]}
    rows = {row.date1: row for row in frame_report(database, FRAME) if row.kind is RowKind.IFG}
    corrupt = rows[case["corrupt"]]
    assert corrupt.status is ProcStatus.FAILED
    assert ".zip" in corrupt.reason
    assert "fetch it again" in corrupt.reason
    waiting = rows[case["no_orbit"]]
    assert waiting.status is ProcStatus.WAITING
    assert "no precise orbit" in waiting.reason
    lacking = rows[case["missing_burst"]]
    assert lacking.status.is_done
    pairs = database.query(RsarIfg, frame_id=FRAME)
    assert all(
        (pair.status is ProcStatus.EXCLUDED and "failed" in str(pair.reason)) == (case["corrupt"] in (pair.date1, pair.date2))
        for pair in pairs
    )
    assert len(database.query(FailedJob)) == 1
