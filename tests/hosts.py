"""Hosts of their own on this machine: network namespaces with an address each, on one switch (ip-netns(8), veth(4)).

Needs root: whoever may not make namespaces cannot have hosts.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
NETWORK = "10.77.0.0/24"


def may_be_made() -> bool:
    """True where this user may make network namespaces, and iproute2 is there."""
    probe = f"sd-probe-{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
    if made:
        _ip("netns", "del", probe)
    return made


class Host:
    """One host: its name, its address, and whether its cable is in."""

    def __init__(self, name: str, address: str, space: str, switch: str) -> None:
        self.name = name
        self.address = address
        self._space = space
        self._switch = switch

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread starts meanwhile, it starts on that host (setns(2) is of a thread)."""
        with Path("/proc/thread-self/ns/net").open() as home, Path("/run/netns", self._space).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def unplug(self) -> None:
        """Pull the cable: nothing gets in or out, nobody is told."""
        _ip("-n", self._switch, "link", "set", self.name, "down")

    def plug_in(self) -> None:
        """Put the cable back."""
        _ip("-n", self._switch, "link", "set", self.name, "up")


@contextmanager
def hosts(addresses: Mapping[str, str]) -> Iterator[dict[str, Host]]:
    """Hosts of these names and addresses within `NETWORK`, gone afterwards."""
    mark, width = f"sd{os.getpid()}", NETWORK.partition("/")[2]
    switch = f"{mark}-switch"
    spaces = {name: f"{mark}-{name}" for name in addresses}
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for name, address in addresses.items():
            _ip("netns", "add", spaces[name])
            _ip("-n", spaces[name], "link", "set", "lo", "up")
            _ip("-n", switch, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", spaces[name])
            _ip("-n", switch, "link", "set", name, "master", "bridge", "up")
            _ip("-n", spaces[name], "address", "add", f"{address}/{width}", "dev", "eth0")
            _ip("-n", spaces[name], "link", "set", "eth0", "up")
        yield {name: Host(name, address, spaces[name], switch) for name, address in addresses.items()}
    finally:
        for space in (*spaces.values(), switch):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
