"""An issuer of OpenID Connect on loopback, which gives whatever token a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey


@dataclass
class Issuer:
    """What it knows, and what it was asked."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}))
    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """Those of the next token."""
    asked: dict[str, str] = field(default_factory=dict)
    """The form of the last question for a token."""
    is_broken: bool = False

    def token(self) -> str:
        """A signed token of the claims, with the times of now."""
        now = int(time.time())
        return jwt.encode({"alg": "RS256", "kid": "1"}, {"iss": self.url, "iat": now, "exp": now + 300, **self.claims}, self.key)


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Serve it."""
    found = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/.well-known/openid-configuration":
                names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
                self._send({"issuer": found.url, **{name: found.url + path for name, path in names.items()}})
            elif self.path == "/keys":
                self._send({"keys": [found.key.as_dict(private=False)]})

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["content-length"])).decode()
            found.asked = {name: values[0] for name, values in parse_qs(form).items()}
            self._send({"access_token": "x", "id_token": found.token()})

        def _send(self, document: dict[str, Any]) -> None:
            body = b"<html>" if found.is_broken else json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
