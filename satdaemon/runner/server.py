"""The fork server: libraries loaded once, a guard forked for each job.

    python -m satdaemon.runner.server FD [light]         FD is the worker's end of a socket pair
    python -m satdaemon.runner.server listen PATH [light]    one for several workers of a host, at a Unix socket

A worker has two: one with the heavy libraries, for built-in jobs, and a light one with none, for programs that are
not ours (what a process has loaded counts as its memory until it becomes another program).

The server is a single thread and stays so: nothing that starts threads or a parallel numba region may run in it.
For each job the worker sends one byte with a socket attached, or connects; the guard that is forked reads its order
from that socket and answers on it. A server with a worker of its own ends when that does. Guards outlive their server:
each ends by its own control connection.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from satdaemon.runner.guard import Guard, execute
from satdaemon.runner.order import Order, read_line
from satdaemon.runner.wake import reap, wake_pipe

JOB = b"J"
HEAVY = (
    "numpy",
    "scipy.sparse",
    "scipy.ndimage",
    "numba",
    "rasterio",
    "zarr",
    "shapely",
    "eos.sar",
    "whirlwind",
    "satdaemon.config",
    "satdaemon.db",
    "satdaemon.runner.child",
    "satdaemon.runner.quicklooks",
    "satdaemon.processors.builtin.download",
    "satdaemon.processors.builtin.slc",
    "satdaemon.processors.builtin.satsar",
    "satdaemon.processors.builtin.coherence",
    "satdaemon.processors.builtin.unwrap",
    "satdaemon.processors.builtin.timeseries",
    "satdaemon.processors.builtin.ingest",
    "satdaemon.processors.quicklooks",
    "PIL.PngImagePlugin",
)


def load(names: tuple[str, ...] = HEAVY) -> None:
    """Import what jobs need. What cannot be imported is said here, and fails the job that needs it."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"fork server: {name} is not loaded: {error}", file=sys.stderr, flush=True)


def serve(control: socket.socket, take: Callable[[socket.socket], list[int] | None]) -> None:
    """Fork a guard for each socket that `take` gets from `control`, until it says None."""
    wake, wake_end = wake_pipe()
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            reap()
        if control.fileno() in ready:
            fds = take(control)
            if fds is None:
                return
            for fd in fds:
                _fork_guard(fd, (control.fileno(), wake, wake_end))
                os.close(fd)


def receive(control: socket.socket) -> list[int] | None:
    """Sockets that the worker sent; None where it is gone."""
    word, fds, _, _ = socket.recv_fds(control, 1, 1)
    return fds if word else None


def accept(control: socket.socket) -> list[int]:
    """The socket of a worker that connected."""
    connection, _ = control.accept()
    return [connection.detach()]


def _fork_guard(fd: int, close: tuple[int, ...]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        return
    try:
        signal.set_wakeup_fd(-1)
        for other in close:
            os.close(other)
        connection = socket.socket(fileno=os.dup(fd))
        os.close(fd)
        order = Order.decode(read_line(connection))
        Guard(connection, order, execute if order.argv else _process).run()
    except BaseException as error:
        print(f"fork server: guard: {error!r}", file=sys.stderr, flush=True)
        raise
    finally:
        os._exit(0)


def _process(order: Order) -> None:
    importlib.import_module(order.module).process(order)  # loaded already, but not in a light server


def main() -> None:
    """Load, then serve the socket that the arguments name."""
    is_shared = sys.argv[1] == "listen"
    if is_shared:
        place = Path(sys.argv[2])
        place.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX)
        control.bind(str(place))
        place.chmod(0o600)
        control.listen(512)  # who connects while the libraries load waits here
    else:
        control = socket.socket(fileno=int(sys.argv[1]))
        os.setsid()
    started = time.monotonic()
    load(() if sys.argv[-1] == "light" else HEAVY)
    threads = len(list(Path("/proc/self/task").iterdir()))
    gc.collect()
    gc.freeze()  # what is loaded stays shared between the server and its forks
    print(f"fork server: ready after {time.monotonic() - started:.1f} s, {threads} thread(s)", file=sys.stderr, flush=True)
    if threads != 1:
        raise SystemExit(f"fork server: expected one thread after loading, got {threads}: forks would not be safe")
    serve(control, accept if is_shared else receive)


if __name__ == "__main__":
    main()
