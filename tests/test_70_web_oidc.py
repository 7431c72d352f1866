"""Logging in through OpenID Connect, against an issuer on loopback that signs what it is told to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from oidc_server import Issuer, issuer
from web_parts import PASSWORD, Web, served

from satdaemon.db import Database
from satdaemon.db.access import audit, users
from satdaemon.status import Role
from satdaemon.web.access.passwords import hashed


@pytest.fixture
def issued() -> Iterator[Issuer]:
    with issuer() as found:
        yield found


@pytest.fixture
def web(database: Database, issued: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setenv("SATDAEMON_OIDC_SECRET", "client secret")
    with served(database.settings, oidc_issuer=issued.url, oidc_client="satdaemon") as found:
        yield found


def log_in(web: Web, issued: Issuer, claims: dict[str, Any], **changed: str) -> tuple[httpx.Client, httpx.Response]:
    """To the issuer and back, as a browser goes."""
    client = web.stranger()
    away = client.get("/oidc/login", params={"next": "/frames"})
    assert away.status_code == 303, away.text
    sent = {name: values[0] for name, values in parse_qs(urlsplit(away.headers["location"]).query).items()}
    assert (sent["response_type"], sent["client_id"], sent["code_challenge_method"]) == ("code", "satdaemon", "S256")
    issued.claims = {"aud": "satdaemon", "sub": "42", "nonce": sent["nonce"], **claims}
    answer = client.get("/oidc/callback", params={"code": "abc", "state": sent["state"], **changed})
    if issued.asked:
        verifier = issued.asked["code_verifier"]
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        assert digest == sent["code_challenge"]
        assert issued.asked["client_secret"] == "client secret" and issued.asked["redirect_uri"] == sent["redirect_uri"]
    return client, answer


def test_a_user_whom_an_admin_made_logs_in(web: Web, issued: Issuer) -> None:
    assert "through your organisation" in web.stranger().get("/login").text
    users.create(web.database, "olga@example.org", Role.OPERATOR, password=None, who="the test")
    client, answer = log_in(web, issued, {"email": "olga@example.org", "email_verified": True})
    assert (answer.status_code, answer.headers["location"]) == (303, "/frames")
    assert "olga@example.org" in client.get("/").text
    _, again = log_in(web, issued, {"email": "renamed@example.org"})
    assert again.status_code == 303, "known by the subject from now on"
    _, other = log_in(web, issued, {"email": "olga@example.org", "sub": "43"})
    assert other.status_code in (400, 403), "the name belongs to another subject"
    users.change(web.database, "olga@example.org", disabled=True)
    assert log_in(web, issued, {})[1].status_code == 403


def test_strangers_stay_out_unless_they_may_become_viewers(web: Web, issued: Issuer, database: Database) -> None:
    _, answer = log_in(web, issued, {"email": "new@example.org"})
    assert answer.status_code == 403 and "ask an admin" in answer.text
    assert [e.outcome for e in audit.listing(web.database) if e.action == "login"] == ["refused"]
    with served(database.settings, oidc_issuer=issued.url, oidc_client="satdaemon", oidc_viewers=True) as open_web:
        assert log_in(open_web, issued, {"email": "new@example.org"})[1].status_code == 303
        (user,) = users.listing(open_web.database)
        assert (user.name, user.role, user.has_password) == ("new@example.org", Role.VIEWER, False)


def test_nobody_takes_over_a_user_with_a_password(web: Web, issued: Issuer) -> None:
    users.create(web.database, "anna@example.org", Role.ADMIN, password=hashed(PASSWORD), who="the test")
    _, answer = log_in(web, issued, {"email": "anna@example.org"})
    assert answer.status_code == 403 and "with a password" in answer.text
    _, unverified = log_in(web, issued, {"email": "bob@example.org", "email_verified": False})
    assert "not verified" in unverified.text
    assert "can be a user" in log_in(web, issued, {"email": "<script>"})[1].text
    assert "can be a user" in log_in(web, issued, {})[1].text


@pytest.mark.parametrize(
    "claims", [{"aud": "somebody else"}, {"nonce": "another"}, {"iss": "http://evil.example"}, {"exp": 1000}, {"sub": None}]
)
def test_a_token_for_somebody_or_sometime_else_is_refused(web: Web, issued: Issuer, claims: dict[str, Any]) -> None:
    users.create(web.database, "olga@example.org", Role.VIEWER, password=None, who="the test")
    _, answer = log_in(web, issued, {"email": "olga@example.org", **claims})
    assert answer.status_code == 403 and "not right" in answer.text


def test_a_token_by_another_key_or_none_is_refused(web: Web, issued: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    users.create(web.database, "olga@example.org", Role.VIEWER, password=None, who="the test")
    real = issued.token
    other = Issuer(key=RSAKey.generate_key(2048, {"kid": "1"}))

    def forged() -> str:
        other.url, other.claims = issued.url, issued.claims
        return other.token()

    monkeypatch.setattr(issued, "token", forged)
    assert "not right" in log_in(web, issued, {"email": "olga@example.org"})[1].text

    def unsigned() -> str:
        _, body, _ = real().split(".")
        head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        return f"{head}.{body}."

    monkeypatch.setattr(issued, "token", unsigned)
    assert "not right" in log_in(web, issued, {"email": "olga@example.org"})[1].text


def test_an_answer_that_nobody_asked_for_is_refused(web: Web, issued: Issuer) -> None:
    assert "did not ask" in web.stranger().get("/oidc/callback?code=a&state=b").text
    assert "not to this browser" in log_in(web, issued, {"email": "a@b.org"}, state="other")[1].text
    assert "access_denied" in log_in(web, issued, {}, error="access_denied")[1].text


def test_an_issuer_that_fails_is_said(web: Web, issued: Issuer, database: Database) -> None:
    issued.is_broken = True
    assert "does not answer as it should" in web.stranger().get("/oidc/login").text
    with served(database.settings) as without:
        assert "not set up" in without.stranger().get("/oidc/login").text
        assert "organisation" not in without.stranger().get("/login").text
