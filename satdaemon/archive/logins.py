"""Tokens that an archive's login gives: renewed before they expire, and once after a refusal."""

from __future__ import annotations

import base64
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from satdaemon.archive.answers import refusal
from satdaemon.archive.connections import Patience
from satdaemon.archive.credentials import Credentials
from satdaemon.archive.http import Answer, post
from satdaemon.archive.json_answers import document
from satdaemon.archive.names import HOSTS
from satdaemon.archive.secrets import Secret, redacted
from satdaemon.archive.tokens import EARTHDATA, FixedToken, Tokens
from satdaemon.config import ArchiveSettings
from satdaemon.errors import ArchiveError, CredentialsError

CDSE_PATH = "/auth/realms/CDSE/protocol/openid-connect/token"
CDSE = f"https://identity.dataspace.copernicus.eu{CDSE_PATH}"
EARTHDATA_PATH = "/api/users/find_or_create_token"
_MARGIN_S = 30.0
"""A token is renewed so long before it expires, or after nine tenths of its life."""
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class _Given:
    """What a login gave; times of `time.monotonic`."""

    access: Secret
    until_s: float
    refresh: Secret | None = None
    refresh_until_s: float = 0.0


class LoginTokens(Tokens):
    """Tokens that a user's name and password give."""

    def __init__(self, credentials: Credentials, url: str, hosts: tuple[str, ...], patience: Patience | None = None) -> None:
        super().__init__(credentials, hosts)
        if credentials.password is None:
            raise CredentialsError(f"{credentials.archive}: expected a login from {credentials.source}, got a token")
        self._user, self._password = credentials.username, credentials.password
        self._url, self._patience = url, patience or Patience()
        self._given: _Given | None = None

    def _current(self) -> Secret:
        if self._given is None or time.monotonic() >= self._given.until_s:
            self._given = self._renew()
        return self._given.access

    def _another(self, refused: Secret) -> Secret:
        if self._given is None or self._given.access == refused:
            self._given = self._renew()
        if self._given.access == refused:
            raise self._give_up("the login gives the same token again, and the archive does not take it; see to the account")
        return self._given.access

    def _renew(self) -> _Given:
        return self._login()

    @abstractmethod
    def _login(self) -> _Given: ...

    def _judge(self, answer: Answer) -> dict[str, Any]:
        """The document of an answer to a login. A refusal is remembered: asked again and again, accounts are locked."""
        if answer.status in (400, 401, 403):
            raise self._give_up(f"{redacted(self._url)}: {answer.status} {answer.words()}; correct them, or see to the account")
        if (error := refusal(self.archive, self._url, answer, self.source)) is not None:
            raise error
        return document(answer)


class PasswordGrant(LoginTokens):
    """The Copernicus Data Space's login: OpenID's password grant, renewed by its refresh token while that lives."""

    def __init__(
        self,
        credentials: Credentials,
        url: str = CDSE,
        hosts: tuple[str, ...] = HOSTS["cdse"],
        *,
        client_id: str = "cdse-public",
        patience: Patience | None = None,
    ) -> None:
        super().__init__(credentials, url, hosts, patience)
        self._client_id = client_id

    def _renew(self) -> _Given:
        given = self._given
        if given is not None and given.refresh is not None and time.monotonic() < given.refresh_until_s:
            form = {"grant_type": "refresh_token", "refresh_token": given.refresh.reveal()}
            with self._ask(form) as answer:
                # A refresh token that is refused (a session that was ended) says nothing about the login.
                if answer.status not in (400, 401):
                    return _given_in(answer.url, self._judge(answer))
        return self._login()

    def _login(self) -> _Given:
        form = {"grant_type": "password", "username": self._user, "password": self._password.reveal()}
        with self._ask(form) as answer:
            return _given_in(answer.url, self._judge(answer))

    def end(self) -> str:
        """End the session: an account has few, and each lives on for an hour. Why it could not be, or nothing."""
        with self._lock:
            given, self._given = self._given, None
            if given is None or given.refresh is None:
                return ""
            form = {"client_id": self._client_id, "refresh_token": given.refresh.reveal()}
            try:
                with post(self._url.removesuffix("/token") + "/logout", self._patience, form) as answer:
                    return "" if answer.status in (200, 204) else f"{self.archive}: logout: {answer.status} {answer.words()}"
            except ArchiveError as error:
                return f"{self.archive}: logout: {error}"

    def _ask(self, form: Mapping[str, str]) -> Answer:
        return post(self._url, self._patience, {"client_id": self._client_id, **form})


class EarthdataLogin(LoginTokens):
    """Earthdata's login: its token is found, or made, by name and password."""

    def __init__(
        self,
        credentials: Credentials,
        url: str = EARTHDATA + EARTHDATA_PATH,
        hosts: tuple[str, ...] = HOSTS["asf"],
        *,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(credentials, url, hosts, patience)

    def _login(self) -> _Given:
        pair = base64.b64encode(f"{self._user}:{self._password.reveal()}".encode()).decode()
        with post(self._url, self._patience, {}, {"Authorization": f"Basic {Secret(pair).reveal()}"}) as answer:
            return _given_in(answer.url, {"expires_in": _DAY_S, **self._judge(answer)})


def tokens_of(credentials: Credentials, settings: ArchiveSettings | None = None) -> Tokens:
    """The tokens of `asf` or `cdse` from whatever credentials there are, shown to the archive's configured hosts alone."""
    sites = settings or ArchiveSettings()
    hosts, patience = sites.hosts[credentials.archive], Patience(stall_s=sites.timeout_s)
    if credentials.token is not None:
        return FixedToken(credentials, hosts)
    if credentials.archive == "asf":
        return EarthdataLogin(credentials, sites.asf_login + EARTHDATA_PATH, hosts, patience=patience)
    return PasswordGrant(credentials, sites.cdse_login + CDSE_PATH, hosts, patience=patience)


def _given_in(url: str, document: Mapping[str, Any]) -> _Given:
    now = time.monotonic()
    access, refresh = document.get("access_token"), document.get("refresh_token")
    try:
        life_s = float(document.get("expires_in") or 300.0)
        refresh_s = float(document.get("refresh_expires_in") or 0.0)
    except (TypeError, ValueError):
        life_s = -1.0
        refresh_s = 0.0
    if not isinstance(access, str) or not access or life_s < 0:
        raise ArchiveError(f"{redacted(url)}: expected access_token and expires_in in the answer to the login, got other things")
    until_s, refresh_until_s = (now + max(life - _MARGIN_S, min(0.9 * life, 9 * _MARGIN_S)) for life in (life_s, refresh_s))
    return _Given(Secret(access), until_s, Secret(refresh) if isinstance(refresh, str) else None, refresh_until_s)
