"""`satdaemon notify`, as an operator uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from receiver import Receiver
from typer.testing import CliRunner

from satdaemon.cli import application as cli
from satdaemon.config import load
from satdaemon.db import Database, init_database, messages
from satdaemon.db.messages import News
from satdaemon.errors import ConfigError
from satdaemon.messages import send

SECRET = "hidden-0123456789"


def run(config: Path, *words: str, code: int = 0) -> str:
    """What the command prints."""
    cli.load_commands()
    done = CliRunner().invoke(cli.app, ["notify", *words, "-d", str(config)], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    """Two addresses: the first is down."""
    dead = Receiver()
    dead.close()
    lines = ["[PARAMETERS]", "database = sqlite:///satdaemon.sqlite", "[NOTIFY]", "group_s = 0", "level = info"]
    lines += [f"urls = json://me:{SECRET}@127.0.0.1:{dead.port}/{SECRET}?sig={SECRET}, {receiver.url}/{SECRET}"]
    path = tmp_path / "satdaemon.cfg"
    path.write_text("\n".join([*lines, ""]))
    init_database(load(path)).close()
    return path


def test_test_tells_every_address_and_which_took_it(config: Path, receiver: Receiver) -> None:
    shown = run(config, "test", code=1)
    assert "1: json://me:****@127.0.0.1:" in shown and "NOT TAKEN: A Connection error" in shown
    assert f"2: json://127.0.0.1:{receiver.port}  taken" in shown
    assert receiver.titles == ["[test] SatDaemon"]
    assert [row["taken"] for row in json.loads(run(config, "test", "--json", code=1))] == [False, True]
    config.write_text(config.read_text().replace("urls = ", "urls =\n#"))
    with pytest.raises(ConfigError, match="expected at least one address"):
        run(config, "test")


def test_list_shows_the_outbox_and_how_the_addresses_fare(config: Path, receiver: Receiver) -> None:
    assert "no messages" in run(config, "list") and "not used yet" in run(config, "list")
    database = Database(load(config))
    with database.session_scope() as session:
        for _ in range(3):
            messages.add(session, News("job", "c", "slc failed [x]", "words", "error", "132A_X"))
    assert "open" in run(config, "list")
    send(database)
    shown = run(config, "list")
    assert "slc failed [x]" in shown and "ready, tried 1 times" in " ".join(shown.split())
    assert "failed 1 times: A Connection error" in shown and "last taken 20" in shown
    found = json.loads(run(config, "list", "--json"))
    (message,) = found["messages"]
    assert (message["count"], message["state"], message["frame_id"]) == (3, "ready", "132A_X")
    assert [address["failures"] for address in found["addresses"]] == [1, 0]
    everything = "".join([shown, json.dumps(found), run(config, "list", "--all"), database_text(config)])
    assert "hidden" not in everything


def database_text(config: Path) -> str:
    return (config.parent / "satdaemon.sqlite").read_bytes().decode(errors="replace")
