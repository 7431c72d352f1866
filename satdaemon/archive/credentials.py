"""Credentials of an archive: from the environment, from netrc or from the keyring, in that order; never from a file of ours."""

from __future__ import annotations

import importlib
import importlib.util
import netrc
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from satdaemon.archive.secrets import Secret, redacted
from satdaemon.errors import ConfigError, CredentialsError


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or a user's name and password."""

    archive: str
    source: str
    """Where they came from, for messages: `EARTHDATA_TOKEN in the environment`, `/home/me/.netrc`."""
    username: str = ""
    password: Secret | None = None
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class _Account:
    machine: str
    """Host that the login belongs to: its name in netrc and in the keyring."""
    prefix: str
    """Of the variables `<prefix>_TOKEN`, `<prefix>_USERNAME`, `<prefix>_PASSWORD`."""
    takes_token: bool


_ACCOUNTS = {
    "asf": _Account("urs.earthdata.nasa.gov", "EARTHDATA", True),
    "cdse": _Account("identity.dataspace.copernicus.eu", "CDSE", False),
}


def credentials_of(archive: str, environment: Mapping[str, str] | None = None) -> Credentials:
    """The credentials of `asf` or `cdse`.

    Raises CredentialsError where there are none, half of them, or where others may read the file they stand in;
    ConfigError for an archive that has no account.
    """
    variables = os.environ if environment is None else environment
    account = _ACCOUNTS.get(archive)
    if account is None:
        raise ConfigError(f"credentials: expected an archive with an account ({', '.join(_ACCOUNTS)}), got {archive!r}")
    found = (
        _of_environment(archive, account, variables)
        or _of_netrc(archive, account, _netrc_path(variables))
        or _of_keyring(archive, account)
    )
    if found is None:
        raise CredentialsError(f"{archive}: expected credentials, found none; {_how_to(account, _netrc_path(variables))}")
    return found


def _how_to(account: _Account, path: Path) -> str:
    token = f"{account.prefix}_TOKEN, or " if account.takes_token else ""
    return (
        f"set {token}{account.prefix}_USERNAME and {account.prefix}_PASSWORD in the environment, or give {account.machine} "
        f"a line in {path}, or put them into the keyring under that name"
    )


def _of_environment(archive: str, account: _Account, variables: Mapping[str, str]) -> Credentials | None:
    token, user, password = (f"{account.prefix}_{part}" for part in ("TOKEN", "USERNAME", "PASSWORD"))
    if account.takes_token and variables.get(token, "").strip():
        return Credentials(archive, f"{token} in the environment", token=Secret(variables[token].strip()))
    given = [name for name in (user, password) if variables.get(name)]
    if not given:
        return None
    if len(given) == 1:
        raise CredentialsError(f"{archive}: expected {user} and {password} in the environment, got only {given[0]}; set both")
    return Credentials(archive, f"{user} and {password} in the environment", variables[user], Secret(variables[password]))


def _netrc_path(variables: Mapping[str, str]) -> Path:
    return Path(variables.get("NETRC") or Path(variables.get("HOME") or Path.home(), ".netrc")).expanduser()


def _of_netrc(archive: str, account: _Account, path: Path) -> Credentials | None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialsError(f"{archive}: {path} cannot be read ({error}); see to it, or use the environment") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CredentialsError(
            f"{archive}: {path}: expected a file that its owner alone may read, got mode {stat.S_IMODE(mode):o}; "
            f"chmod 600 {path}, and change the passwords in it if others may have seen them"
        )
    entry = _entries(archive, path).get(account.machine)
    if entry is None:
        return None
    user, _, password = entry
    if not user or not password:
        raise CredentialsError(f"{archive}: {path}: expected login and password for {account.machine}, got only one; give both")
    return Credentials(archive, f"{path} ({account.machine})", user, Secret(password))


def _entries(archive: str, path: Path) -> Mapping[str, tuple[str, str, str | None]]:
    try:
        return netrc.netrc(str(path)).hosts
    except netrc.NetrcParseError as error:
        # Its words may be a password: only the place is told.
        raise CredentialsError(f"{archive}: {path}, about line {error.lineno}: expected netrc's format; correct it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{archive}: {path} cannot be read ({type(error).__name__}); see to it") from None


def _of_keyring(archive: str, account: _Account) -> Credentials | None:
    if importlib.util.find_spec("keyring") is None:
        return None
    keyring = importlib.import_module("keyring")
    errors = importlib.import_module("keyring.errors")
    try:
        entry = keyring.get_credential(account.machine, None)
    except errors.NoKeyringError:
        return None
    except errors.KeyringError as error:
        words = redacted(f"{type(error).__name__}: {error}")
        raise CredentialsError(f"{archive}: the keyring does not open ({words}); unlock it, or use the environment") from None
    if entry is None or not entry.password:
        return None
    return Credentials(archive, f"the keyring ({account.machine})", entry.username, Secret(entry.password))
