"""The API: what programs get, that it is what its description says, and that nothing breaks it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from frames_made import FRAME, days, make_frame, step
from web_parts import Web, served

from satdaemon.db import Database, Frame, Machine, daemon
from satdaemon.db.access import tokens
from satdaemon.status import Role

DAYS = days(6)


@pytest.fixture
def web(database: Database) -> Iterator[Web]:
    make_frame(database)
    step(database, product=True)
    with served(database.settings) as found:
        yield found


def program(web: Web, role: Role) -> httpx.Client:
    """A program with a token of a user of the role."""
    web.user(role)
    client = web.stranger()
    client.headers["Authorization"] = f"Bearer {tokens.create(web.database, f'{role}1', 'a program', role, None)}"
    return client


def test_programs_read_what_pages_show(web: Web) -> None:
    client = program(web, Role.VIEWER)
    seen = client.get("/api/overview").json()
    assert (seen["frames"], seen["frames_on"], seen["daemon"]["command"]) == (1, 1, "run")
    page = client.get("/api/frames", params={"q": "TEST"}).json()
    assert (page["total"], page["items"][0]["frame"]["id"]) == (1, FRAME)
    assert client.get(f"/api/frames/{FRAME}").json()["dates"] == 6
    rows = client.get(f"/api/frames/{FRAME}/rows", params={"state": "done", "current": "false", "limit": 2}).json()
    assert rows["total"] >= 6 and len(rows["items"]) == 2 and rows["items"][0]["stage"] == "download"
    assert [d["date"] for d in client.get(f"/api/frames/{FRAME}/dates").json()] == [str(day) for day in DAYS]
    network = client.get(f"/api/frames/{FRAME}/network").json()
    assert len(network["nodes"]) == 6 and network["edges"]
    one = client.get(f"/api/frames/{FRAME}/dates/{DAYS[0]}").json()
    assert one["products"][0]["stage"] == "download" and len(one["products"][0]["fingerprint"]) == 64
    assert one["scenes"][0]["id"].startswith("S1A_IW_SLC")
    assert client.get(f"/api/frames/{FRAME}/pairs/{DAYS[0]}/{DAYS[1]}").json()["entries"]
    assert client.get("/api/throughput").json()[0]["stage"] == "download"
    assert {m["name"] for m in client.get("/api/machines").json()} == {m.name for m in web.database.query(Machine)}
    of_frame = [f"frames/{FRAME}/{what}" for what in ("costs", "rate", "history", "latency", "products", "summary")]
    for path in ("jobs", "failures", "history", "actions", *of_frame):
        assert client.get(f"/api/{path}").status_code == 200, path
    missing = client.get("/api/frames/132A_NONE/dates")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/json")
    assert "none of the name" in missing.json()["detail"]
    assert client.get("/api/audit").status_code == 403
    assert web.stranger().get("/api/overview").json()["detail"].startswith("expected a login")


def test_programs_do_what_people_do(web: Web) -> None:
    client = program(web, Role.OPERATOR)
    done = client.post(f"/api/actions/frame/{FRAME}/priority", json={"values": {"priority": 9}})
    assert done.json() == {"done": f"{FRAME} has priority 9"}
    assert web.database.query(Frame)[0].priority == 9
    assert client.post("/api/actions/daemon/daemon/pause", json={}).status_code == 200
    assert daemon.read(web.database).command == "pause"
    wrong = client.post(f"/api/actions/frame/{FRAME}/priority", json={"values": {}})
    assert (wrong.status_code, wrong.json()["detail"]) == (400, "priority: expected priority, got nothing")
    assert client.post("/api/actions/frame/x/explode", json={}).status_code == 404
    assert client.post("/api/actions/daemon/daemon/power-down", json={}).status_code == 403
    assert program(web, Role.VIEWER).post("/api/actions/daemon/daemon/resume", json={}).status_code == 403
    master = client.post(f"/api/actions/frame/{FRAME}/master", json={"values": {"date": str(DAYS[1])}})
    assert master.status_code in (200, 409)


@pytest.mark.slow
def test_nothing_that_is_sent_breaks_it_and_answers_are_as_described(web: Web) -> None:
    client = program(web, Role.ADMIN)
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{web.url}/api/openapi.json", "--seed", "7", "--max-examples", "12",
        "--header", f"Authorization: {client.headers['Authorization']}", "--phases", "examples,coverage,fuzzing",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--suppress-health-check", "all", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "/api/actions" in done.stdout or "passed" in done.stdout.lower()
