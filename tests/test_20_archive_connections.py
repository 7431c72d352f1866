"""TLS, redirects from it, and proxies: real ones on loopback."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from unruly_server import Unruly, unruly

from satdaemon.archive.connections import Patience, host_of
from satdaemon.archive.http import Bearer, get
from satdaemon.archive.secrets import Secret
from satdaemon.errors import ArchiveError, RequestError

SOON = Patience(2, 2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Unruly]:
    with unruly(certificate) as site:
        site.files["/a.zip"] = b"PK content" * 100_000
        yield site


def test_a_certificate_that_the_system_does_not_know_is_refused(secure: Unruly) -> None:
    with pytest.raises(
        ArchiveError, match="expected a certificate that this system trusts, got: self-signed certificate"
    ) as caught:
        get(f"{secure.url}/a.zip", SOON, bearer=Bearer(Secret("secret-token"), (secure.host,)))
    assert "SSL_CERT_FILE" in str(caught.value) and secure.seen == []


def test_the_systems_certificates_are_used(secure: Unruly, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with get(f"{secure.url}/a.zip", SOON, bearer=Bearer(Secret("secret-token"), (secure.host,))) as answer:
        assert answer.status == 200 and answer.whole() == secure.files["/a.zip"]
    assert secure.seen[0].authorization == "Bearer secret-token"
    with pytest.raises(ArchiveError, match="expected a certificate"):
        get(f"{secure.url.replace('127.0.0.1', 'localhost')}/a.zip", SOON)


def test_no_way_leads_from_https_to_http(secure: Unruly, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with unruly() as plain:
        secure.faults.append(f"moved {plain.url}/a.zip")
        with pytest.raises(ArchiveError, match="expected to be led on over https"):
            get(f"{secure.url}/a.zip", SOON)
        assert plain.seen == []


def test_a_server_that_takes_the_connection_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https"):
            with pytest.raises(ArchiveError, match=r"does not answer: no connection within 0.3 s, or no byte for 0.2 s"):
                get(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x", Patience(0.3, 0.2))


class _Proxy(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str]]
    upstream: int

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append((self.requestline, self.headers.get("Proxy-Authorization", "")))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"proxy")

    def do_CONNECT(self) -> None:
        self.seen.append((self.requestline, self.headers.get("Proxy-Authorization", "")))
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(("127.0.0.1", self.upstream)) as there:
            ends = (self.connection, there)
            while (ready := select.select(ends, (), (), 2.0)[0]) and (data := ready[0].recv(1 << 16)):
                ends[ready[0] is self.connection].sendall(data)
        self.close_connection = True


@pytest.fixture
def proxy() -> Iterator[type[_Proxy]]:
    kind = type("Handler", (_Proxy,), {"seen": [], "upstream": 0, "port": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads, server.block_on_close = True, False
    kind.port = server.server_address[1]  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield kind
    server.shutdown()
    server.server_close()
    thread.join()


def test_plain_http_through_a_proxy(proxy: type[_Proxy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")  # type: ignore[attr-defined]
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with get("http://archive.test/a.zip?x=1", SOON) as answer:
        assert answer.whole() == b"proxy"
    assert proxy.seen == [("GET http://archive.test/a.zip?x=1 HTTP/1.1", "Basic bWU6cEBzcw==")]
    with unruly() as site:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with get(f"{site.url}/a.zip", SOON) as answer:
            assert answer.status == 404
    assert len(proxy.seen) == 1


def test_https_through_a_tunnel(proxy: type[_Proxy], secure: Unruly, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")  # type: ignore[attr-defined]
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    proxy.upstream = secure.port
    with get(f"{secure.url}/a.zip", SOON, bearer=Bearer(Secret("secret-token"), (secure.host,))) as answer:
        assert answer.whole() == secure.files["/a.zip"]
    assert proxy.seen[0][0].startswith(f"CONNECT {secure.host}") and secure.seen[0].authorization == "Bearer secret-token"


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_proxy_of_another_kind_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(RequestError, match="http_proxy: expected an http:// address"):
        get("http://archive.test/a.zip", SOON)


def test_host_of() -> None:
    assert host_of("https://A.Example.org/x") == ("a.example.org", 443)
    assert host_of("http://[::1]:81/") == ("::1", 81)
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
