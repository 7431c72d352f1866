"""`satdaemon frame plan|set|dates|exclude|include|master` as a person uses them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import make_settings
from frames_made import FRAME, add_file, bursts, make_frame, master_date, run_all
from typer.testing import CliRunner

from satdaemon.cli import application
from satdaemon.cli.frame_changes import days_of, rows_of
from satdaemon.db import Database, Frame, init_database
from satdaemon.errors import SatDaemonError


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame whose four dates are finished, with a fifth one in the files, and its configuration."""
    place = tmp_path_factory.mktemp("finished")
    paths = "\n".join(f"{name}_path = {place / name}" for name in ("data", "processing", "log", "orbit"))
    (place / "satdaemon.cfg").write_text(f"[PARAMETERS]\ndatabase = sqlite:///db.sqlite\n{paths}\n")
    database = init_database(make_settings(place, f"sqlite:///{place / 'db.sqlite'}"))
    dates = make_frame(database, 4)
    run_all(database, product=True)
    day = dates[-1] + timedelta(days=12)
    add_file(database, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), bursts())
    database.close()
    return place


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Iterator[tuple[Database, Path]]:
    """A copy of its own for a test."""
    for name in ("satdaemon.cfg", "db.sqlite"):
        shutil.copy(template / name, tmp_path / name)
    database = Database(tmp_path / "satdaemon.cfg")
    yield database, tmp_path / "satdaemon.cfg"
    database.close()


def run(config: Path, *arguments: str, answer: str | None = None) -> tuple[int, str]:
    """(exit code, output or the message of a foreseen error)."""
    application.load_commands()
    result = CliRunner().invoke(application.app, [*arguments, "-d", str(config)], input=answer)
    if isinstance(result.exception, SatDaemonError):
        return 1, str(result.exception)
    return result.exit_code, result.output


def plan_of(config: Path, *arguments: str) -> dict[str, Any]:
    code, text = run(config, "frame", "plan", FRAME, "--json", *arguments)
    assert code == 0, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_plan_tells_what_new_files_bring_and_changes_nothing(made: tuple[Database, Path]) -> None:
    database, config = made
    found = plan_of(config)
    assert found["added"] == ["2023-02-18"] and found["dates"] == 5 and not found["loses_work"]
    made_first = {effect["stage"]: effect for effect in found["make"]}
    assert made_first["satsar"]["keys"] == ["20230218"] and made_first["unwrap"]["count"] == 3
    assert made_first["unwrap"]["bytes"] == 30 and made_first["unwrap"]["cpu_h"] > 0
    assert [effect["stage"] for effect in found["redo"]] == ["timeseries", "ingest"]
    assert len(database.query(Frame)[0].files) == 5 and plan_of(config) == found
    code, text = run(config, "frame", "plan", FRAME, "--previous", "1")
    assert code == 0 and "make again" in text and "to make because of it:" in text and "20230218" in text


def test_a_change_that_costs_products_asks_first(made: tuple[Database, Path]) -> None:
    database, config = made
    old = master_date(database)
    new = "2023-01-01"
    assert str(old) != new
    assert run(config, "frame", "master", FRAME) == (0, f"{old}: {database.query(Frame)[0].master.choice_reason}\n")
    code, text = run(config, "frame", "master", FRAME, new, answer="n\n")
    assert code == 1 and "Do so?" in text and "Aborted" in text and master_date(database) == old
    code, text = run(config, "frame", "master", FRAME, new, "--json")
    assert code == 1 and "means making again: 4 satsar" in text and text.endswith("--yes does so")
    code, text = run(config, "frame", "master", FRAME, new, answer="y\n")
    assert code == 0 and text.endswith(f"{FRAME}: done\n") and str(master_date(database)) == new
    code, text = run(config, "frame", "set", FRAME, "--master", str(old), "--yes", "--json")
    assert code == 0 and json.loads(text)["master"] == str(old) == str(master_date(database))


def test_dates_are_left_out_and_taken_back(made: tuple[Database, Path]) -> None:
    _, config = made
    code, text = run(config, "frame", "exclude", FRAME, "20230101", "--yes")
    assert code == 1 and "expected a reason" in text
    code, text = run(config, "frame", "exclude", FRAME, "2023-01-01", "20230113_20230125", "--reason", "snow", "--yes")
    assert code == 0 and "not used any more" in text
    shown = {d["date"]: d for d in json.loads(run(config, "frame", "dates", FRAME, "--json")[1])}
    assert (shown["2023-01-01"]["state"], shown["2023-01-01"]["reason"]) == ("excluded", "snow")
    assert shown["2023-01-25"]["pairs"] == 2 and shown["2023-01-13"]["is_master"]
    assert "snow" in run(config, "frame", "dates", FRAME)[1]
    code, _ = run(config, "frame", "include", FRAME, "2023-01-01", "2023-01-13/2023-01-25")
    shown = {d["date"]: d for d in json.loads(run(config, "frame", "dates", FRAME, "--json")[1])}
    assert code == 0 and shown["2023-01-01"]["state"] == "done"


def test_settings_are_set_and_given_back(made: tuple[Database, Path]) -> None:
    database, config = made
    assert (
        run(config, "frame", "set", FRAME, "--previous", "2", "--start", "2023-01-13", "--min-coverage", "0.7", "--yes")[0] == 0
    )
    (frame,) = database.query(Frame)
    assert (frame.previous, str(frame.start_date), frame.min_coverage) == (2, "2023-01-13", 0.7)
    arguments = ("--previous", "default", "--start", "open", "--min-coverage", "default", "--yes")
    assert run(config, "frame", "set", FRAME, *arguments)[0] == 0
    (frame,) = database.query(Frame)
    assert (frame.previous, frame.start_date, frame.min_coverage) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", FRAME), "expected something to change, got nothing"),
        (("set", FRAME, "--previous", "many"), "--previous: expected a whole number or `default`, got 'many'"),
        (("set", FRAME, "--min-coverage", "7"), "min_coverage: Input should be less than or equal to 1"),
        (("plan", FRAME, "--start", "yesterday"), "expected a date such as 2023-01-05"),
        (("plan", FRAME, "--exclude", "20230113_20230101"), "expected the earlier date first"),
        (("plan", "132A_NONE"), "expected a frame of the database"),
        (("include", FRAME, "2023-01-01"), "expected an excluded row"),
        (("master", FRAME, "1999-01-01", "--yes"), "expected a date of the frame as master, got 1999-01-01"),
    ],
)
def test_what_is_wrong_is_told(template: Path, arguments: tuple[str, ...], words: str) -> None:
    code, text = run(template / "satdaemon.cfg", "frame", *arguments)
    assert code == 1 and words in text


def test_dates_and_pairs_as_people_type_them() -> None:
    day, other = days_of("2023-01-05"), days_of("20230117")
    assert rows_of(["2023-01-05", "20230105_20230117", "20230105-20230117", "2023-01-05/2023-01-17"]) == (
        (day, None),
        *[(day, other)] * 3,
    )
    for wrong in ("2023-13-01", "5 January", "2023-01-05_", "20230105_20230105"):
        with pytest.raises(SatDaemonError, match="expected"):
            rows_of([wrong])
    with pytest.raises(SatDaemonError, match="expected one date"):
        days_of("20230105_20230117")
