"""A real web server on loopback over a database, and people who log in to it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from frames_made import FRAME, make_frame, step

from deployments.services import free_port
from satdaemon.config import Settings, WebSettings
from satdaemon.db import Database, jobs, runs
from satdaemon.db.access import users
from satdaemon.db.planning import plan
from satdaemon.domain import Failure, Usage
from satdaemon.errors import Disposition
from satdaemon.status import Role
from satdaemon.web.access.passwords import hashed
from satdaemon.web.app import create_app

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Web:
    """A server that answers."""

    url: str
    database: Database
    clients: list[httpx.Client] = field(default_factory=list)

    def stranger(self) -> httpx.Client:
        """A browser of somebody who is not logged in; it follows no redirects."""
        self.clients.append(httpx.Client(base_url=self.url, timeout=30.0))
        return self.clients[-1]

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Client:
        """A browser of somebody who is."""
        client = self.stranger()
        answer = submit_login(client, name, password)
        assert answer.status_code == 303, answer.text
        return client

    def user(self, role: Role, name: str | None = None) -> httpx.Client:
        """A browser of a user of the role, who is made where there is none."""
        name = name or f"{role}1"
        if users.find(self.database, name) is None:
            users.create(self.database, name, role, password=hashed(PASSWORD), who="the test")
        return self.log_in(name)


def submit_login(client: httpx.Client, name: str, password: str, then: str = "/") -> httpx.Response:
    """Fill in the form and send it."""
    form = client.get("/login", params={"next": then}).text
    token = field_of(form, "token")
    data = {"token": token, "next": field_of(form, "next"), "name": name, "password": password}
    return client.post("/login", data=data)


def field_of(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, page
    return found.group(1)


def csrf_of(client: httpx.Client) -> str:
    """What forms of this login carry."""
    return field_of(client.get("/account").text, "csrf")


def act(client: httpx.Client, address: str, **fields: str) -> httpx.Response:
    """What the dialog's button sends."""
    return client.post(address, data={"csrf": csrf_of(client), **fields}, headers={"HX-Request": "true"})


@contextmanager
def served(settings: Settings, **web: object) -> Iterator[Web]:
    """Serve the configuration with these keys of [WEB]."""
    port = free_port("127.0.0.1")
    values = WebSettings.model_validate({"port": port, **web})
    settings = settings.model_copy(update={"web": values})
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    thread.start()
    database = Database(settings)
    web_ = Web(f"http://127.0.0.1:{port}", database)
    try:
        for _ in range(200):
            if server.started:
                break
            threading.Event().wait(0.05)
        assert server.started
        yield web_
    finally:
        for client in web_.clients:
            client.close()
        server.should_exit = True
        thread.join(10)
        database.close()


@pytest.fixture(name="web")
def failing_frame(database: Database) -> Iterator[Web]:
    """A frame of six dates; downloads done, some slc failed for two causes."""
    make_frame(database)
    step(database, product=True)
    fail_some(database)
    with served(database.settings) as found:
        yield found


def fail_some(database: Database) -> None:
    """Two jobs fail for one cause, one for another."""
    plan(database, [FRAME])
    runs.beat_frame(database, FRAME, "the test")
    grants = jobs.grant_pass(database)
    assert len(grants) >= 3
    log = database.settings.parameters.log_path / "job.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("begun\n50 %\r100 %\nended <b>badly</b>\n")
    for number, grant in enumerate(grants[:3]):
        assert jobs.start(database, grant.job_id, grant.attempt, pid=1, host="h", log_path=str(log))
        words = f"/data/{number}/x.zip: burst {number} is <script>alert(1)</script>" if number < 2 else "no pixel is left"
        failure = Failure("DataError", words, f"Traceback\n  line {number}\nDataError: {words}", Disposition.FAIL)
        assert jobs.fail(database, grant.job_id, grant.attempt, failure, Usage(1, 1, 0.1)).kind == "failed"
