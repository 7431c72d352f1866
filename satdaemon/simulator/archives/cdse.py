"""A stand-in for the Copernicus Data Space: its login, its OData catalogue, and the download of zips.

As there, the catalogue's address of a product leads to the host that serves it, which wants the token as well; a user has
at most four sessions (logins whose tokens have not expired) and four transfers at one time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import replace

from satdaemon.simulator.archives import catalogue
from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.files import file_answer
from satdaemon.simulator.archives.messages import Answer, Call, as_json, redirect
from satdaemon.simulator.archives.sessions import Sessions
from satdaemon.simulator.archives.shelf import Item, Shelf
from satdaemon.simulator.archives.stand_in import StandIn

USERS = {"demo@example.org": "demo-password"}
TOKEN_PATH = "/auth/realms/CDSE/protocol/openid-connect/token"
LOGOUT_PATH = TOKEN_PATH.removesuffix("/token") + "/logout"
VALUE = re.compile(r"/odata/v1/Products\((?P<id>[0-9a-f-]{36})\)/\$value\Z")


class CdseStandIn(StandIn):
    """`base` is the address of login and catalogue, `download_base` that of the zips."""

    def __init__(
        self,
        shelf: Shelf,
        faults: Faults | None = None,
        *,
        users: Mapping[str, str] = USERS,
        token_s: float = 600.0,
        refresh_s: float = 3600.0,
        sessions: int = 4,
        transfers: int = 4,
        duplicates: bool = False,
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(shelf, faults, duplicates, ports)
        self.sessions = Sessions(users, token_s, refresh_s, sessions, self.tally)
        self.transfers = transfers
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()
        self.download_base = self._store.base
        self.token_url = f"{self.base}{TOKEN_PATH}"

    def _answer(self, call: Call) -> Answer:
        if call.path == TOKEN_PATH and call.method == "POST":
            return self._refused("token") or self.sessions.answer(dict(call.form))
        if call.path == LOGOUT_PATH and call.method == "POST":
            return self.sessions.end(dict(call.form))
        if call.path == catalogue.PATH:
            return self._search(call)
        if (match := VALUE.match(call.path)) is not None:
            item = self._item(match["id"])
            self.tally.add("download", "" if item is None else item.name)
            return redirect(f"{self.download_base}{call.path}", 301)
        return as_json({"detail": "Not Found"}, 404)

    def _search(self, call: Call) -> Answer:
        self.tally.add("search")
        if (refused := self._refused("search")) is not None:
            return refused
        return catalogue.page_answer(call, self.shelf.items(searching=True), self.base, self.duplicates)

    def _item(self, unique: str) -> Item | None:
        """The product with that id of the catalogue."""
        with self._lock:
            name = self._ids.get(unique)
            if name is None:
                self._ids = {catalogue.id_of(item.name): item.name for item in self.shelf.items()}
                name = self._ids.get(unique)
        return None if name is None else self.shelf.find(name)

    def _stored(self, call: Call) -> Answer:
        match = VALUE.match(call.path)
        item = None if match is None else self._item(match["id"])
        self.tally.add("data", "" if item is None else item.name)
        user = self.sessions.user_of(call.bearer)
        if user is None:
            return as_json({"detail": "Expired or invalid token", "code": "DAT-ZIP-111"}, 401)
        if item is None:
            return as_json({"detail": "Product not found"}, 404)
        trouble = self.faults.next(f"data/{item.name}")
        place = f"transfers of {user}"
        if not self.tally.enter(place, self.transfers):
            self.tally.add("too many transfers")
            return as_json({"code": "DAT-ZIP-100", "message": "Max session number exceeded"}, 429)
        return replace(file_answer(item, call, trouble), done=lambda: self.tally.leave(place))
