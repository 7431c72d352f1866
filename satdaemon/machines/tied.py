"""The far end of a worker that was started by SSH: it lives as long as somebody speaks at its standard input.

The near end writes a line every now and then. End of file (that process ended, or the connection broke) or silence (the
network is cut, and nobody says so) ends the worker in order, and for certain a while later. One worker of a machine
at a time has this host: a new one waits until the former is gone, so that a connection that comes back never makes two.
"""

from __future__ import annotations

import hashlib
import os
import select
import signal
import socket
import threading
import time

from satdaemon.config import Settings

GRACE_S = 20.0
"""A worker that was told to end and has not is ended."""
_LOOK_S = 0.2


def tie(silence_s: float) -> None:
    """From now on end this process at end of file at its standard input, or after so many seconds of silence there."""
    threading.Thread(target=_listen, args=(silence_s,), name="tied", daemon=True).start()


def _listen(silence_s: float) -> None:
    while True:
        ready, _, _ = select.select([0], [], [], silence_s)
        if not ready or not _read():
            break
    # Nobody reads what is said from here on: writing to a broken pipe must not disturb the end.
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (1, 2):
        os.dup2(null, fd)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def _read() -> bytes:
    try:
        return os.read(0, 4096)
    except OSError:
        return b""


def be_alone(settings: Settings, name: str) -> socket.socket:
    """Wait until no other worker of machine `name` runs on this host; what is returned is to be kept until the end."""
    digest = hashlib.sha256(f"{settings.parameters.database} {settings.parameters.processing_path} {name}".encode())
    place = socket.socket(socket.AF_UNIX)
    said = False
    while True:
        try:
            # A name of Linux's abstract namespace: free at once when its holder is gone, however it went.
            place.bind(f"\0satdaemon-worker-{digest.hexdigest()[:24]}")
        except OSError:
            if not said:
                print(f"worker {name}: waits for the former worker to end", flush=True)
            said = True
            time.sleep(_LOOK_S)
        else:
            return place
