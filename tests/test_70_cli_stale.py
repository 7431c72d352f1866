"""`satdaemon stale` and `satdaemon frame reprocess`, as an operator uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from frames_made import FRAME
from stale_frames import DATES, copy_of, key, orbit, stale_names, standing
from typer.testing import CliRunner

from satdaemon.cli import application as cli
from satdaemon.db import Database, Frame, StaleProduct
from satdaemon.errors import RequestError
from satdaemon.processors import registry

LAST = DATES[-1]


@dataclass(frozen=True, slots=True)
class Place:
    """A finished frame, and the configuration file that names it."""

    db: Database
    config: Path

    def run(self, *words: str, code: int = 0) -> str:
        """What the command prints."""
        done = CliRunner().invoke(cli.app, [*words, "-d", str(self.config)], catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.output




@pytest.fixture
def place(
    request: pytest.FixtureRequest, finished: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """A copy of it, with the programs that made it."""
    from satdaemon.cli import frames, stale  # noqa: F401 - register their commands

    where, url = finished
    cluster = request.getfixturevalue("postgres_cluster") if url.startswith("postgresql") else None
    with copy_of(where, url, tmp_path, cluster) as db:
        parameters = db.settings.parameters
        lines = ["[PARAMETERS]", f"database = {parameters.database}", f"dem = {parameters.dem}"]
        lines += [f"{n}_path = {tmp_path / n}" for n in ("data", "processing", "log", "orbit")]
        config = tmp_path / "satdaemon.cfg"
        config.write_text("\n".join([*lines, "[PROC_MACHINES]", "cpu = 4", "memory_gb = 16", ""]))
        monkeypatch.setattr(registry, "versions", lambda: {})
        yield Place(db, config)


def test_check_shows_and_writes_nothing(place: Place) -> None:
    assert "nothing would change" in place.run("stale", "--check")
    better = orbit(place.db, LAST)
    shown = " ".join(place.run("stale", FRAME, "--check").split())
    assert "nothing was written" in shown and f"date {key(LAST)}" in shown and "download" in shown
    found = json.loads(place.run("stale", "--check", "--json"))["would_change"]
    assert {row["status"] for row in found} == {"STALE"} and any(better.name in row["reason"] for row in found)
    assert stale_names(place.db) == set() and place.db.query(StaleProduct) == []


def test_the_list_and_the_leave_to_make_it_again(place: Place) -> None:
    assert "nothing is stale" in place.run("stale")
    orbit(place.db, LAST)
    shown = place.run("stale", "--mark")
    assert key(LAST) in stale_names(place.db)
    assert "needs leave" in shown and f"satdaemon frame reprocess {FRAME} on" in shown and "CPU-h" in shown
    listed = json.loads(place.run("stale", FRAME, "--json"))
    assert {row["frame_id"] for row in listed["rows"]} == {FRAME} and listed["cost"]["rows"] == len(stale_names(place.db))
    assert listed["cost"]["cpu_h"] > 0 and listed["cost"]["rows_of_unknown_cost"] == 0
    assert len(place.run("stale", "--all").splitlines()) > len(shown.splitlines()) - 3
    said = place.run("frame", "reprocess", FRAME, "on")
    assert f"{FRAME}: reprocessing on; stale: {len(stale_names(place.db))} rows" in said
    (frame,) = place.db.query(Frame, id=FRAME)
    assert frame.reprocess
    assert "by itself" in place.run("stale")
    assert "reprocessing off" in place.run("frame", "reprocess", FRAME, "off")
    (frame,) = place.db.query(Frame, id=FRAME)
    assert not frame.reprocess


def test_a_changed_line_of_the_configuration_and_back(place: Place) -> None:
    before = place.config.read_text()
    place.config.write_text(before + "[UNWRAP]\nmax_gap_m = 99\n")
    shown = " ".join(place.run("stale", "--mark").split())
    assert "max_gap_m 150 became 99" in shown and "unwrap" in shown
    assert stale_names(place.db) == {n for n in standing(place.db) if "_" in n} | {"master"}
    place.config.write_text(before + "[UNWRAP]\ncpu = 2\n")
    assert "DONE" in place.run("stale", "--check")
    assert "nothing is stale" in place.run("stale", "--mark")


def test_a_frame_that_does_not_exist_is_refused(place: Place) -> None:
    for words in (["stale", "132A_NONE"], ["stale", "132A_NONE", "--check"], ["frame", "reprocess", "132A_NONE", "on"]):
        with pytest.raises(RequestError, match="132A_NONE"):
            place.run(*words)
