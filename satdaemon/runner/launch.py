"""The worker's side of a guard: start a program under one, hear how it ends, end it."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from satdaemon.runner.order import Ended, Order
from satdaemon.runner.server import JOB

SHARED_SERVER = "SATDAEMON_FORK_SERVER"
"""Environment: the Unix socket of a fork server that several workers of this host share."""
_SHARED_S = 5.0
ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator starts a thread when it is loaded
    }
)
"""The fork server has one thread; these libraries would start more when they are loaded."""


class GuardLost(ConnectionError):
    """The guard went away without saying how its program ended."""


class Child:
    """A program under guard. The connection is its life: closed, the guard ends the program."""

    def __init__(self, control: socket.socket, order: Order) -> None:
        self.control = control
        self.pid: int | None = None
        self._buffer = b""
        self._ended: Ended | None = None
        control.sendall(order.encode())

    def wait(self, timeout_s: float) -> Ended | None:
        """How the program ended, or None where it still runs after `timeout_s`. GuardLost where nobody can say."""
        deadline = time.monotonic() + timeout_s
        while self._ended is None:
            ready, _, _ = select.select([self.control], [], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                return None
            self._hear()
        return self._ended

    def _hear(self) -> None:
        try:
            chunk = self.control.recv(1 << 16)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise GuardLost("the job's guard went away")
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            value: Mapping[str, Any] = json.loads(line)
            if "started" in value:
                self.pid = value["started"]["pid"]
            if "ended" in value:
                self._ended = Ended(**value["ended"])

    def stop(self) -> None:
        """Ask the guard to end the program: SIGTERM, then SIGKILL after the order's grace."""
        try:
            self.control.sendall(b"stop\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Let go; a program that still runs is ended by its guard."""
        self.control.close()


class ForkServer:
    """A fork server of this process, started again when it has died."""

    def __init__(self, cores: int, *, light: bool = False) -> None:
        self.cores = cores
        self.light = light
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the server where none lives; it loads while the caller goes on."""
        if self.shared is None:
            with self._lock:
                self._ensure()

    @property
    def shared(self) -> str | None:
        """The socket of the server that this one stands for, where the host has one."""
        return None if self.light else os.environ.get(SHARED_SERVER)

    def _ensure(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair()
        environment = dict(os.environ, NUMBA_NUM_THREADS=str(max(self.cores, 1)), **ONE_THREAD)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "satdaemon.runner.server", str(theirs.fileno()), *(["light"] if self.light else [])],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._control = ours
        return ours

    def connect(self) -> socket.socket:
        """A connection to a guard that the server forks. OSError where the server cannot be reached."""
        if self.shared is not None:
            return _connect(self.shared)
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._ensure(), [JOB], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """End the server; guards that live go on."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                self._process.terminate()
                self._process.wait(10)
            self._control = self._process = None


def _connect(path: str) -> socket.socket:
    """Connect to a shared server, which may be starting."""
    deadline = time.monotonic() + _SHARED_S
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return connection


_servers: dict[bool, ForkServer] = {}
_servers_lock = threading.Lock()


def fork_server(cores: int = 1, *, light: bool = False) -> ForkServer:
    """A fork server of this process; `cores` counts where it is made by this call."""
    with _servers_lock:
        if light not in _servers:
            _servers[light] = ForkServer(cores, light=light)
        return _servers[light]


def start_builtin(order: Order) -> Child:
    """Run a built-in processor in a fork of the fork server, or in a plain interpreter where that fails."""
    return _from_server(fork_server(), order) or start_program(_as_program(order))


def _from_server(server: ForkServer, order: Order) -> Child | None:
    """The job's program, begun; None where the server, or the guard that it forked, is gone before that."""
    try:
        child = Child(server.connect(), order)
        while child.pid is None and child.wait(0.05) is None:
            continue
    except OSError as error:
        print(f"fork server: {error!r}: the job is started without it", file=sys.stderr, flush=True)
        return None
    return child


def _as_program(order: Order) -> Order:
    argv = (sys.executable, "-m", order.module, order.input_path)
    return Order(**{**{name: getattr(order, name) for name in Order.__slots__}, "argv": argv})


def start_program(order: Order) -> Child:
    """Run any program under a guard."""
    return _from_server(fork_server(light=True), order) or _with_own_guard(order)


def _with_own_guard(order: Order) -> Child:
    ours, theirs = socket.socketpair()
    with theirs:
        guard = subprocess.Popen(
            [sys.executable, "-m", "satdaemon.runner.guard", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    threading.Thread(target=guard.wait, name="guard-wait", daemon=True).start()
    return Child(ours, order)
