"""Who gets in, and what each role may do: every route, on a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount
from web_parts import PASSWORD, Web, csrf_of, field_of, served, submit_login

from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.access import attempts, audit, tokens, users
from satdaemon.db.models import AuditEntry, WebSession
from satdaemon.errors import RequestError
from satdaemon.status import Role
from satdaemon.web.access.guard import READS, needed_role
from satdaemon.web.access.login import safe_next
from satdaemon.web.access.passwords import hashed, is_right
from satdaemon.web.app import create_app

OPEN = {("GET", "/login"), ("POST", "/login"), ("GET", "/oidc/login"), ("GET", "/oidc/callback")}
VALUES = {
    "frame_id": "132A_DEMO", "job_id": "1", "token_id": "1", "name": "pause", "of": "frame", "target": "132A_DEMO",
    "day": "2023-01-01", "day2": "2023-01-13", "z": "5", "x": "16", "y": "10", "version": "1", "key": "20230101",
    "product_id": "1",
}  # fmt: skip


@pytest.fixture
def web(database: Database) -> Iterator[Web]:
    with served(database.settings) as found:
        yield found


def routes(settings: Settings) -> list[tuple[str, str, APIRoute]]:
    """Every route: method, address with values, itself."""
    app = create_app(settings)
    found = []
    for route in all_routes(app.routes):
        path = route.path
        for name, value in VALUES.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, f"{route.path}: give its parameter a value in VALUES"
        found += [(method, path, route) for method in sorted(route.methods or ())]
    app.state.satdaemon.database.close()
    return found


def all_routes(given: list[BaseRoute]) -> Iterator[APIRoute]:
    """Those of included routers too. Nothing else may stand beside them but our own files."""
    for route in given:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(route, Mount):
            assert route.path == "/static"
        else:
            yield from all_routes(list(route.original_router.routes))  # type: ignore[attr-defined]


def test_no_route_is_open_but_those_that_have_to_be(database: Database) -> None:
    found = routes(database.settings)
    assert len(found) > 20
    assert {(method, route.path) for method, _, route in found if needed_role(route.endpoint, method) is None} == OPEN
    for method, path, route in found:
        if method not in READS and (method, route.path) not in OPEN:
            assert needed_role(route.endpoint, method) is not None, f"{method} {path}"


def test_a_stranger_sees_nothing_and_changes_nothing(web: Web) -> None:
    client = web.stranger()
    for method, path, route in routes(web.database.settings):
        if (method, route.path) in OPEN:
            continue
        answer = client.request(method, path)
        if method in READS and not path.startswith(("/api/", "/stac")):
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login"), path
        else:
            assert answer.status_code == 401, f"{method} {path}: {answer.text}"
    assert client.get("/static/style.css").status_code == 200
    assert client.get("/static/../app.py").status_code == 404


def test_every_change_refuses_a_viewer_and_a_form_that_is_not_of_the_login(web: Web) -> None:
    viewer, admin = web.user(Role.VIEWER), web.user(Role.ADMIN)
    own = csrf_of(viewer)
    tried = 0
    for method, path, route in routes(web.database.settings):
        if method in READS or (method, route.path) in OPEN:
            continue
        tried += 1
        if needed_role(route.endpoint, method) is not Role.VIEWER:
            assert viewer.request(method, path, data={"csrf": own}).status_code == 403, f"viewer {method} {path}"
        for forged in ({}, {"csrf": "x" * 43}, {"csrf": own}):
            assert admin.request(method, path, data=forged).status_code == 403, f"{forged} {method} {path}"
        headers = {"X-CSRF-Token": csrf_of(admin), "Sec-Fetch-Site": "cross-site"}
        assert admin.request(method, path, headers=headers).status_code == 403, f"cross-site {method} {path}"
        headers = {"X-CSRF-Token": csrf_of(admin), "Origin": "http://evil.example"}
        assert admin.request(method, path, headers=headers).status_code == 403, f"origin {method} {path}"
    assert tried >= 8
    refusals = [entry for entry in audit.listing(web.database, most=1000) if entry.outcome == audit.REFUSED]
    assert {entry.who for entry in refusals} == {"viewer1", "admin1"}


def test_readers_of_each_role_see_what_is_theirs(web: Web) -> None:
    for role in Role:
        client = web.user(role)
        for method, path, route in routes(web.database.settings):
            if method != "GET" or (method, route.path) in OPEN:
                continue
            needed = needed_role(route.endpoint, method)
            assert needed is not None
            status = client.get(path).status_code
            assert status == 403 if not role.may(needed) else status in (200, 400, 404, 422), f"{role} {path}: {status}"


def test_logging_in_and_out(web: Web) -> None:
    web.user(Role.OPERATOR, "olga")
    client = web.stranger()
    assert submit_login(client, "olga", "wrong").status_code == 401
    assert submit_login(client, "nobody", PASSWORD).status_code == 401
    answer = submit_login(client, "olga", PASSWORD, then="/frames?q=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/frames?q=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert "olga" in client.get("/").text
    value = client.cookies["satdaemon"]
    assert web.database.query(WebSession, id=value) == [], "only the digest is kept"
    assert client.post("/logout", data={"csrf": csrf_of(client)}).status_code == 303
    client.cookies.set("satdaemon", value)
    assert client.get("/").status_code == 303, "the login is over on the server too"
    done = [(entry.action, entry.outcome) for entry in audit.listing(web.database) if entry.who == "olga"]
    assert done[0] == ("logout", "done") and ("login", "refused") in done


def test_a_login_form_of_somebody_else_is_refused(web: Web) -> None:
    web.user(Role.VIEWER, "vera")
    token = field_of(web.stranger().get("/login").text, "token")
    client = web.stranger()
    data = {"token": token, "name": "vera", "password": PASSWORD, "next": "/"}
    assert client.post("/login", data=data).status_code == 403, "no cookie of the form"
    client.get("/login")
    assert client.post("/login", data=data).status_code == 403, "another form's"


@pytest.mark.parametrize(
    "there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", ""]
)
def test_nobody_is_sent_elsewhere_after_the_login(there: str) -> None:
    assert safe_next(there) == "/"


def test_too_many_tries_have_to_wait(database: Database) -> None:
    with served(database.settings, login_tries=3) as web:
        web.user(Role.VIEWER, "vera")
        client = web.stranger()
        assert [submit_login(client, "vera", "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert submit_login(client, "vera", PASSWORD).status_code == 429, "the right one too"
        assert attempts.most(web.database, ["name vera"]) == 3


def test_a_login_ends_by_time_and_by_the_switch(database: Database) -> None:
    with served(database.settings, session_h=0.1) as web:
        client = web.user(Role.VIEWER, "vera")
        assert client.get("/").status_code == 200
        (row,) = web.database.query(WebSession)
        web.database.update(WebSession, {"expires_utc": row.created_utc}, id=row.id)
        time.sleep(0.01)
        assert client.get("/").status_code == 303
        client = web.log_in("vera")
        users.change(web.database, "vera", disabled=True)
        assert client.get("/").status_code == 303
        assert submit_login(web.stranger(), "vera", PASSWORD).status_code == 401


def test_a_public_site_is_read_by_all_and_changed_by_nobody(database: Database) -> None:
    with served(database.settings, public=True) as web:
        client = web.stranger()
        assert client.get("/").status_code == 200
        assert client.get("/frames").status_code == 200
        assert client.get("/users").status_code == 403
        assert client.post("/do/daemon/pause").status_code in (401, 403)
        assert client.get("/account").status_code == 404


def test_tokens_act_for_their_user_and_no_further(web: Web) -> None:
    web.user(Role.OPERATOR, "olga")
    value = tokens.create(web.database, "olga", "a script", Role.OPERATOR, None)
    read_only = tokens.create(web.database, "olga", "a screen", Role.VIEWER, 3600.0)
    client = web.stranger()

    def with_token(token: str, method: str = "GET", path: str = "/frames") -> httpx.Response:
        return client.request(method, path, headers={"Authorization": f"Bearer {token}"})

    assert with_token(value).status_code == 200
    assert with_token(value, "POST", "/do/daemon/pause").status_code == 303, "no form, no CSRF"
    assert with_token(read_only, "POST", "/do/daemon/resume").status_code == 403
    assert with_token(value + "x").status_code in (303, 401)
    users.change(web.database, "olga", role=Role.VIEWER)
    assert with_token(value, "POST", "/do/daemon/resume").status_code == 403, "the user's role counts too"
    (first, _) = tokens.listing(web.database, "olga")
    assert first.used_utc is not None
    tokens.revoke(web.database, first.id)
    assert with_token(value).status_code in (303, 401)
    with pytest.raises(RequestError, match="at most the role of olga"):
        tokens.create(web.database, "olga", "more", Role.ADMIN, None)


def test_the_account_page_changes_the_password_and_makes_tokens(web: Web) -> None:
    client = web.user(Role.VIEWER, "vera")
    csrf = csrf_of(client)
    wrong = {"csrf": csrf, "old": "wrong", "new": "another password", "again": "another password"}
    assert client.post("/account/password", data=wrong).status_code == 400
    assert "12 to 200" in client.post("/account/password", data={**wrong, "old": PASSWORD, "new": "a", "again": "a"}).text
    other = web.log_in("vera")
    assert client.post("/account/password", data={**wrong, "old": PASSWORD}).status_code == 303
    assert client.get("/").status_code == 200, "this login goes on"
    assert other.get("/").status_code == 303, "the others ended"
    made = client.post("/account/tokens", data={"csrf": csrf_of(client), "name": "qgis", "role": "viewer", "days": "30"})
    value = made.text.split('id="made">')[1].split("<")[0]
    assert web.stranger().get("/frames", headers={"Authorization": f"Bearer {value}"}).status_code == 200
    too_much = client.post("/account/tokens", data={"csrf": csrf_of(client), "name": "x", "role": "admin"})
    assert too_much.status_code == 400


def test_users_are_made_and_changed_by_admins_and_one_admin_stays(web: Web) -> None:
    admin = web.user(Role.ADMIN)
    csrf = csrf_of(admin)
    new = {"csrf": csrf, "name": "olga", "role": "operator", "password": PASSWORD}
    assert admin.post("/users", data=new).status_code == 303
    assert "taken" in admin.post("/users", data=new).text
    assert "expected a name" in admin.post("/users", data={**new, "name": "<b>"}).text
    assert web.log_in("olga").get("/").status_code == 200
    assert admin.post("/users/olga", data={"csrf": csrf, "disabled": "true"}).status_code == 303
    assert "last one" in admin.post("/users/admin1", data={"csrf": csrf, "role": "viewer"}).text
    assert "&lt;b&gt;" in admin.post("/users", data={**new, "name": "<b>"}).text


def test_passwords() -> None:
    kept = hashed(PASSWORD)
    assert kept.startswith("$argon2id$") and PASSWORD not in kept
    assert is_right(kept, PASSWORD) and not is_right(kept, PASSWORD + "x")
    assert not is_right(None, PASSWORD) and not is_right("no hash", PASSWORD)


def test_headers_let_nothing_in(web: Web) -> None:
    for path in ("/login", "/static/pages.js", "/nowhere"):
        headers = web.stranger().get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert headers["x-frame-options"] == "DENY"
    assert web.stranger().get("/login").headers["cache-control"] == "no-store"


def test_what_is_too_large_is_refused(web: Web) -> None:
    client = web.stranger()
    client.get("/login")
    assert client.post("/login", data={"password": "x" * 1_100_000}).status_code == 413


def test_old_records_go_with_the_events(database: Database) -> None:
    audit.record(database, "login", audit.DONE, who="anna")
    audit.record(database, "login", audit.DONE, who="otto")
    with database.session_scope() as session:
        session.query(AuditEntry).filter(AuditEntry.who == "anna").update({"at_utc": datetime(2020, 1, 1, tzinfo=UTC)})
    assert audit.prune(database) == 1
    assert [entry.who for entry in audit.listing(database)] == ["otto"]
