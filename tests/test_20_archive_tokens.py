"""Tokens: renewed in time and after a refusal, shared by threads, and never asked for in a storm."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from unruly_server import Unruly, unruly

from satdaemon.archive import logins
from satdaemon.archive.answers import retry_after_s
from satdaemon.archive.connections import Patience
from satdaemon.archive.credentials import Credentials
from satdaemon.archive.http import Bearer, get
from satdaemon.archive.logins import EarthdataLogin, PasswordGrant, tokens_of
from satdaemon.archive.secrets import Secret
from satdaemon.archive.tokens import FixedToken
from satdaemon.errors import ArchiveError, CredentialsError, Throttled

LOGIN = Credentials("cdse", "CDSE_USERNAME and CDSE_PASSWORD in the environment", "me", Secret("right-password"))
FIXED = Credentials("asf", "EARTHDATA_TOKEN in the environment", token=Secret("fixed-token-1"))
SOON = Patience(5, 5)


@pytest.fixture
def site() -> Iterator[Unruly]:
    with unruly() as site:
        site.logins["me"] = "right-password"
        yield site


def grant(site: Unruly, credentials: Credentials = LOGIN) -> PasswordGrant:
    return PasswordGrant(credentials, f"{site.url}/token", (site.host,), patience=SOON)


def forms(site: Unruly) -> list[str]:
    return [r.form.get("grant_type", "") for r in site.seen]


def test_one_login_serves_until_the_token_is_about_to_expire(site: Unruly) -> None:
    tokens = grant(site)
    assert tokens.bearer() == tokens.bearer()
    assert tokens.bearer().token.reveal().startswith("access-1-")
    assert site.seen[0].form["client_id"] == "cdse-public" and forms(site) == ["password"]


def test_an_expired_token_is_renewed_by_the_refresh_token(site: Unruly, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(logins.time, "monotonic", lambda: now[0])
    tokens = grant(site)
    first = tokens.bearer()
    now[0] += 569
    assert tokens.bearer() == first
    now[0] += 2
    assert tokens.bearer() != first, "before it expires"
    assert site.seen[-1].form["refresh_token"].startswith("refresh-1-") and forms(site) == ["password", "refresh_token"]
    now[0] += 7200
    tokens.bearer()
    assert forms(site)[2:] == ["password"], "the refresh token has expired too"


def test_a_refused_refresh_token_means_a_new_login(site: Unruly) -> None:
    tokens = grant(site)
    first = tokens.bearer()
    site.refresh_lives = False
    assert tokens.renewed(first) != first
    assert forms(site) == ["password", "refresh_token", "password"]


def test_threads_that_are_refused_together_log_in_once(site: Unruly) -> None:
    tokens = grant(site)
    old = tokens.bearer()
    got: list[Bearer] = []
    threads = [threading.Thread(target=lambda: got.append(tokens.renewed(old))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16 and len(set(got)) == 1 and got[0] != old
    assert forms(site) == ["password", "refresh_token"]


def test_a_refused_login_says_which_and_is_not_repeated(site: Unruly) -> None:
    tokens = grant(site, Credentials("cdse", "/home/me/.netrc", "me", Secret("wr0ng/password")))
    for _ in range(20):
        with pytest.raises(CredentialsError) as caught:
            tokens.bearer()
        message = str(caught.value)
        assert message.startswith("cdse: the credentials of /home/me/.netrc are refused") and "401" in message
        assert "Invalid user credentials" in message and "wr0ng" not in message
    assert len(site.seen) == 1


def test_a_login_that_is_down_or_busy_may_pass(site: Unruly) -> None:
    site.faults.extend(["500", "429 7"])
    tokens = grant(site)
    with pytest.raises(ArchiveError, match="got 500 Internal Server Error"):
        tokens.bearer()
    with pytest.raises(Throttled) as caught:
        tokens.bearer()
    assert caught.value.retry_after_s == 7
    assert tokens.bearer()
    gone = PasswordGrant(LOGIN, "http://127.0.0.1:9/token", patience=SOON)
    with pytest.raises(ArchiveError, match="the connection fails"):
        gone.bearer()


def test_a_session_is_ended_when_it_is_no_longer_needed(site: Unruly) -> None:
    tokens = grant(site)
    assert tokens.end() == "" and site.seen == []
    first = tokens.bearer()
    assert tokens.end() == "" and site.seen[-1].path == "/logout"
    assert site.seen[-1].form["refresh_token"].startswith("refresh-1")
    assert tokens.bearer() != first and forms(site)[-1] == "password"
    site.faults.append("500")
    assert tokens.end().startswith("cdse: logout: 500 busy")


def test_a_login_that_answers_with_a_page(site: Unruly) -> None:
    site.faults.append("200")
    with pytest.raises(ArchiveError, match="expected an object in JSON"):
        grant(site).bearer()


def test_earthdata_makes_a_token_of_a_login(site: Unruly) -> None:
    tokens = EarthdataLogin(
        Credentials("asf", "netrc", "me", Secret("right-password")), f"{site.url}/api/users/find_or_create_token", (site.host,)
    )
    first = tokens.bearer()
    assert first.token.reveal().startswith("access-1") and site.seen[0].authorization.startswith("Basic ")
    assert tokens.renewed(first) != first


def test_a_fixed_token_that_is_given_up_says_how_to_make_another() -> None:
    tokens = FixedToken(FIXED)
    assert tokens.renewed(tokens.bearer()) == tokens.bearer(), "there is no other"
    message = str(tokens.give_up("got 401 for fixed-token-1"))
    assert message.startswith("asf: the credentials of EARTHDATA_TOKEN in the environment are refused: got 401 for ***")
    assert "make a new one at https://urs.earthdata.nasa.gov" in message
    with pytest.raises(CredentialsError):
        tokens.bearer()


def test_the_kind_follows_from_the_credentials() -> None:
    assert isinstance(tokens_of(FIXED), FixedToken)
    assert isinstance(tokens_of(LOGIN), PasswordGrant)
    assert isinstance(tokens_of(Credentials("asf", "", "me", Secret("pass"))), EarthdataLogin)


@pytest.mark.parametrize(
    ("url", "is_for"),
    [
        ("https://datapool.asf.alaska.edu/x", True),
        ("https://asf.alaska.edu:443/x", True),
        ("http://datapool.asf.alaska.edu/x", False),
        ("https://datapool.asf.alaska.edu:8443/x", False),
        ("https://evil-asf.alaska.edu.example.org/x", False),
        ("https://notasf.alaska.edu/x", False),
        ("http://127.0.0.1:8001/x", True),
        ("http://127.0.0.1:8002/x", False),
        ("http://localhost:8001/x", False),
    ],
)
def test_who_may_see_a_token(url: str, is_for: bool) -> None:
    assert Bearer(Secret("token-x"), ("asf.alaska.edu", "127.0.0.1:8001")).is_for(url) is is_for


def test_a_token_with_a_line_break_is_not_quoted(site: Unruly) -> None:
    bearer = Bearer(Secret("hid\nden-token"), (site.host,))
    with pytest.raises(CredentialsError, match="expected a token of letters") as caught:
        get(f"{site.url}/x", SOON, bearer=bearer)
    assert "den-token" not in str(caught.value) and site.seen == []


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("120", 120), ("0", 0), ("1.5", 1.5), ("-3", 0), ("1e9", 86400), ("nan", None), ("soon", None), ("", None), (None, None)],
)
def test_retry_after(text: str | None, wait_s: float | None) -> None:
    assert retry_after_s(text) == wait_s


def test_retry_after_as_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_s("Thu, 01 Jan 2026 00:02:00 GMT", now) == 120
    assert retry_after_s("Wed, 31 Dec 2025 00:02:00 GMT", now) == 0
