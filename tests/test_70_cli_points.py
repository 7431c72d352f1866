"""`satdaemon points ...` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from points_made import show_points, write_points
from typer.testing import CliRunner

from satdaemon.cli import application as cli
from satdaemon.config import Settings
from satdaemon.db import Database, PointsVersion, points
from satdaemon.errors import RequestError

FRAME = "132A_TEST"
BOX = "POLYGON ((-1.9 52.1, -1.7 52.1, -1.7 52.3, -1.9 52.3, -1.9 52.1))"


@pytest.fixture
def made(database: Database, settings: Settings, tmp_path: Path) -> dict[str, np.ndarray]:
    product = write_points(tmp_path / "p", 300, 3)
    show_points(database, FRAME, tmp_path / "p")
    file = tmp_path / "a.cfg"
    file.write_text(f"[PARAMETERS]\ndatabase = {settings.parameters.database}\n")
    return product


def run(tmp_path: Path, *arguments: object) -> str:
    """Standard output of a command that goes well."""
    cli.load_commands()
    done = CliRunner().invoke(cli.app, ["points", *map(str, arguments), "-d", str(tmp_path / "a.cfg")])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_points_of_an_area(made: dict[str, np.ndarray], tmp_path: Path) -> None:
    inside = (np.abs(made["lon"] + 1.8) <= 0.1) & (made["lat"] >= 52.1) & (made["lat"] <= 52.3)
    in_box = json.loads(run(tmp_path, "box", FRAME, -1.9, 52.1, -1.7, 52.3, "--json"))
    in_polygon = json.loads(run(tmp_path, "polygon", FRAME, BOX, "--json"))
    assert {row["point_id"] for row in in_box} == {row["point_id"] for row in in_polygon} == set(made["id"][inside])
    assert set(in_box[0]) >= {"lon", "lat", "velocity", "temporal_coherence", "dem_error_m"}
    fast = json.loads(run(tmp_path, "polygon", FRAME, BOX, "--min-velocity", "-0.5", "--max-velocity", "0.5", "--json"))
    assert 0 < len(fast) < len(in_box) and all(abs(row["velocity"]) <= 0.5 for row in fast)
    assert "5 points: the first 5; there may be more: --limit 0 shows all" in run(
        tmp_path, "box", FRAME, -1.9, 52.1, -1.7, 52.3, "--limit", 5
    )


def test_near_series_and_mean(made: dict[str, np.ndarray], tmp_path: Path) -> None:
    one = json.loads(run(tmp_path, "near", FRAME, -1.75, 52.25, "--json"))
    lines = json.loads(run(tmp_path, "series", FRAME, one["point_id"], int(made["id"][0]), "--json"))
    assert lines["dates"] == one["dates"] and lines["points"][0]["displacement_mm"] == one["displacement_mm"]
    few = json.loads(run(tmp_path, "near", FRAME, -1.75, 52.25, "--count", 3, "--json"))
    metres = [row["distance_m"] for row in few]
    assert few[0]["point_id"] == one["point_id"] and metres == sorted(metres) and len(few) == 3
    assert "m away" in run(tmp_path, "near", FRAME, -1.75, 52.25, "--count", 3)
    assert "towards the satellite" in run(tmp_path, "near", FRAME, -1.75, 52.25)
    mean = json.loads(run(tmp_path, "mean", FRAME, "--json"))
    assert mean["points"] == 300 and mean["count"][0] == 300 > mean["count"][-1]
    assert "2020-01-13" in run(tmp_path, "mean", FRAME, BOX) and "2020-01-13" in run(tmp_path, "series", FRAME, one["point_id"])


def test_export(made: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "o.csv"
    assert "300 points, 3 dates" in run(tmp_path, "export", FRAME, out)
    with pytest.raises(RequestError, match="--force replaces it"):
        run(tmp_path, "export", FRAME, out)
    done = json.loads(run(tmp_path, "export", FRAME, out, "--force", "--no-series", "--polygon", BOX, "--json"))
    assert done["dates"] == 0 and 0 < done["points"] == len(out.read_text().splitlines()) - 1 < 300


def test_versions_count_and_prune(database: Database, made: dict[str, np.ndarray], tmp_path: Path) -> None:
    show_points(database, FRAME, tmp_path / "p", 2)
    left = PointsVersion(frame_id=FRAME, points=5, dates=["2020-01-01"], product="p", job_id=9, attempt=1)
    database.insert(left)
    rows = json.loads(run(tmp_path, "versions", "--json"))
    assert [(row["state"], row["removable"]) for row in rows] == [("loading", True), ("active", False), ("old", False)]
    assert "removes it" in run(tmp_path, "versions", FRAME)
    assert run(tmp_path, "count", FRAME) == "300\n" and json.loads(run(tmp_path, "count", "--json")) == {FRAME: 300}
    assert run(tmp_path, "count", "132A_NONE") == "0\n"
    assert "2 to remove" in run(tmp_path, "prune", "--keep", 0, "--dry-run")
    assert len(points.versions(database)) == 3
    done = json.loads(run(tmp_path, "prune", "--keep", 0, "--json"))
    assert done["removed"] == 2 and [v.state for v in points.versions(database)] == ["active"]
    assert "0 removed" in run(tmp_path, "prune")
