"""`satdaemon frame ...` and `satdaemon frames export` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from frames_made import FRAME, add_file, bursts, days, make_frame, plan, run_all
from typer.testing import CliRunner

from satdaemon.cli import application as cli
from satdaemon.config import Settings
from satdaemon.db import Database, Frame, jobs
from satdaemon.db.bursts import insert_bursts
from satdaemon.errors import SatDaemonError

IDS = [b.id for b in bursts()]
BOX = "POLYGON ((-1.9 52.05, -1.5 52.05, -1.5 52.3, -1.9 52.3, -1.9 52.05))"
Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Run:
    """Run `satdaemon` with the test's database; its output. An error that was foreseen is raised, as `main` catches it."""
    cli.load_commands()
    config = tmp_path / "satdaemon.cfg"
    places = {name: getattr(settings.parameters, name) for name in ("data_path", "processing_path", "orbit_path", "log_path")}
    lines = [f"{name} = {value}" for name, value in {"database": settings.parameters.database, **places}.items()]
    config.write_text("\n".join(["[PARAMETERS]", *lines, ""]))

    def call(*arguments: object, answer: str | None = None) -> str:
        done = CliRunner().invoke(cli.app, [*map(str, arguments), "-d", str(config)], input=answer)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


def refused(run: Run, message: str, *arguments: object) -> None:
    with pytest.raises(SatDaemonError, match=message):
        run(*arguments)


def test_a_frame_is_previewed_made_listed_and_shown(database: Database, run: Run) -> None:
    every = bursts()
    insert_bursts(database, every)
    for day, some in zip(days(4), [every, every, every[:3], every[:5]], strict=True):
        add_file(database, datetime(day.year, day.month, day.day, 6, tzinfo=UTC), some)
    before = run("frame", "preview", *IDS, "--min-coverage", "1")
    assert "2 of 4 dates usable at min_coverage 1; 2 with every burst" in before
    lines = [line.split() for line in before.splitlines() if "│" in line]
    assert any(line[1] == "2" and "###" in line and line.count("###") == 2 for line in lines)
    assert any("##." in line for line in lines) and any("..." in line for line in lines)
    assert "+1" in before
    found = json.loads(run("frame", "preview", *IDS, "--min-coverage", "1", "--json"))
    assert (found["usable"], found["complete"], len(found["dates"]), len(found["bursts"])) == (2, 2, 4, 6)
    assert found["dates"][2]["present"] == [b for b in found["bursts"] if b.endswith("IW1")]
    assert run("frame", "preview", *IDS, "--dates").count("2023-") >= 8
    made = run("frame", "make", FRAME, *IDS)
    assert made.startswith(f"{FRAME}: 6 bursts, 4 files known")
    polygon = json.loads(run("frame", "make", "132A_POLY", "--polygon", BOX, "--json"))
    assert polygon == {"frame_id": "132A_POLY", "bursts": IDS[:2], "files": 4, "warnings": []}
    assert "3 bursts of track 132" in run("frame", "preview", FRAME, *[w for b in IDS[3:] for w in ("--drop", b)])
    listed = run("frame", "list")
    assert FRAME in listed and "132A_POLY" in listed
    assert [one["id"] for one in json.loads(run("frame", "list", "--json"))] == ["132A_POLY", FRAME]
    assert json.loads(run("frame", "list", "--track", 95, "--json")) == []
    shown = run("frame", "show", FRAME)
    assert ", ".join(IDS[:3]) in shown and "timeseries" in shown
    assert json.loads(run("frame", "show", FRAME, "--json"))["bursts"] == [b.id for b in sorted(bursts(), key=lambda b: b.anx)]


def test_bursts_are_said_in_one_way(database: Database, run: Run, tmp_path: Path) -> None:
    insert_bursts(database, [*bursts(8, ("IW1", "IW2", "IW3")), *bursts(2, ("IW1",), track=30)])
    refused(
        run, "one way to say the bursts, got --polygon and --licsar", "frame", "make", FRAME, "--polygon", BOX, "--licsar", "x"
    )
    refused(run, "got BURSTS and --polygon", "frame", "make", FRAME, IDS[0], "--polygon", BOX)
    refused(run, "--track and --pass go with --polygon", "frame", "make", FRAME, IDS[0], "--track", 132)
    refused(run, "its id says track 132, pass A; got track 30", "frame", "make", FRAME, "--polygon", BOX, "--track", 30)
    refused(run, "one of these only", "frame", "preview")
    refused(run, "one of these only", "frame", "preview", IDS[0], "--polygon", BOX)
    refused(run, "--add and --drop go with a frame", "frame", "preview", IDS[0], "--drop", IDS[0])
    refused(run, "say which .*30 A .*132 A", "frame", "preview", "--polygon", BOX)
    assert "2 bursts of track 30, pass A" in run("frame", "preview", "--polygon", BOX, "--track", 30, "--pass", "A")
    refused(run, "expected a file, or WKT", "frame", "preview", "--polygon", "here")
    file = tmp_path / "box.geojson"
    ring = [[-1.9, 52.05], [-1.5, 52.05], [-1.5, 52.3], [-1.9, 52.3], [-1.9, 52.05]]
    file.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert "2 bursts" in run("frame", "make", "132A_FILE", "--polygon", file)
    # Six bursts of 0.2 degrees every 0.18, from 52.18 on: their middle is 52.73 north.
    assert "no file of them is known" in run("frame", "preview", "--licsar", "132A_03727_060606")
    own = run("frame", "make", "132A_03727_060606")
    assert own.startswith("132A_03727_060606: 18 bursts") and IDS[1] in own and "132_8566_IW1" not in own
    other = json.loads(run("frame", "make", "132A_OTHER_NAME", "--licsar", "132A_03727_060606", "--json"))
    assert len(other["bursts"]) == 18


def test_an_edit_says_what_it_costs_and_asks(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    dry = run("frame", "edit", FRAME, "--drop", IDS[2], "--dry-run")
    assert "drop 132_8621_IW1: usable dates 4 -> 4; made again: 4 slc" in dry and "nothing changed" in dry
    refused(run, "4 slc .*; --yes does it", "frame", "edit", FRAME, "--drop", IDS[2])
    refused(run, "expected keys of", "frame", "edit", FRAME, "--drop", IDS[2], "--setting", "satsar.colour=red", "--yes")
    assert len(database.query(Frame)[0].bursts) == 6
    monkeypatch.setattr("satdaemon.cli.frames_edit.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    with pytest.raises(AssertionError, match="Do it"):
        run("frame", "edit", FRAME, "--drop", IDS[2], answer="n\n")
    assert len(database.query(Frame)[0].bursts) == 6
    assert "Do it?" in run("frame", "edit", FRAME, "--drop", IDS[5], answer="y\n")
    told = json.loads(run("frame", "edit", FRAME, "--drop", IDS[2], "--notes", "n", "--yes", "--json"))
    assert told["changed"] and told["bursts"]["dropped"] == [IDS[2]] and told["bursts"]["redo"] == []
    (frame,) = database.query(Frame)
    assert len(frame.bursts) == 4 and frame.notes == "n"
    run("frame", "edit", FRAME, "--setting", "satsar.esd_cell_lines=7", "--notes", "")
    (frame,) = database.query(Frame)
    assert frame.stage_settings == {"satsar": {"esd_cell_lines": 7}} and frame.notes is None
    assert "esd_cell_lines" in run("frame", "show", FRAME)
    run("frame", "edit", FRAME, "--setting", "satsar.esd_cell_lines=")
    assert database.query(Frame)[0].stage_settings == {}
    refused(run, "STAGE.KEY=VALUE", "frame", "edit", FRAME, "--setting", "satsar=7")
    refused(run, "got none", "frame", "edit", FRAME)


def test_clone_retire_restore_delete(database: Database, run: Run) -> None:
    make_frame(database, 3)
    assert "6 bursts and the settings of 132A_TEST, 3 files known; it is off" in run("frame", "clone", FRAME, "132A_COPY")
    plan(database)
    assert "deleted\n" in run("frame", "delete", "132A_COPY")
    refused(run, "3 pending and 0 failed jobs.*--yes does it", "frame", "delete", FRAME)
    granted = len(jobs.grant_pass(database))
    refused(run, "expected no running jobs", "frame", "delete", FRAME, "--yes")
    refused(run, f"{granted} jobs are running: .*--cancel or --let-end", "frame", "retire", FRAME)
    refused(run, "got both", "frame", "retire", FRAME, "--cancel", "--let-end")
    assert f"{granted} running ones left" in run("frame", "retire", FRAME, "--let-end")
    assert json.loads(run("frame", "list", "--json")) == []
    assert json.loads(run("frame", "list", "--all", "--json"))[0]["retired"] is not None
    refused(run, "retired on", "frame", "on", FRAME)
    assert "back in service, on" in run("frame", "restore", FRAME)
    refused(run, "found none|unknown", "frame", "show", "132A_NONE")


def test_export_writes_a_file_once(database: Database, run: Run, tmp_path: Path) -> None:
    make_frame(database, 3)
    out = tmp_path / "frames.gpkg"
    assert f"{out}: 1 frames" in run("frames", "export", out)
    refused(run, "--force replaces it", "frames", "export", out)
    told = json.loads(run("frames", "export", out, "--force", "--json"))
    assert told["rows"] == 1 and "coherence_done" in told["columns"]
    assert "6 bursts" in run("frames", "export", tmp_path / "b.shp", "--bursts", "--frames", f"{FRAME},")
    refused(run, "unknown ones: 132A_NO", "frames", "export", tmp_path / "c.gpkg", "--frames", f"{FRAME},132A_NO")
    refused(run, "expected a name that ends with", "frames", "export", tmp_path / "c.xyz")


def test_a_dry_run_tells_and_refuses_what_the_change_would(database: Database, run: Run) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    refused(run, "expected keys of", "frame", "edit", FRAME, "--setting", "satsar.colour=red", "--dry-run")
    refused(run, "no frame|found none", "frame", "edit", "132A_NOT_THERE", "--notes", "n", "--dry-run")
    told = run("frame", "edit", FRAME, "--setting", "satsar.esd_cell_lines=7", "--notes", "n", "--dry-run")
    assert "stale from the next plan on" in told and "nothing changed" in told
    (frame,) = database.query(Frame)
    assert (frame.stage_settings, frame.notes) == ({}, None)


def test_an_edit_is_done_whole_or_not_at_all(database: Database, run: Run) -> None:
    make_frame(database, 4)
    plan(database)
    assert jobs.grant_pass(database)
    words = ("--setting", "satsar.esd_cell_lines=7", "--notes", "n", "--drop", IDS[2], "--yes")
    refused(run, "no running jobs", "frame", "edit", FRAME, *words)
    (frame,) = database.query(Frame)
    assert (frame.stage_settings, frame.notes, len(frame.bursts)) == ({}, None, 6)
