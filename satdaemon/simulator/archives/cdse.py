"""A stand-in for the Copernicus Data Space: its login, its OData catalogue, and the download of zips.

As there, the catalogue's address of a product leads to the host that serves it, which wants the token as well; a user has
at most four sessions (logins whose tokens have not expired) and four transfers at one time.
"""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from satdaemon.simulator.archives import catalogue
from satdaemon.simulator.archives.cdse_orbits import orbit_files, orbit_record
from satdaemon.simulator.archives.faults import Faults
from satdaemon.simulator.archives.files import file_answer, of_path
from satdaemon.simulator.archives.messages import Answer, Call, as_json, redirect, refusal
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
        orbits: Path | None = None,
        zipped_orbits: bool = False,
    ) -> None:
        super().__init__(shelf, faults, duplicates, ports)
        self.sessions = Sessions(users, token_s, refresh_s, sessions, self.tally)
        self.transfers = transfers
        self.orbits, self.zipped_orbits = orbits, zipped_orbits
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
        others = map(orbit_record, orbit_files(self.orbits).values())
        return catalogue.page_answer(call, self.shelf.items(searching=True), self.base, self.duplicates, others)

    def _item(self, unique: str) -> Item | None:
        """The product with that id of the catalogue."""
        with self._lock:
            name = self._ids.get(unique)
            if name is None:
                self._ids = {catalogue.id_of(item.name): item.name for item in self.shelf.items()}
                name = self._ids.get(unique)
        return None if name is None else self.shelf.find(name)

    def _orbit(self, path: Path, call: Call) -> Answer:
        trouble = self.faults.next(f"data/{path.name}")
        if not self.zipped_orbits:
            return of_path(path, "application/octet-stream", "", call, trouble)
        if trouble is not None and (refused := refusal(trouble)) is not None:
            return refused
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, f"{path.stem}/{path.name}")
        return Answer(200, {"Content-Type": "application/zip"}, content.getvalue())

    def _stored(self, call: Call) -> Answer:
        match = VALUE.match(call.path)
        item = None if match is None else self._item(match["id"])
        self.tally.add("data", "" if item is None else item.name)
        user = self.sessions.user_of(call.bearer)
        if user is None:
            return as_json({"detail": "Expired or invalid token", "code": "DAT-ZIP-111"}, 401)
        if item is None:
            path = None if match is None else orbit_files(self.orbits).get(match["id"])
            return as_json({"detail": "Product not found"}, 404) if path is None else self._orbit(path, call)
        trouble = self.faults.next(f"data/{item.name}")
        place = f"transfers of {user}"
        if not self.tally.enter(place, self.transfers):
            self.tally.add("too many transfers")
            return as_json({"code": "DAT-ZIP-100", "message": "Max session number exceeded"}, 429)
        return replace(file_answer(item, call, trouble), done=lambda: self.tally.leave(place))
