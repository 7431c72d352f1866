"""A server of files on loopback that misbehaves as it is told: real HTTP, each request written down."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HTML = b"<html><title>Down for maintenance</title><body>We are down &amp; sorry</body></html>"
BLOCK = 1 << 16


@dataclass
class Request:
    """One request as the server saw it."""

    method: str
    path: str
    range: str
    authorization: str
    form: dict[str, str] = field(default_factory=dict)
    status: int = 0
    sent: int = 0


class Unruly:
    """What the server has, how it misbehaves, and what it saw. `faults`: one is taken off for each request of a file."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: deque[str] = deque()
        self.at_random: Callable[[str], str] | None = None
        self.seen: list[Request] = []
        self.tokens: set[str] | None = None
        self.logins: dict[str, str] = {}
        self.life_s: float = 600.0
        self.refresh_lives = True
        self.has_ranges = True
        self.has_etags = True
        self.signed_at = ""
        self.made = 0
        self.lock = threading.Lock()
        self.port = 0
        self.scheme = "http"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def of(self, path: str) -> list[Request]:
        return [r for r in self.seen if r.path.partition("?")[0] == path]

    def fault(self, path: str) -> str:
        with self.lock:
            if self.at_random is not None:
                return self.at_random(path)
            return self.faults.popleft() if self.faults else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    unruly: Unruly

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        seen = self._note(form)
        site = self.unruly
        if fault := site.fault(self.path):
            self._plain(seen, int(fault.split()[0]), b"busy", fault)
            return
        if self.path.endswith("/logout"):
            self._plain(seen, 204 if form["refresh_token"].startswith("refresh-") else 400, b"", "")
            return
        if form.get("grant_type") == "refresh_token":
            good = site.refresh_lives and form["refresh_token"].startswith("refresh-")
        elif form.get("grant_type") == "password":
            good = site.logins.get(form["username"]) == form["password"]
        else:
            user, _, password = base64.b64decode(seen.authorization.removeprefix("Basic ")).decode().partition(":")
            good = site.logins.get(user) == password
        if not good:
            words = {"error": "invalid_grant", "error_description": "Invalid user credentials " + form.get("password", "")}
            self._plain(seen, 401, json.dumps(words).encode(), "", "application/json")
            return
        with site.lock:
            site.made += 1
            access = f"access-{site.made}-{'x' * 20}"
            site.tokens = {*(site.tokens or ()), access}
        given = {"access_token": access, "expires_in": site.life_s, "refresh_token": f"refresh-{site.made}-{'y' * 20}"}
        self._plain(seen, 200, json.dumps({**given, "refresh_expires_in": 3600}).encode(), "", "application/json")

    def do_GET(self) -> None:
        seen = self._note({})
        site = self.unruly
        path = urlsplit(self.path).path
        fault = site.fault(path)
        name, _, detail = fault.partition(" ")
        if name == "expire" and site.tokens is not None:
            site.tokens.discard(seen.authorization.removeprefix("Bearer "))
        if name == "moved":
            self._moved(seen, detail)
        elif name == "refused":
            self.close_connection = True
        elif name == "html":
            self._plain(seen, 200, HTML, "", "text/html; charset=utf-8")
        elif name.isdecimal():
            self._plain(seen, int(name), b'{"message": "out of order"}', fault, "application/json")
        elif (
            site.tokens is not None
            and not self._is_signed(path)
            and seen.authorization.removeprefix("Bearer ") not in site.tokens
        ):
            self._plain(seen, 401, b"token expired or wrong", "")
        elif site.signed_at and not self._is_signed(path):
            self._moved(seen, f"{site.signed_at}{path}?X-Amz-Signature=abcdef0123456789&Expires=1")
        elif path not in site.files:
            self._plain(seen, 404, b"no such file", "")
        else:
            self._file(seen, site.files[path], name, detail)

    def _is_signed(self, path: str) -> bool:
        return "Signature" in self.path

    def _note(self, form: dict[str, str]) -> Request:
        get = self.headers.get
        seen = Request(self.command, self.path, get("Range", ""), get("Authorization", ""), form)
        with self.unruly.lock:
            self.unruly.seen.append(seen)
        return seen

    def _moved(self, seen: Request, place: str) -> None:
        seen.status = 302
        self.send_response(302)
        if place:
            self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _plain(self, seen: Request, status: int, body: bytes, fault: str, kind: str = "text/plain") -> None:
        seen.status = status
        self.send_response(status)
        if wait := fault.partition(" ")[2]:
            self.send_header("Retry-After", formatdate(time.time() + float(wait[1:]), usegmt=True) if wait[0] == "@" else wait)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, seen: Request, content: bytes, fault: str, detail: str) -> None:
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        first = self._first(etag) if fault != "norange" else 0
        if fault == "damaged":
            middle = first + (len(content) - first) // 2
            content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            seen.status = 416
            return
        seen.status = 206 if first else 200
        declared = len(content) - first + (int(detail or 100) if fault in ("longer", "shorter") else 0)
        total = len(content) if fault not in ("longer", "shorter") else first + declared
        self.send_response(seen.status)
        if fault != "chunked":
            self.send_header("Content-Length", str(declared))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        if first:
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        if self.unruly.has_etags:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/zip")
        self.end_headers()
        self._send(seen, memoryview(content)[first:], fault, detail)

    def _first(self, etag: str) -> int:
        wanted = self.headers.get("Range", "")
        if not wanted or not self.unruly.has_ranges:
            return 0
        if (condition := self.headers.get("If-Range")) is not None and condition != etag:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, seen: Request, body: memoryview, fault: str, detail: str) -> None:
        stop = len(body)
        if fault in ("cut", "stall"):
            stop = min(int(float(detail) * len(body)) if "." in detail else int(detail), len(body) - 1)
        try:
            for k in range(0, stop, BLOCK):
                block = body[k : min(k + BLOCK, stop)]
                if fault == "chunked":
                    self.wfile.write(b"%x\r\n" % len(block) + block + b"\r\n")
                else:
                    self.wfile.write(block)
                seen.sent += len(block)
                if fault == "slow":
                    time.sleep(float(detail))
            if fault == "chunked":
                self.wfile.write(b"0\r\n\r\n")
            if fault == "stall":
                self.wfile.flush()
                time.sleep(4.0)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if stop < len(body) or fault in ("longer", "shorter"):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what these tests are about."""


@contextmanager
def unruly(certificate: Path | None = None) -> Iterator[Unruly]:
    """A server for the time of a test; with a certificate it speaks TLS."""
    site = Unruly()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"unruly": site}))
    site.port = server.server_address[1]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        site.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def random_faults(seed: int, share: float, kinds: tuple[str, ...], drawn: list[str]) -> Callable[[str], str]:
    """A fault for that share of the requests, never more than three in a row for one path, nor one twice in a row."""
    rng = random.Random(seed)
    rows: dict[str, list[str]] = {}

    def choose(path: str) -> str:
        row = rows.setdefault(path, [])
        if not path.endswith(".zip") or len(row) >= 3 or rng.random() >= share:
            row.clear()
            return ""
        row.append(rng.choice([kind for kind in kinds if kind not in row[-1:]]))
        drawn.append(row[-1])
        return row[-1]

    return choose
