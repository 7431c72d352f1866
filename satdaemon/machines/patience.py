"""Waiting for what a service needs instead of dying, and saying so."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

_QUIET_S = 5.0
_SAY_S = 60.0
_LOOK_S = 0.3


def listens(url: str, timeout_s: float = 2.0) -> bool:
    """True where somebody listens at the host and port of `url`."""
    place = urlsplit(url)
    try:
        with socket.create_connection((place.hostname or "127.0.0.1", place.port or 0), timeout_s):
            return True
    except OSError:
        return False


async def wait_for(what: str, true: Callable[[], bool], stop: asyncio.Event, who: str) -> bool:
    """Wait until `true()`, saying once a minute that `who` waits for `what`; False where `stop` was set before."""
    said = time.monotonic() - _SAY_S + _QUIET_S
    waited = False
    while not stop.is_set():
        if await asyncio.to_thread(true):
            if waited:
                print(f"{who}: {what} answers", flush=True)
            return True
        if time.monotonic() - said >= _SAY_S:
            said, waited = time.monotonic(), True
            print(f"{who}: waits for {what}", flush=True)
        await asyncio.sleep(_LOOK_S)
    return False
