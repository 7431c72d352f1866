"""Credentials: where they are found, what is refused, and that nothing shows them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from satdaemon.archive.credentials import Credentials, credentials_of
from satdaemon.archive.secrets import Secret, redacted
from satdaemon.errors import ConfigError, CredentialsError

PASSWORD = "p&ss wörd/7=x"


@pytest.fixture
def nothing(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def netrc_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / ".netrc"
    path.write_text(text)
    path.chmod(mode)
    return path


def shown(*values: object) -> str:
    parts = [form(v) for v in values for form in (repr, str, "{}".format, "{!r:>90}".format)]
    return " ".join([*parts, *(f"{v}" for v in values), *("%s %r" % (v, v) for v in values)])  # noqa: UP031


# where from


def test_a_token_from_the_environment_comes_first(nothing: dict[str, str], tmp_path: Path) -> None:
    netrc_file(tmp_path, "machine urs.earthdata.nasa.gov login me password other\n")
    got = credentials_of("asf", {**nothing, "EARTHDATA_TOKEN": " tok-12345 ", "EARTHDATA_USERNAME": "me"})
    assert got.token == Secret("tok-12345") and got.password is None
    assert got.source == "EARTHDATA_TOKEN in the environment"


@pytest.mark.parametrize(("archive", "prefix"), [("asf", "EARTHDATA"), ("cdse", "CDSE")])
def test_a_login_from_the_environment(nothing: dict[str, str], archive: str, prefix: str) -> None:
    got = credentials_of(archive, {**nothing, f"{prefix}_USERNAME": "me", f"{prefix}_PASSWORD": PASSWORD})
    assert (got.username, got.password, got.token) == ("me", Secret(PASSWORD), None)
    with pytest.raises(CredentialsError, match=f"got only {prefix}_USERNAME; set both"):
        credentials_of(archive, {**nothing, f"{prefix}_USERNAME": "me", f"{prefix}_PASSWORD": ""})


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", "of-the-process")
    assert credentials_of("asf").token == Secret("of-the-process")


def test_netrc_at_its_place_or_where_NETRC_says(nothing: dict[str, str], tmp_path: Path) -> None:
    text = "machine identity.dataspace.copernicus.eu login me@x.org password s3cr3t!\n"
    path = netrc_file(tmp_path, text)
    got = credentials_of("cdse", nothing)
    assert (got.username, got.password, got.source) == (
        "me@x.org",
        Secret("s3cr3t!"),
        f"{path} (identity.dataspace.copernicus.eu)",
    )
    elsewhere = path.rename(tmp_path / "logins")
    assert credentials_of("cdse", {**nothing, "NETRC": str(elsewhere)}).username == "me@x.org"


def test_netrc_entries_of_others_and_the_default_are_left_alone(nothing: dict[str, str], tmp_path: Path) -> None:
    netrc_file(tmp_path, "machine example.org login a password b\ndefault login anonymous password guest\n")
    with pytest.raises(CredentialsError, match="expected credentials, found none"):
        credentials_of("asf", nothing)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_netrc_that_others_may_read_is_refused(nothing: dict[str, str], tmp_path: Path, mode: int) -> None:
    path = netrc_file(tmp_path, "machine urs.earthdata.nasa.gov login me password hidden-1\n", mode)
    with pytest.raises(CredentialsError) as caught:
        credentials_of("asf", nothing)
    assert f"expected a file that its owner alone may read, got mode {mode:o}; chmod 600 {path}" in str(caught.value)
    assert "hidden-1" not in str(caught.value)


def test_a_netrc_of_another_format_is_not_quoted(nothing: dict[str, str], tmp_path: Path) -> None:
    netrc_file(tmp_path, "machine urs.earthdata.nasa.gov\nlogin me\nTopSecretWord\n")
    with pytest.raises(CredentialsError, match=r"about line [34]: expected netrc's format") as caught:
        credentials_of("asf", nothing)
    assert "TopSecretWord" not in str(caught.value) and caught.value.__suppress_context__
    netrc_file(tmp_path, "machine urs.earthdata.nasa.gov login me\n")
    with pytest.raises(CredentialsError, match="got only one; give both"):
        credentials_of("asf", nothing)


def test_none_says_every_way_to_give_them(nothing: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(CredentialsError) as caught:
        credentials_of("asf", nothing)
    for words in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "urs.earthdata.nasa.gov", str(tmp_path / ".netrc"), "keyring"):
        assert words in str(caught.value)
    with pytest.raises(ConfigError, match="expected an archive with an account"):
        credentials_of("elsewhere", nothing)


@pytest.fixture
def keyring_backend() -> Iterator[dict[tuple[str, str], str]]:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.credentials import SimpleCredential
    from keyring.errors import KeyringLocked

    held: dict[tuple[str, str], str] = {}

    class InMemory(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service, username):
            return held.get((service, username))

        def set_password(self, service, username, password):
            held[service, username] = password

        def get_credential(self, service, username):
            if ("locked", "") in held:
                raise KeyringLocked("Bearer abcdefghijkl is locked")
            return next((SimpleCredential(u, p) for (s, u), p in held.items() if s == service), None)

    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    yield held
    keyring.set_keyring(before)


def test_the_keyring_comes_last(nothing: dict[str, str], tmp_path: Path, keyring_backend) -> None:
    keyring_backend["urs.earthdata.nasa.gov", "me"] = "of-the-keyring"
    got = credentials_of("asf", nothing)
    assert (got.username, got.password) == ("me", Secret("of-the-keyring"))
    assert got.source == "the keyring (urs.earthdata.nasa.gov)"
    netrc_file(tmp_path, "machine urs.earthdata.nasa.gov login me password of-netrc\n")
    assert credentials_of("asf", nothing).password == Secret("of-netrc")


def test_a_locked_keyring_says_so(nothing: dict[str, str], keyring_backend) -> None:
    keyring_backend["locked", ""] = ""
    with pytest.raises(CredentialsError, match="the keyring does not open") as caught:
        credentials_of("asf", nothing)
    assert "abcdefghijkl" not in str(caught.value)


# never shown


def test_a_secret_is_in_no_text_of_it() -> None:
    secret = Secret(PASSWORD)
    held = Credentials("cdse", "here", "me", secret, Secret("tok-abcdef"))
    text = shown(secret, held, [secret], {"x": secret}, asdict(held)) + json.dumps([secret], default=str)
    assert PASSWORD not in text and "tok-abcdef" not in text and "***" in text
    for dump in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as caught:
            dump(held if dump is pickle.dumps else secret)
        assert PASSWORD not in str(caught.value)
    assert copy.deepcopy(secret) is secret and secret.reveal() == PASSWORD
    assert secret == Secret(PASSWORD) != Secret("other") and not Secret("")
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        ("Authorization: Bearer abc.DEF-123_x~+/=", "abc.DEF", "Authorization: Bearer ***"),
        ("authorization: basic bWU6c2VjcmV0", "bWU6", "basic ***"),
        ("see https://me:pa-55@host.org/x for it", "pa-55", "https://***@host.org/x"),
        ("http://x.org/a.zip?X-Amz-Signature=0f3&X-Amz-Date=1", "0f3", "http://x.org/a.zip?X-Amz-Signature=***"),
        ("https://x/y?a=1&Signature=zz~_&Key-Pair-Id=K1&Policy=p", "zz~_", "?a=1&Signature=***&Key-Pair-Id=***&Policy=***"),
        ("https://x/login?code=9a8b&state=%2FSLC", "9a8b", "https://x/login?code=***"),
        ('{"access_token": "abcd", "expires_in": 600}', "abcd", '"expires_in": 600'),
        ("{'password': 'abcd'}", "abcd", "'password': '***'"),
        ("grant_type=password&password=abcd&username=me", "abcd", "username=me"),
        ("token eyJhbGciOi.eyJzdWIi.c2ln here", "eyJzdWIi", "here"),
    ],
)
def test_redacted(text: str, hidden: str, kept: str) -> None:
    assert hidden not in redacted(text) and kept in redacted(text)


def test_known_secrets_are_found_in_any_coding() -> None:
    Secret(PASSWORD)
    for form in (PASSWORD, "p%26ss%20w%C3%B6rd%2F7%3Dx", "p%26ss+w%C3%B6rd%2F7%3Dx"):
        assert redacted(f"a {form} b") == "a *** b"
    plain = "https://api.x.org/search?platform=S1&bbox=1,2 took 3 s: basic checks, token expired"
    assert redacted(plain) == plain
