"""The controller as a part of the system, and its users from the command line."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from commands import run
from engine_parts import make_frame, make_settings, until

from deployments.parts import KINDS, all_parts
from deployments.services import free_port
from satdaemon.config import Settings, load
from satdaemon.db import parts


def site(place: Path) -> tuple[Settings, str]:
    """A configuration whose controller has a free port; its address."""
    settings = make_settings(place, machines=1)
    assert settings.source is not None
    port = free_port("127.0.0.1")
    settings.source.write_text(settings.source.read_text().replace("start = no", f"start = yes\nport = {port}"))
    return load(settings.source), f"http://127.0.0.1:{port}"


def test_up_has_the_controller_unless_it_is_told_not_to(tmp_path: Path) -> None:
    settings, address = site(tmp_path)
    (part,) = [part for part in all_parts(settings, tmp_path / "forks") if part.kind == "web"]
    assert part.note == address and list(KINDS)[-1] == "web"
    off = settings.model_copy(update={"web": settings.web.model_copy(update={"start": False})})
    assert [part.kind for part in all_parts(off, tmp_path / "forks")].count("web") == 0


@pytest.mark.slow
def test_the_controller_is_a_service_of_its_own(tmp_path: Path) -> None:
    settings, address = site(tmp_path)
    database = make_frame(settings, dates=1)
    process = subprocess.Popen([sys.executable, "-m", "deployments.up", "-d", str(settings.source), "--only", "web"])

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/login", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(answers, 60.0, "the controller")
        until(lambda: [(p.name, p.state) for p in parts.live(database)] == [("web", "up")], 30.0, "its claim")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not answers()
    database.close()


def test_users_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = site(tmp_path)
    make_frame(settings, dates=1).close()
    config = ("-d", settings.source or "")
    monkeypatch.setenv("SATDAEMON_WEB_PASSWORD", "correct horse battery")
    assert "anna may log in as admin" in run("web", "create-admin", "anna", *config).stdout
    assert "taken" in run("web", "create-admin", "anna", *config, code=1).stderr
    assert "vera may log in as viewer" in run("web", "create-user", "vera", *config).stdout
    found = json.loads(run("web", "users", "--json", *config).stdout)
    assert [(user["name"], user["role"], user["has_password"]) for user in found] == [
        ("anna", "admin", True), ("vera", "viewer", True)]  # fmt: skip
    assert "never" in run("web", "users", *config).stdout
    monkeypatch.setenv("SATDAEMON_WEB_PASSWORD", "short")
    assert "12 to 200" in run("web", "password", "vera", *config, code=1).stderr
    monkeypatch.setenv("SATDAEMON_WEB_PASSWORD", "another long password")
    assert "new password" in run("web", "password", "vera", *config).stdout
    assert "expected a user that there is" in run("web", "password", "nobody", *config, code=1).stderr
    monkeypatch.delenv("SATDAEMON_WEB_PASSWORD")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert "expected it in $SATDAEMON_WEB_PASSWORD" in run("web", "create-admin", "otto", *config, code=1).stderr
