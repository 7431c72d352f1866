"""A real SSH server on loopback, with keys, configuration and client configuration of its own below a directory."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest
from engine_parts import until

from deployments.services import free_port
from satdaemon.machines.patience import listens

UNPACKED = os.environ.get("SATDAEMON_SSHD_ROOT", "")
"""Where scripts/_sshd has unpacked Debian's package."""


class SshServer:
    """sshd at a free port; `client` reaches it."""

    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, mode=0o700)
        self.place, self.port = place, free_port("127.0.0.1")
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
        (place / "authorized_keys").write_text((place / "user.pub").read_text())
        (place / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {(place / 'host.pub').read_text()}")
        (place / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized_keys\n"
            f"PidFile {place}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        (place / "config").write_text(
            f"Host *\nPort {self.port}\nUser {getpass.getuser()}\nIdentityFile {place}/user\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {place}/known_hosts\nStrictHostKeyChecking yes\n"
        )
        self.client = f"ssh -F {place}/config"

    def start(self) -> None:
        """Begin to listen."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it
        places = map(str, Path(UNPACKED, "usr/lib").glob("*-linux-gnu")) if UNPACKED else ()
        libraries = {"LD_LIBRARY_PATH": ":".join(places)} if UNPACKED else {}
        with (self.place / "log").open("ab") as log:
            argv = [program(), "-D", "-e", "-f", str(self.place / "sshd_config")]
            self.process = subprocess.Popen(argv, stderr=log, env={**os.environ, **libraries})
        until(lambda: listens(f"tcp://127.0.0.1:{self.port}"), 20.0, "sshd listening")

    def connections(self) -> list[psutil.Process]:
        """The processes that serve connections; the listener is none of them."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> None:
        """Listen no more; connections that stand go on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


def program() -> str:
    """The SSH server's program."""
    found = shutil.which("sshd", path=os.pathsep.join([f"{UNPACKED}/usr/sbin", os.environ.get("PATH", ""), "/usr/sbin"]))
    return found or ""


def needed() -> None:
    """Skip where there is no SSH server or client."""
    if not program() or shutil.which("ssh") is None:
        pytest.skip("expected sshd and ssh: apt-get install openssh-server openssh-client, or run by scripts/test")
