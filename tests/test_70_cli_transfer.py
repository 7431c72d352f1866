"""`satdaemon db ...` as an operator types it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from commands import run
from databases import make_settings

from satdaemon.db import File, Frame, init_database


def config(tmp_path: Path, url: str) -> tuple[str, Path]:
    path = tmp_path / f"{len(list(tmp_path.glob('*.cfg')))}.cfg"
    path.write_text(f"[PARAMETERS]\ndatabase = {url}\n")
    return "-d", path


@pytest.fixture
def one(database_url: str, tmp_path: Path) -> tuple[str, Path]:
    db = init_database(make_settings(tmp_path, database_url))
    db.insert(Frame(id="132A_ONE_TWO", track=132, orbit_direction="A"))
    db.insert([File(id=f"F{k}", track=132, date=date(2023, 1, 1)) for k in range(20)])
    db.close()
    return config(tmp_path, database_url)


def test_dump_restore_and_compare(one: tuple[str, Path], tmp_path: Path) -> None:
    told = json.loads(run("db", "info", "--json", *one).stdout)
    assert told["rows"]["files"] == 20 and told["revision"] == told["expected_revision"] and told["bytes"] > 0
    assert "revision of the schema" in run("db", "info", *one).stdout
    file = tmp_path / "whole.zip"
    assert "rows of" in run("db", "dump", file, "--format", "portable", *one).stdout
    assert "--force" in run("db", "dump", file, "--format", "portable", *one, code=1).stderr
    done = json.loads(run("db", "dump", file, "--format", "portable", "--force", "--json", *one).stdout)
    assert done["rows"]["files"] == 20 and done["bytes"] == file.stat().st_size
    two = config(tmp_path, f"sqlite:///{tmp_path / 'two.sqlite'}")
    assert "never initialised" in run("db", "info", *two).stdout
    assert "init-database" in run("db", "restore", file, "--dry-run", *two, code=1).stderr
    run("init-database", *two)
    assert "dry run: nothing was changed" in run("db", "restore", file, "--dry-run", *two).stdout
    assert json.loads(run("db", "info", "--json", *two).stdout)["rows"]["files"] == 0
    restored = json.loads(run("db", "restore", file, "--json", *two).stdout)
    assert restored["rows"]["files"] == 20 and not restored["dry_run"]
    assert "nothing was changed" in run("db", "restore", file, *two).stdout
    assert "are equal" in run("db", "compare", file, *two).stdout
    run("frame", "priority", "132A_ONE_TWO", "7", *two)
    different = run("db", "compare", file, *two, code=3).stdout
    assert "frames" in different and "132A_ONE_TWO: priority: 7 and 0" in " ".join(different.split())
    found = json.loads(run("db", "compare", file, "--json", *two, code=3).stdout)
    assert not found["equal"] and {"frames", "job_events"} <= {d["table"] for d in found["differences"]}
    refused = run("db", "restore", file, *two, code=1).stderr
    assert "there are rows" in refused and "Nothing was changed" in refused


def test_copy(one: tuple[str, Path], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'three.sqlite'}"
    assert "would be initialised first" in run("db", "copy", "--to", url, "--dry-run", *one).stdout
    assert not (tmp_path / "three.sqlite").exists()
    assert json.loads(run("db", "copy", "--to", url, "--no-points", "--json", *one).stdout)["rows"]["files"] == 20
    assert json.loads(run("db", "compare", url, "--json", *one).stdout)["equal"]
    assert "expected a database's URL" in run("db", "copy", "--to", "somewhere", *one, code=1).stderr


def test_a_server_that_is_down_is_told_by_every_command(tmp_path: Path) -> None:
    down = config(tmp_path, f"postgresql+psycopg2://me:secret@/nothing?host={tmp_path}")
    other = config(tmp_path, f"sqlite:///{tmp_path / 'a.sqlite'}")
    for command in (("db", "info"), ("frame", "list"), ("init-database",)):
        error = run(*command, *down, code=1).stderr
        assert "is it running" in error and "secret" not in error
    run("init-database", *other)
    assert "is it running" in run("db", "copy", "--to", f"postgresql://me@/nothing?host={tmp_path}", *other, code=1).stderr
