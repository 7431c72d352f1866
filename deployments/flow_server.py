"""The flow server: Prefect and the flows loaded once, a fork for each flow run.   python -m deployments.flow_server PATH

To load them takes some seconds of processor, for each turn of the planner and each flow run of a frame. The process worker
starts one server and names its Unix socket in the environment of the flow runs (deployments.flow_run), which ask it for a
fork: with their environment, their directory and their standard streams. The fork then does what `python -m prefect.engine`
does. The server is one thread and stays so: nothing that starts threads may run in it. Forks end with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

from deployments.flow_run import CODE, ENDED, SIZE, STARTED
from satdaemon.machines.tether import tie
from satdaemon.runner.wake import reap, wake_pipe

LOADED = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect._internal.metrics",
    "flows.frame",
    "flows.maintenance",
    "flows.planner",
    "flows.watch",
    "satdaemon.db",
)
_ORDER_S = 10.0
_MOST = 1 << 24
"""Bytes of an order."""


class Order(NamedTuple):
    """What a fork takes from the process that stands for it."""

    env: dict[str, str]
    cwd: str
    streams: list[int]
    """Its standard streams, as file descriptors."""


class FlowServer:
    """Forks, each with the connection of the process that stands for it."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self._wake, self._wake_end = wake_pipe()
        self._forks: dict[socket.socket, int] = {}

    def serve(self) -> None:
        """Fork for whoever connects, for ever. A fork comes back from here as well, by the exception that ends it."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ears = {one.fileno(): one for one in (self.listener, *self._forks)}
            ready, _, _ = select.select([self._wake, *ears], [], [])
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            for connection in [ears[fd] for fd in ready if fd in ears]:
                if connection in self._forks:
                    self._hear(connection)
            if self.listener.fileno() in ready:
                self._take(self.listener.accept()[0])

    def _take(self, connection: socket.socket) -> None:
        """One order, and the fork that carries it out."""
        try:
            connection.settimeout(_ORDER_S)
            order = _receive(connection)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            print(f"flow server: expected an order, got {error!r}", file=sys.stderr, flush=True)
            connection.close()
            return
        self._fork(connection, order)
        for fd in order.streams:
            os.close(fd)

    def _fork(self, connection: socket.socket, order: Order) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._let_go()
            connection.close()
            _become(order, parent)
        connection.setblocking(False)
        self._forks[connection] = pid
        self._say(connection, STARTED)

    def _let_go(self) -> None:
        """In a fork: what belongs to the server alone is closed."""
        signal.set_wakeup_fd(-1)
        for one in (self.listener, *self._forks):
            one.close()
        os.close(self._wake)
        os.close(self._wake_end)

    def _hear(self, connection: socket.socket) -> None:
        """Signals for the fork; where who stands for it is gone, it is killed."""
        try:
            numbers = connection.recv(64)
        except BlockingIOError:
            return
        except OSError:
            numbers = b""
        with contextlib.suppress(ProcessLookupError):
            for number in numbers or (signal.SIGKILL,):
                os.kill(self._forks[connection], number)
        if not numbers:
            self._forget(connection)

    def _reap(self) -> None:
        ended = reap()
        for connection in [one for one, fork in self._forks.items() if fork in ended]:
            self._say(connection, ENDED + CODE.pack(os.waitstatus_to_exitcode(ended[self._forks[connection]])))
            self._forget(connection)

    def _say(self, connection: socket.socket, word: bytes) -> None:
        with contextlib.suppress(OSError):  # who does not listen any more is found gone when its signals are read
            connection.sendall(word)

    def _forget(self, connection: socket.socket) -> None:
        del self._forks[connection]
        connection.close()


def _receive(connection: socket.socket) -> Order:
    head, fds, _, _ = socket.recv_fds(connection, SIZE.size, 3)
    try:
        (size,) = SIZE.unpack(head + _exactly(connection, SIZE.size - len(head)))
        if size > _MOST or len(fds) != 3:
            raise ValueError(f"{size} bytes and {len(fds)} streams")
        order = json.loads(_exactly(connection, size))
        return Order({str(name): str(value) for name, value in order["env"].items()}, str(order["cwd"]), fds)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        chunk = connection.recv(size - len(found))
        if not chunk:
            raise ConnectionError(f"an end after {len(found)} of {size} bytes")
        found += chunk
    return found


def _become(order: Order, parent: int) -> None:
    """In a fork: be the flow run's process. Ends by SystemExit, so that the interpreter ends as it does for any program."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in any Python program
    os.setsid()
    tie(parent)
    for place, fd in enumerate(order.streams):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.env)
    from prefect import context, engine

    context.refresh_global_settings_context()
    sys.argv = ["prefect.engine"]
    runpy.run_path(str(engine.__file__), run_name="__main__")
    sys.exit(0)


def main() -> None:
    """Load, then serve."""
    place = Path(sys.argv[1])
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    place.chmod(0o600)
    listener.listen(128)  # who connects while the flows load waits here
    started = time.monotonic()
    for name in LOADED:
        importlib.import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        print(f"flow server: expected one thread after loading, got {threads}: forks are not safe", file=sys.stderr, flush=True)
        listener.close()  # flow runs load for themselves; to end would be to be started, and to load, again and again
        while True:
            signal.pause()
    gc.collect()
    gc.freeze()  # what is loaded stays shared between the server and its forks
    print(f"flow server: ready after {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    FlowServer(listener).serve()


if __name__ == "__main__":
    main()
