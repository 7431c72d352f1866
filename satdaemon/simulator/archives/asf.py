"""A stand-in for NASA's archive: search of the Common Metadata Repository, Earthdata login, and the download of zips.

As at the Alaska Satellite Facility, the address of a product wants a bearer token (or the cookie of a login), and sends
whoever has one on to another place, under an address that is signed for an hour. That place refuses a request which
brings an Authorization header along: it was for the archive alone.

Its burst extractor knows no tokens: it wants the cookie that comes with a product's address. It says 202 when it is asked for
something first, and `extraction` times in all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
import zipfile
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from satdaemon.simulator.archives import bursts, cmr
from satdaemon.simulator.archives.bursts import Cutter
from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.files import file_answer, of_path
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
        extraction: int = 1,
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
        self.extraction = extraction
        self._cutter = Cutter()
        self._stack.enter_context(self._cutter)

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
        if (address := bursts.ADDRESS.match(path)) is not None:
            return self._burst(call, address)
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
        if call.bearer is None and _cookie(call) not in self._cookies:
            return self._to_login(call)
        if call.bearer is not None and self._tokens.get(call.bearer, 0.0) < time.monotonic():
            return Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}, b"Unauthorized")
        if self.shelf.find(name) is None:
            return Answer(404, {"Content-Type": "text/html"}, b"<html><body>Not found</body></html>")
        code = _cookie(call)
        if code not in self._cookies:
            self._cookies.add(code := secrets.token_urlsafe(12))
        return redirect(self._signed(name, f"{quote(name)}.zip"), 303, Set_Cookie=f"asf-urs={code}; Path=/")

    def _burst(self, call: Call, address: re.Match[str]) -> Answer:
        key = f"{address['scene']}/{address['swath']}/{address['pol']}/{address['index']}.{address['kind']}"
        self.tally.add("burst", key)
        if (refused := self._refused(f"burst/{key}")) is not None:
            return refused
        if (code := _cookie(call)) not in self._cookies:
            return self._to_login(call) if code is None else Answer(403, {"Content-Type": "text/html"}, b"<html>Forbidden</html>")
        item = self.shelf.find(address["scene"])
        try:
            cut = None if item is None else self._cutter.cut(item, address)
        except (OSError, zipfile.BadZipFile):
            return as_json({"message": "the extraction failed"}, 500)
        if cut is None:
            return as_json({"message": "no such burst"}, 404)
        if self.tally.by_name("burst waits").get(key, 0) < self.extraction:
            self.tally.add("burst waits", key)
            return as_json({"message": "the burst is being extracted"}, 202)
        return redirect(self._signed(key, f"bursts/{key}"), 307)

    def _to_login(self, call: Call) -> Answer:
        asked = {"client_id": "stand-in", "response_type": "code", "redirect_uri": f"{self.base}/login", "state": call.path}
        return redirect(f"{self.base}/oauth/authorize?{urlencode(asked)}")

    def _signed(self, name: str, place: str) -> str:
        until = int(time.time() + self.signed_s)
        signed = urlencode({"A-userid": "demo", "Expires": until, "Signature": self._signature(name, until)})
        return f"{self.store_base}/s3-stand-in/{place}?{signed}"

    def _stored(self, call: Call) -> Answer:
        _, is_burst, rest = call.path.partition("/bursts")
        name = rest.removeprefix("/") if is_burst else call.path.rpartition("/")[2].removesuffix(".zip")
        self.tally.add("data", name)
        if "authorization" in call.headers or (is_burst and "cookie" in call.headers):
            self.tally.add("leak", name)
            return Answer(400, {"Content-Type": "application/xml"}, b"<Error><Code>InvalidArgument</Code></Error>")
        asked = dict(call.query)
        until = asked.get("Expires", "0")
        good = until.isdigit() and hmac.compare_digest(asked.get("Signature", ""), self._signature(name, int(until)))
        item = self.shelf.find(name.partition("/")[0])
        if not good or int(until) < time.time() or item is None:
            return Answer(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
        trouble = self.faults.next(f"data/{name}")
        address = bursts.ADDRESS.match(f"/{name}")
        cut = None if address is None else self._cutter.cut(item, address)
        if cut is None:
            return file_answer(item, call, trouble)
        kind = {".tiff": "image/tiff", ".xml": "application/xml"}[cut.path.suffix]
        return of_path(cut.path, kind, cut.md5, call, trouble)

    def _signature(self, name: str, until: int) -> str:
        return hmac.new(self._key, f"{name} {until}".encode(), hashlib.sha256).hexdigest()


def _cookie(call: Call) -> str | None:
    """The cookie of a login that a request brings."""
    parts = [part.strip().partition("=") for part in call.headers.get("cookie", "").split(";")]
    return next((value for key, _, value in parts if key == "asf-urs"), None)
