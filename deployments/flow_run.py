"""The process of a flow run, as Prefect's process worker starts it.   python -m deployments.flow_run

It asks the process worker's flow server (deployments.flow_server) for a fork in which everything is loaded, and stands for
it: signals go there, the exit code comes from there, and where this one is killed the fork is killed too. Without a server
that answers it becomes `python -m prefect.engine`, which is the same and takes seconds of loading.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys

from satdaemon.machines.tether import tie
from satdaemon.runner.wake import wake_pipe

SERVER = "SATDAEMON_FLOW_SERVER"
"""Environment: the Unix socket of the flow server, set by the process worker for what it starts."""
STARTED = b"S"
ENDED = b"E"
CODE = struct.Struct("!i")
SIZE = struct.Struct("!I")
FORWARDED = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Run the flow run that the environment names."""
    status = _in_a_fork(os.environ.get(SERVER))
    if status is not None:
        _end_as(status)
    tie()
    os.execv(sys.executable, [sys.executable, "-m", "prefect.engine"])


def _in_a_fork(path: str | None) -> int | None:
    """The exit code of the fork, less than 0 for a signal; None where no fork was begun."""
    if path is None:
        return None
    signals, _ = wake_pipe()
    for number in FORWARDED:
        signal.signal(number, lambda *_: None)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            _send_order(connection)
            if connection.recv(1) == STARTED:
                return _stand_for(connection, signals)
    except OSError as error:
        print(f"flow server: {error!r}: the flow run is started without it", file=sys.stderr, flush=True)
    _as_before(signals)
    return None


def _send_order(connection: socket.socket) -> None:
    order = json.dumps({"env": dict(os.environ), "cwd": os.getcwd()}).encode()  # noqa: PTH109 - pathlib takes time to load
    socket.send_fds(connection, [SIZE.pack(len(order))], [0, 1, 2])
    connection.sendall(order)


def _stand_for(connection: socket.socket, signals: int) -> int:
    """Pass signals on until the fork has ended."""
    answer = b""
    while len(answer) < 1 + CODE.size:
        ready, _, _ = select.select([connection.fileno(), signals], [], [])
        if signals in ready:
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(os.read(signals, 64))
        if connection.fileno() in ready:
            chunk = connection.recv(64)
            if not chunk:  # the server is gone, and its forks with it
                return -signal.SIGTERM
            answer += chunk
    (status,) = CODE.unpack(answer[1:])
    return int(status)


def _as_before(signals: int) -> None:
    """What came while a server was tried counts for the program that this becomes."""
    signal.set_wakeup_fd(-1)
    with contextlib.suppress(BlockingIOError):
        for number in os.read(signals, 64):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
    for number in FORWARDED:
        signal.signal(number, signal.SIG_DFL)


def _end_as(status: int) -> None:
    if status < 0:
        signal.set_wakeup_fd(-1)
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
