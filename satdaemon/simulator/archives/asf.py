"""A stand-in for NASA's archive: search of the Common Metadata Repository, Earthdata login, and the download of zips.

As at the Alaska Satellite Facility, the address of a product wants a bearer token (or the cookie of a login), and sends
whoever has one on to another place, under an address that is signed for an hour. That place refuses a request which
brings an Authorization header along: it was for the archive alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from satdaemon.simulator.archives import cmr
from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.files import file_answer
from satdaemon.simulator.archives.messages import Answer, Call, as_json, redirect
from satdaemon.simulator.archives.shelf import Shelf
from satdaemon.simulator.archives.stand_in import StandIn

USERS = {"demo": "demo-password"}


class AsfStandIn(StandIn):
    """`base` is at once the address of search, login and products."""

    def __init__(
        self,
        shelf: Shelf,
        faults: Faults | None = None,
        *,
        users: Mapping[str, str] = USERS,
        token_s: float = 3600.0,
        signed_s: float = 3600.0,
        duplicates: bool = False,
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(shelf, faults, duplicates, ports)
        self.users = dict(users)
        self.token_s, self.signed_s = token_s, signed_s
        self._key = secrets.token_bytes(32)
        self._tokens: dict[str, float] = {}
        self.issued: list[str] = []
        """Every token that was given."""
        self._cookies: set[str] = set()
        self.store_base = self._store.base

    def issue_token(self) -> str:
        """A token that is good for `token_s`."""
        token = f"eyJ0eXAiOiJKV1Qi.{secrets.token_urlsafe(24)}"
        self._tokens[token] = time.monotonic() + self.token_s
        self.issued.append(token)
        return token

    def end_tokens(self) -> None:
        """From now on no token that was given is good."""
        self._tokens.clear()
        self._cookies.clear()

    def _answer(self, call: Call) -> Answer:
        path = call.path
        if path == cmr.PATH:
            return self._search(call)
        if path == "/api/users/find_or_create_token":
            return self._token(call)
        if path == "/oauth/authorize":
            return self._authorise(call)
        if path == "/login":
            return self._login(call)
        if path.startswith("/SLC/") and path.endswith(".zip"):
            return self._product(call, path.rpartition("/")[2].removesuffix(".zip"))
        return as_json({"errors": ["The requested resource was not found"]}, 404)

    def _search(self, call: Call) -> Answer:
        self.tally.add("search")
        if (refused := self._refused("search")) is not None:
            return refused
        return cmr.search_answer(call, self.shelf.items(searching=True), self.base, self.duplicates)

    def _token(self, call: Call) -> Answer:
        self.tally.add("token")
        if (refused := self._refused("token")) is not None:
            return refused
        if not self._knows(call):
            return as_json({"error": "invalid_credentials", "error_description": "Invalid user credentials"}, 401)
        until = time.strftime("%m/%d/%Y", time.gmtime(time.time() + max(self.token_s, 86400)))
        return as_json({"access_token": self.issue_token(), "token_type": "Bearer", "expiration_date": until})

    def _authorise(self, call: Call) -> Answer:
        self.tally.add("authorise")
        if not self._knows(call):
            challenge = 'Basic realm="Please enter your Earthdata Login credentials."'
            return Answer(401, {"WWW-Authenticate": challenge, "Content-Type": "text/plain"}, b"HTTP Basic: Access denied.\n")
        asked = dict(call.query)
        code = secrets.token_urlsafe(12)
        self._cookies.add(code)
        return redirect(f"{self.base}/login?{urlencode({'code': code, 'state': asked.get('state', '/')})}")

    def _login(self, call: Call) -> Answer:
        asked = dict(call.query)
        if asked.get("code") not in self._cookies:
            return as_json({"errors": ["invalid code"]}, 400)
        state = asked.get("state", "/")
        return redirect(f"{self.base}{state}", Set_Cookie=f"asf-urs={asked['code']}; Path=/; HttpOnly")

    def _knows(self, call: Call) -> bool:
        scheme, _, text = call.headers.get("authorization", "").partition(" ")
        try:
            user, _, word = base64.b64decode(text).decode().partition(":")
        except ValueError:
            return False
        return scheme.lower() == "basic" and self.users.get(user) == word

    def _product(self, call: Call, name: str) -> Answer:
        self.tally.add("download", name)
        if (refused := self._refused(f"download/{name}")) is not None:
            return refused
        cookies = [part.strip().partition("=") for part in call.headers.get("cookie", "").split(";")]
        if call.bearer is None and not any(key == "asf-urs" and value in self._cookies for key, _, value in cookies):
            asked = {"client_id": "stand-in", "response_type": "code", "redirect_uri": f"{self.base}/login", "state": call.path}
            return redirect(f"{self.base}/oauth/authorize?{urlencode(asked)}")
        if call.bearer is not None and self._tokens.get(call.bearer, 0.0) < time.monotonic():
            return Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}, b"Unauthorized")
        if self.shelf.find(name) is None:
            return Answer(404, {"Content-Type": "text/html"}, b"<html><body>Not found</body></html>")
        until = int(time.time() + self.signed_s)
        signed = urlencode({"A-userid": "demo", "Expires": until, "Signature": self._signature(name, until)})
        return redirect(f"{self.store_base}/s3-stand-in/{quote(name)}.zip?{signed}", 303)

    def _stored(self, call: Call) -> Answer:
        name = call.path.rpartition("/")[2].removesuffix(".zip")
        self.tally.add("data", name)
        if "authorization" in call.headers:
            self.tally.add("leak", name)
            return Answer(400, {"Content-Type": "application/xml"}, b"<Error><Code>InvalidArgument</Code></Error>")
        asked = dict(call.query)
        until = asked.get("Expires", "0")
        good = until.isdigit() and hmac.compare_digest(asked.get("Signature", ""), self._signature(name, int(until)))
        item = self.shelf.find(name)
        if not good or int(until) < time.time() or item is None:
            return Answer(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
        return file_answer(item, call, self.faults.next(f"data/{name}"))

    def _signature(self, name: str, until: int) -> str:
        return hmac.new(self._key, f"{name} {until}".encode(), hashlib.sha256).hexdigest()
