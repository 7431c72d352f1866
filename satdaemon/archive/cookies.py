"""The cookie of a login at NASA's archive, for its burst extractor, which knows no tokens.

Any service of the archive that takes a token gives the cookie along, for all of them: the address of a product is asked for,
and not followed to its bytes.
"""

from __future__ import annotations

import re
from contextlib import closing

from satdaemon.archive.answers import refusal
from satdaemon.archive.connections import Patience, host_of, split
from satdaemon.archive.http import Answer, Bearer, get
from satdaemon.archive.secrets import Secret
from satdaemon.archive.tokens import Tokens

NAME = "asf-urs"
_COOKIE = re.compile(rf"\s*{NAME}=([!-+\--:<-\[\]-~]+)\s*(?:;|\Z)")
"""A value without blanks, quotes, commas, semicolons and backslashes (RFC 6265, 4.1.1)."""


class CookieTokens(Tokens):
    """The tokens of `tokens` with the cookie that they give at `login_url`; both are shown to the host of `service` alone.

    What that service refuses says nothing about the tokens: they stay good for the others.
    """

    def __init__(self, tokens: Tokens, login_url: str, service: str, patience: Patience | None = None) -> None:
        super().__init__(tokens.credentials, (_exactly(service),))
        self._tokens, self._login_url, self._patience = tokens, login_url, patience or Patience()
        self._is_asked = False
        self._cookie: Secret | None = None

    def _current(self) -> Secret:
        return self._tokens.bearer().token

    def _another(self, refused: Secret) -> Secret:
        self._is_asked = False
        return self._tokens.bearer().token

    def _bearer(self, token: Secret) -> Bearer:
        if not self._is_asked:
            self._cookie, self._is_asked = self._log_in(), True
        return Bearer(token, self._hosts, self._cookie)

    def _log_in(self) -> Secret | None:
        """None where none was given: the service may take the token itself."""
        bearer = self._tokens.bearer()
        answer = get(self._login_url, self._patience, bearer=bearer, is_enough=_has_cookie)
        if answer.asks_for_login:
            answer.close()
            answer = get(self._login_url, self._patience, bearer=self._tokens.renewed(bearer), is_enough=_has_cookie)
        with closing(answer):
            found = _cookie_of(answer)
            if found is None and (error := refusal(self.archive, self._login_url, answer, self.source)) is not None:
                raise error
        return found


def _has_cookie(answer: Answer) -> bool:
    return _cookie_of(answer) is not None


def _cookie_of(answer: Answer) -> Secret | None:
    for header in answer.headers.get_all("Set-Cookie") or ():
        if (match := _COOKIE.match(header)) is not None:
            Secret(match[1])  # nor is the value shown alone
            return Secret(f"{NAME}={match[1]}")
    return None


def _exactly(address: str) -> str:
    host, port = host_of(address)
    return host if split(address).scheme == "https" and port == 443 else f"{host}:{port}"
