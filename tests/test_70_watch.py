"""The watch flow: archives when their turn has come, then the disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from archive_stand_ins import host, item
from engine_parts import make_frame, make_settings
from prefect.logging import disable_run_logger

from flows import watch as flow
from satdaemon.config import load
from satdaemon.db import Database, File, Frame
from satdaemon.db.archive_watch import LookReport
from satdaemon.simulator.archives import CdseStandIn, Fault, Shelf
from satdaemon.status import Stage
from tasks.wanted import SEARCHING_S, service_deployments

SQUARE = ((9.5, 44.5), (11.5, 44.5), (11.5, 46.0), (9.5, 46.0))


def site(place: Path, server: CdseStandIn) -> Path:
    """A configuration that searches the stand-in."""
    config = make_settings(place, stages=()).source
    assert config is not None
    hosts = f"{host(server.base)}, {host(server.download_base)}"
    lines = ["[DOWNLOAD]", "archives = cdse", "[ARCHIVES]", "timeout_s = 5", "pause_s = 0.01", f"cdse_hosts = {hosts}"]
    lines += [f"{key} = {server.base}" for key in ("cdse_catalogue", "cdse_login", "cdse_download")]
    config.write_text(config.read_text() + "\n".join(lines) + "\n")
    return config


def test_a_run_enters_what_the_archives_have_and_says_so(tmp_path: Path) -> None:
    sensed = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    new = item(sensed, footprint=SQUARE, track=132, direction="A", published_utc=sensed + timedelta(hours=3))
    shelf = Shelf()
    shelf.add(new)
    with CdseStandIn(shelf) as server:
        settings = load(site(tmp_path, server))
        database = make_frame(settings, dates=2, stages=(Stage.DOWNLOAD,))
        database.update(Frame, {"searched_utc": datetime.now(UTC)}, retired_utc=None)
        settings.parameters.data_path.mkdir(exist_ok=True)
        with disable_run_logger():
            end = flow.watch.fn(str(settings.source))
            assert str(end.message).startswith("1 scenes new, 0 renewed of 1 over 1 frames (cdse; 1 requests); 0 added")
            end = flow.watch.fn(str(settings.source))
            assert str(end.message).startswith("0 added"), "its turn has not come again"
        assert server.tally.of("search") == 1
        assert [file.state for file in Database(settings).query(File, id=new.name)] == ["remote"]


def test_a_silent_archive_is_a_warning_and_the_disk_is_looked_through(tmp_path: Path) -> None:
    with CdseStandIn(Shelf()) as server:
        server.faults.expect("search", Fault.FORBIDDEN)
        settings = load(site(tmp_path, server))
        make_frame(settings, dates=2)
        settings.parameters.data_path.mkdir(exist_ok=True)
        with disable_run_logger():
            end = flow.watch.fn(str(settings.source))
    assert "(nobody answered; 0 requests); 0 added" in str(end.message)


def test_what_is_said_of_archives() -> None:
    report = LookReport(asked=("cdse",), silent={"cdse": "HTTP 403"}, warnings=["asf: 3 entries left out: no footprint"])
    assert flow.what_archives_said(report) == ["cdse does not answer: HTTP 403", *report.warnings]
    assert flow.in_words(LookReport()) == ""


def test_when_it_is_scheduled(tmp_path: Path) -> None:
    with CdseStandIn(Shelf()) as server:
        searching = load(site(tmp_path / "a", server))
    for settings, seconds in (
        (make_settings(tmp_path / "b"), []),
        (make_settings(tmp_path / "c", watch_interval_s=60), [60.0]),
        (searching, [SEARCHING_S]),
    ):
        (body,) = [wanted.body for wanted in service_deployments(settings) if wanted.name == "watch"]
        assert [one["schedule"]["interval"] for one in body["schedules"]] == seconds
