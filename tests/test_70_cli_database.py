"""The database from the command line: made, migrated, refused with the reason; files listed and watched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import run
from postgres import Cluster
from simulated import zip_of
from sqlalchemy import text

from satdaemon.db.session import open_engine

BURSTS = [
    {"type": "Feature", "properties": {"burst_id": 281691 + k, "swath": "IW1", "track": 132, "passdir": "A"},
     "geometry": {"type": "Polygon", "coordinates": [[[-2, 52 + lat], [-0.7, 52 + lat], [-0.7, 52.2 + lat], [-2, 52.2 + lat],
                                                      [-2, 52 + lat]]]}}
    for k, lat in ((0, 0.0), (1, 0.18))
]  # fmt: skip


def config(folder: Path, url: str = "sqlite:///db.sqlite") -> tuple[str, Path]:
    """Options that name a configuration."""
    path = folder / "satdaemon.cfg"
    path.write_text(f"[PARAMETERS]\ndatabase = {url}\ndata_path = data\n")
    (folder / "data" / "T132").mkdir(parents=True, exist_ok=True)
    return "-d", path


def put(folder: Path, index: int) -> Path:
    path = folder / "data" / "T132" / zip_of(index).name
    shutil.copy(zip_of(index), path)
    return path


def test_init_with_a_burst_map(tmp_path: Path) -> None:
    option, burst_map = config(tmp_path), tmp_path / "bursts.geojson"
    burst_map.write_text(json.dumps({"type": "FeatureCollection", "features": [*BURSTS, BURSTS[0]]}))
    dry = run("init-database", "--burst-map", burst_map, "--dry-run", *option).stdout
    assert "would be created" in dry and "2 bursts would be added" in dry
    assert not (tmp_path / "db.sqlite").exists()
    made = run("init-database", "--burst-map", burst_map, *option).stdout
    assert "created, ready" in made and "2 bursts added" in made
    assert "left out: 1 rows: a second time in the map; the first: 132_8603_IW1" in made
    again = json.loads(run("init-database", "--burst-map", burst_map, "--json", *option).stdout)
    assert again["revision"] == again["revision_before"] == again["head"]
    assert (again["burst_map"]["added"], again["burst_map"]["known"]) == (0, 2)
    assert "no such file" in run("init-database", "--burst-map", tmp_path / "none.gpkg", *option, code=1).stderr


def test_init_refuses_a_database_of_a_newer_program(tmp_path: Path) -> None:
    option = config(tmp_path)
    run("init-database", *option)
    engine = open_engine(f"sqlite:///{tmp_path / 'db.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for arguments in (("init-database",), ("init-database", "--dry-run")):
        assert "a newer SatDaemon made them" in run(*arguments, *option, code=1).stderr
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    engine.dispose()


def test_init_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    option = config(tmp_path)
    (tmp_path / "db.sqlite").write_text("this is a diary, not a database\n" * 100)
    assert "expected an SQLite database" in run("init-database", *option, code=1).stderr
    assert (tmp_path / "db.sqlite").read_text().startswith("this is a diary")


@pytest.mark.postgis
def test_init_says_what_postgresql_lacks(tmp_path: Path, postgres_cluster: Cluster) -> None:
    nowhere = config(tmp_path, f"postgresql+psycopg2://satdaemon:secret@/x?host={tmp_path}")
    message = run("init-database", *nowhere, code=1).stderr
    assert "the server does not answer" in message and "secret" not in message
    none = config(tmp_path, postgres_cluster.url("not_there"))
    assert "createdb" in run("init-database", *none, code=1).stderr
    stranger = postgres_cluster.url("postgres").replace("satdaemon@", "stranger@")
    assert "refuses this user" in run("init-database", *config(tmp_path, stranger), code=1).stderr


@pytest.mark.postgis
def test_init_creates_postgis_where_it_may_and_else_says_the_line(tmp_path: Path, postgres_cluster: Cluster) -> None:
    with postgres_cluster.database(template=None) as url:
        name = url.split("@/")[1].split("?")[0]
        postgres_cluster.sql(f"CREATE ROLE {name}_owner LOGIN")
        postgres_cluster.sql("GRANT ALL ON SCHEMA public TO public", name)
        option = config(tmp_path, url.replace("satdaemon@", f"{name}_owner@"))
        message = run("init-database", *option, code=1).stderr.replace("\n", " ")
        assert f"psql -d {name} -c 'CREATE EXTENSION postgis'" in message
        run("init-database", *config(tmp_path, url))
        assert "ready" in run("init-database", *config(tmp_path, url)).stdout
        postgres_cluster.sql(f"REASSIGN OWNED BY {name}_owner TO satdaemon", name)
        postgres_cluster.sql(f"DROP OWNED BY {name}_owner", name)
    postgres_cluster.sql(f"DROP ROLE {name}_owner")


def test_files_are_ingested_and_listed(tmp_path: Path) -> None:
    option = config(tmp_path)
    run("init-database", *option)
    path = put(tmp_path, 0)
    (path.parent / "holiday.zip").write_bytes(b"no zip at all")
    os.utime(path.parent / "holiday.zip", (1e9, 1e9))
    told = run("ingest-files", *option).stdout
    assert "1 added" in told and "bad: " in told and "holiday.zip" in told
    for command in ("files", "status"):
        assert "1 files cannot be used: satdaemon files --bad" in run(command, *option).stdout
    listed = json.loads(run("files", "--track", "132", "--json", *option).stdout)
    assert [(row["id"], row["state"]) for row in listed] == [(path.stem, "on_disk")]
    (bad,) = json.loads(run("files", "--bad", "--json", *option).stdout)
    assert bad["path"].endswith("holiday.zip") and "not a complete zip" in bad["reason"]
    assert "not a complete zip" in " ".join(run("files", "--bad", *option).stdout.split())
    assert "no such files" in run("files", "--track", "7", *option).stdout
    shutil.rmtree(tmp_path / "data" / "T132")
    assert "is the disk mounted" in run("ingest-files", *option, code=1).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_goes_on_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    option = config(tmp_path)
    run("init-database", *option)
    argv = [sys.executable, "-m", "satdaemon.cli", "ingest-files", "--watch", "--interval", "0.2", *map(str, option)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        put(tmp_path, 0)
        assert process.stdout.readline().startswith("1 added")
        put(tmp_path, 1)
        assert process.stdout.readline().startswith("1 added")
        process.send_signal(number)
        began = time.monotonic()
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "") and "Traceback" not in err
        assert time.monotonic() - began < 20
    assert len(json.loads(run("files", "--json", *option).stdout)) == 2
