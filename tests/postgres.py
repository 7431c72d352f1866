"""A private PostgreSQL + PostGIS for the test run: own directory, unix socket only, no superuser needed."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg2

UNPACKED = "SATDAEMON_PG_ROOT"
"""Environment variable that scripts/test sets to where it unpacked PostgreSQL's packages, where it may not install."""
TEMPLATE = "satdaemon_template"
OPTIONS = "-c listen_addresses='' -c max_connections=80"
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
"""Not safe in a crash; tests of crashes do without."""


class Cluster:
    """A running cluster; `directory` holds its data and its socket."""

    def __init__(
        self, directory: Path, binaries: Path, user: dict[str, object], options: str, environment: Mapping[str, str]
    ) -> None:
        self.directory = directory
        self.binaries = binaries
        self._user = user
        self._options = options
        self._environment = environment

    def run(self, program: str, *arguments: str) -> None:
        """Run a PostgreSQL program as the cluster's owner."""
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.directory), **_libraries()}
        environment |= self._environment
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, **self._user
        )  # type: ignore[call-overload]
        if done.returncode:
            log = self.directory / "log"
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}\n{log.read_text() if log.exists() else ''}")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"{OPTIONS} {self._options} -k {self.directory}"
        self.run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    @property
    def pid(self) -> int | None:
        """The server's process, None where it left none."""
        file = self.directory / "data" / "postmaster.pid"
        try:
            return int(file.read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    @property
    def is_up(self) -> bool:
        """True while the server's process lives."""
        pid = self.pid
        return pid is not None and Path(f"/proc/{pid}").exists()

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; `immediate` is a crash."""
        self.run("pg_ctl", "-D", "data", "-m", mode, "-w", "stop")

    def sql(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside a transaction."""
        connection = psycopg2.connect(host=str(self.directory), user="satdaemon", dbname=database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def rows(self, query: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a query finds."""
        connection = psycopg2.connect(host=str(self.directory), user="satdaemon", dbname=database)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg2://satdaemon@/{database}?host={self.directory}"

    @contextmanager
    def database(self, template: str | None = TEMPLATE) -> Iterator[str]:
        """URL of a database made from a template, dropped afterwards."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        try:
            yield self.url(name)
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


def binaries() -> Path:
    """Directory of PostgreSQL's programs; RuntimeError that says what to install."""
    root = Path(os.environ.get(UNPACKED, "/"))
    found = sorted((root / "usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for directory in reversed(found):
        if (directory / "initdb").exists():
            return directory
    raise RuntimeError(
        "tests need PostgreSQL with PostGIS: bash scripts/test installs or unpacks it; as root: "
        "apt-get install postgresql-15-postgis-3"
    )


def _libraries() -> dict[str, str]:
    """Where packages that were only unpacked have their libraries and projections."""
    if UNPACKED not in os.environ:
        return {}
    root = Path(os.environ[UNPACKED])
    machine = f"{platform.machine()}-linux-gnu"
    folders = [root / "usr/lib" / machine, root / "lib" / machine]
    folders += [root / "usr/lib" / machine / name for name in ("blas", "lapack")]
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders)), "PROJ_DATA": str(root / "usr/share/proj")}


@contextmanager
def cluster(options: str = FAST, environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[Cluster]:
    """Make, start and in the end remove a cluster. As root the server runs as an unprivileged account."""
    directory = Path(tempfile.mkdtemp(prefix="satdaemon-pg-", dir="/tmp"))
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        account = _account()
        os.chown(directory, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    directory.chmod(0o755)
    server = Cluster(directory, binaries(), user, options, environment)
    server.run("initdb", "-D", "data", "-U", "satdaemon", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
    server.start()
    try:
        yield server
    finally:
        if server.is_up:
            server.stop()
        shutil.rmtree(directory)


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("tests as root need an unprivileged account (postgres or nobody) to run PostgreSQL")
