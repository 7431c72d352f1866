"""The command line: every command is documented, errors are messages, output can be read by programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from commands import run
from product_zips import damage, make_zip
from realdata import data_dir
from simulated import small_archive

from satdaemon.cli import application as cli

ROOT = Path(__file__).parents[1]


def commands() -> list[str]:
    """Every command, as it is typed."""
    cli.load_commands()
    found = [command.name for command in cli.app.registered_commands]
    for group in cli.app.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        found += [f"{group.name} {command.name}" for command in group.typer_instance.registered_commands]
    return [str(name) for name in found]


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    assert len(commands()) >= 15
    assert [name for name in commands() if f"satdaemon {name}" not in text] == []


@pytest.mark.parametrize("name", ["", *commands()])
def test_every_command_has_help(name: str) -> None:
    assert "Usage" in run(*name.split(), "--help").stdout


def test_a_process_of_its_own_ends_as_the_command_does(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "satdaemon.cli", "config", "check", "-d", str(tmp_path / "none.cfg")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and "none.cfg" in done.stderr and "Traceback" not in done.stderr


def test_a_configuration_that_is_wrong_is_told_without_a_stack_trace(tmp_path: Path) -> None:
    file = tmp_path / "bad.cfg"
    file.write_text("[SLC]\ncpu = many\n")
    done = run("config", "check", "-d", file, code=1)
    assert "[SLC] cpu" in done.stderr
    assert "Traceback" not in done.stderr
    file.write_text("[SLC]\ncpu = 1\n")
    assert "good" in run("config", "check", "-d", file).stdout


def test_inspect_refuses_what_is_not_a_product(tmp_path: Path) -> None:
    path = make_zip(tmp_path)
    path.write_bytes(path.read_bytes()[:5000])
    done = run("inspect", path, code=1)
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert "expected" in run("inspect", tmp_path / "nothing.zip", code=1).stderr


def test_inspect_tells_bursts_of_a_simulated_product() -> None:
    path = sorted((small_archive() / "archive").rglob("*.zip"))[0]
    found = json.loads(run("inspect", path, "--json").stdout)
    assert found["product"]["id"] == path.stem
    assert found["orbit"]["track"] == 132
    assert {"id", "esa_id", "anx", "swath", "footprint"} <= set(found["bursts"][0])
    assert found["bursts"][0]["id"] in run("inspect", path).stdout


@pytest.mark.realdata
def test_inspect_tells_bursts_of_a_real_product() -> None:
    path = data_dir() / "s1reader" / "S1A_IW_SLC__1SDV_20200511T135117_20200511T135144_032518_03C421_7768.zip"
    bursts = json.loads(run("inspect", path, "--json").stdout)["bursts"]
    assert len(bursts) == 27
    assert bursts[0]["id"] == "71_23293_IW1"


def test_a_frame_from_the_command_line(tmp_path: Path) -> None:
    archive = small_archive()
    config = tmp_path / "satdaemon.cfg"
    config.write_text(
        f"[PARAMETERS]\ndatabase = sqlite:///db.sqlite\norbit_path = {archive / 'orbits'}\ndem = {archive / 'dem.tif'}\n"
        f"[DOWNLOAD]\narchive_path = {archive / 'archive'}\n"
    )
    option = ("-d", config)
    run("init-database", *option)
    run("init-database", *option)
    frame = json.loads((archive / "frame.json").read_text())
    made = run("frame", "make", frame["id"], "--file", archive / "frame.json", *option)
    assert f"{len(frame['bursts'])} bursts" in made.stdout
    assert "exists already" in run("frame", "make", frame["id"], frame["bursts"][0]["id"], *option, code=1).stderr
    filled = run("frame", "fill", frame["id"], *option).stdout
    assert "master" in filled
    run("frame", "on", frame["id"], *option)
    run("frame", "priority", frame["id"], "7", *option)
    assert frame["id"] in run("frame", "list", *option).stdout
    stages = json.loads(run("status", frame["id"], "--json", *option).stdout)["stages"]
    assert {"download", "slc", "satsar", "coherence", "unwrap", "timeseries", "ingest"} == {s["stage"] for s in stages}
    assert run("points", "count", frame["id"], *option).stdout.strip() == "0"
    assert "found none" in run("points", "near", frame["id"], "0", "0", *option, code=1).stderr
    run("frame", "off", frame["id"], *option)


def test_bad_zips_are_told_and_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "satdaemon.cfg").write_text("[PARAMETERS]\ndatabase = sqlite:///db.sqlite\ndata_path = data\n")
    option = ("-d", tmp_path / "satdaemon.cfg")
    run("init-database", *option)
    damage(make_zip(tmp_path / "data" / "T071"))
    report = json.loads(run("ingest-files", "--json", *option).stdout)
    assert len(report["bad"]) == 1
    assert "1 bad" in run("ingest-files", *option).stdout
