"""A small HTTP/1.1 server on loopback: one thread a connection, files by sendfile, misbehaving as an answer says."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from satdaemon.simulator.archives.messages import Answer, Call, as_json
from satdaemon.simulator.archives.tally import Tally

BLOCK = 1 << 18
MOST_BODY = 4 << 20
"""Bytes of a request; more is refused."""
IDLE_S = 60.0
"""A connection that says nothing for so long is closed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    answer: Callable[[Call], Answer]
    tally: Tally

    def __init__(self, address: tuple[str, int]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection until it ends."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Nobody is served any more, on kept connections neither."""
        super().server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event; anything else is counted, and printed by the base class."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            self.tally.add("error")
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MOST_BODY:
            self.close_connection = True
            self._send(as_json({"errors": ["Request entity too large"]}, 413))
            return
        body = self.rfile.read(length) if length else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answer(Call(self.command, self.path, headers, body))
        self.server.tally.add(f"status {answer.status}")
        try:
            self._send(answer)
        finally:
            if answer.done is not None:
                answer.done()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests carry credentials."""

    def _send(self, answer: Answer) -> None:
        if answer.silent_s is not None:
            time.sleep(answer.silent_s)
            self.close_connection = True
            return
        length = len(answer.body) if answer.file is None else answer.length
        head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"Date: {self.date_time_string()}"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        head += [f"Content-Length: {length}", "", ""]
        self.connection.sendall("\r\n".join(head).encode("latin-1"))
        if self.command == "HEAD":
            return
        most = length if answer.cut_after is None else min(length, answer.cut_after)
        if answer.file is None:
            self._trickle(answer, [answer.body[:most]])
        else:
            self._send_file(answer, most)
        if most < length:
            self._hang_up()

    def _send_file(self, answer: Answer, most: int) -> None:
        assert answer.file is not None
        with answer.file.open("rb") as file:
            if answer.bytes_per_s is None and answer.damage_at is None:
                self.server.tally.add("bytes", amount=self.connection.sendfile(file, answer.start, most) if most else 0)
                return
            file.seek(answer.start)
            done = 0
            while done < most and (block := file.read(min(BLOCK, most - done))):
                self._trickle(answer, [_damaged(block, answer, answer.start + done)])
                done += len(block)
                self.server.tally.add("bytes", amount=len(block))

    def _trickle(self, answer: Answer, blocks: list[bytes]) -> None:
        for block in blocks:
            if answer.bytes_per_s is None:
                self.connection.sendall(block)
                continue
            step = max(int(answer.bytes_per_s / 20), 1)
            for place in range(0, len(block), step):
                piece = block[place : place + step]
                self.connection.sendall(piece)
                time.sleep(len(piece) / answer.bytes_per_s)

    def _hang_up(self) -> None:
        """Reset the connection, as a machine that goes away does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_WR)


class Loopback:
    """A service on a port of loopback. `with` starts and stops it; `base` is its address."""

    def __init__(self, answer: Callable[[Call], Answer], tally: Tally, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port))
        self._server.answer = answer
        self._server.tally = tally
        self.base = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="archive stand-in")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _damaged(block: bytes, answer: Answer, place: int) -> bytes:
    if answer.damage_at is None or not place <= answer.damage_at < place + len(block):
        return block
    spoilt = bytearray(block)
    spoilt[answer.damage_at - place] ^= 0xFF
    return bytes(spoilt)
