"""`satdaemon check-consistency` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from databases import make_settings
from frames_made import FRAME, make_frame
from products_made import write_all
from rich.console import Console
from typer.testing import CliRunner, Result

from satdaemon.cli import application as cli
from satdaemon.db import Database, Ifg, Product
from satdaemon.errors import RequestError
from satdaemon.status import Stage


@pytest.fixture
def place(tmp_path: Path, sqlite_template: Path) -> tuple[Database, Path]:
    """A database that knows nothing of the products on disk, and its configuration file."""
    path = tmp_path / "db.sqlite"
    shutil.copy(sqlite_template, path)
    database = Database(make_settings(tmp_path, f"sqlite:///{path}"))
    make_frame(database, 4, on=False)
    write_all(database)
    config = tmp_path / "satdaemon.cfg"
    names = ("database", "data_path", "processing_path", "log_path", "orbit_path")
    lines = [f"{name} = {getattr(database.settings.parameters, name)}" for name in names]
    config.write_text("\n".join(["[PARAMETERS]", *lines, ""]))
    return database, config


def run(config: Path, *arguments: str | Path, code: int = 0) -> Result:
    """Run the command in this process."""
    cli.load_commands()
    done = CliRunner().invoke(cli.app, ["check-consistency", *map(str, arguments), "-d", str(config)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_told_then_fixed_then_clean_then_put_back(place: tuple[Database, Path]) -> None:
    database, config = place
    told = run(config, code=3).output
    assert "does not fit" in told and "the fix moves" in told and "--fix would change" in told
    assert not database.query(Product)
    fixed = run(config, FRAME, "--fix").output
    assert "--undo" in fixed and "still" not in fixed
    dump = Path(next(line for line in fixed.splitlines() if "--undo" in line).split("--undo ")[1])
    assert dump.is_file() and dump.is_relative_to(database.settings.parameters.log_path)
    assert "0 things do not fit" in run(config).output
    assert "0 things do not fit" in run(config, "--deep", FRAME).output
    assert "put back" in run(config, "--undo", dump).output
    assert {row.proc_stage for row in database.query(Ifg)} == {1} and not database.query(Product)


def test_json_says_all_of_it(place: tuple[Database, Path]) -> None:
    database, config = place
    found = json.loads(run(config, "--json", code=3).output)
    assert not found["clean"] and found["frames"] == 1 and found["fixed"] is None
    names = {"kind", "what", "frame_id", "stage", "key", "path", "remedy", "fixable", "deletable", "note"}
    assert set(found["findings"][0]) == names
    assert {tuple(row["after"].values()) for row in found["rows"] if row["kind"] == "ifg"} == {(3, 2, None)}
    assert len(found["records"]) == found["products"]
    fixed = json.loads(run(config, "--json", "--fix").output)
    assert fixed["open"] == 0 and fixed["fixed"]["rows"] == len(found["rows"])
    undone = json.loads(run(config, "--json", "--undo", fixed["fixed"]["dump"]).output)
    assert undone["rows"] == len(found["rows"]) and undone["left"] == []
    assert json.loads(run(config, "--json", code=3).output)["rows"] == found["rows"]
    assert database.query(Ifg)


def test_deleting_needs_the_very_path(place: tuple[Database, Path]) -> None:
    database, config = place
    run(config, "--fix")
    odd = database.settings.parameters.processing_path / FRAME / "slc" / "20290101"
    odd.mkdir()
    (odd / "x.bin").write_text("x")
    assert f"  {odd}" in run(config, code=3).output
    done = run(config, "--delete", odd.parent / "20230101", "--delete", odd, code=1)
    assert isinstance(done.exception, RequestError) and "expected a path that this check reports" in str(done.exception)
    assert odd.exists()
    run(config, "--fix", code=3)
    assert odd.exists()
    assert f"deleted: {odd}" in run(config, "--delete", odd).output
    assert not odd.exists()


def test_what_does_not_go_together_is_refused(place: tuple[Database, Path], tmp_path: Path) -> None:
    _, config = place
    undo = ("--undo", tmp_path / "x.json")
    for arguments in ((*undo, "--fix"), (*undo, FRAME), undo, ("999A_NO",)):
        assert isinstance(run(config, *arguments, code=1).exception, RequestError)


def test_every_finding_can_be_listed(place: tuple[Database, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from satdaemon.cli import consistency

    database, config = place
    monkeypatch.setattr(consistency, "make_console", lambda: Console(width=240))
    days = sorted(f"{row.date:%Y%m%d}" for row in database.query(Ifg))
    short, long = run(config, code=3).output, run(config, "--all", code=3).output
    assert all(f"{Stage.SLC} {day}" in long for day in days)
    assert len(long.splitlines()) > len(short.splitlines())
