"""PostgreSQL's own dump: pg_dump and pg_restore, found, checked against the server, the password in their environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from sqlalchemy import URL, Engine, text

from satdaemon.db.failures import shown
from satdaemon.db.session import READ_ONLY
from satdaemon.db.transfer.publish import new_name
from satdaemon.db.transfer.source import quoted
from satdaemon.db.transfer.tables import model_tables
from satdaemon.errors import CorruptProduct, RequestError

MAGIC = b"PGDMP"
_PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin", "opt/homebrew/opt/postgresql*/bin")
_LEFT_OUT = re.compile(r"^\d+; \d+ \d+ (SCHEMA|COMMENT - SCHEMA|ACL - SCHEMA|EXTENSION|COMMENT - EXTENSION) ")
_PIECE = 1 << 20


def program(name: str, major: int) -> Path:
    """A PostgreSQL program that suits a server: of its major version or later, the nearest that there is."""
    first = shutil.which(name)
    found = [Path(first)] if first else []
    for place in _PLACES:
        found += sorted(p / name for p in Path("/").glob(place) if (p / name).exists())
    majors = {path: own for path in dict.fromkeys(found) if (own := _major(path)) is not None}
    fitting = [path for path, own in majors.items() if own >= major]
    if fitting:
        return min(fitting, key=lambda path: majors[path])
    got = ", ".join(f"{path} of {own}" for path, own in majors.items()) or "none"
    raise RequestError(
        f"expected {name} of PostgreSQL {major} or later, found {got}; install postgresql-client-{major}, "
        "or use --format portable"
    )


def _major(path: Path) -> int | None:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(match[1]) if match else None


def server_major(engine: Engine) -> int:
    """Major version of the server."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        return int(connection.execute(text("SELECT current_setting('server_version_num')")).scalar_one()) // 10000


def write_dump(engine: Engine, path: Path, *, points: bool = True, force: bool = False) -> int:
    """pg_dump of the schema that SatDaemon's tables are in; returns bytes. The file appears when it is whole."""
    tool = program("pg_dump", server_major(engine))
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        schema = str(connection.execute(text("SELECT current_schema()")).scalar_one())
    command = [str(tool), "--format=custom", "--no-owner", "--no-privileges", f"--schema={quoted(schema)}"]
    if not points:
        command += [f"--exclude-table-data={table.name}*" for table in model_tables() if table.points]
    with new_name(path, force=force) as part:
        _run([*command, f"--file={part}", f"--dbname={_target(engine.url)}"], engine.url)
        return part.stat().st_size


def tables_in(engine: Engine, path: Path) -> list[str]:
    """Names of the tables whose rows are in a dump; CorruptProduct where it is not one."""
    return sorted(match[1] for line in _list(engine, path) if (match := re.search(r" TABLE DATA \S+ (\S+) ", line)))


def revision_in(engine: Engine, path: Path) -> str | None:
    """The schema's revision in a dump."""
    tool = program("pg_restore", server_major(engine))
    told = _run([str(tool), "--data-only", "--table=alembic_version", "--file=-", str(path)], engine.url)
    match = re.search(r"^COPY .*alembic_version .*\n(\S+)$", told, re.MULTILINE)
    return match[1] if match else None


def read_dump(engine: Engine, path: Path) -> None:
    """Put a dump in place of SatDaemon's tables, in one transaction, which the caller knows to hold no rows of users.

    PostGIS stays as the database has it.
    """
    major = server_major(engine)
    tool, psql = program("pg_restore", major), program("psql", major)
    with tempfile.TemporaryDirectory(prefix="satdaemon-restore-") as place:
        names = Path(place) / "names"
        names.write_text("".join(f"{line}\n" for line in _list(engine, path) if not _LEFT_OUT.match(line)))
        own = ("--clean", "--if-exists", "--no-owner", "--no-privileges")
        make: list[str | Path] = [tool, *own, f"--use-list={names}", "--file=-", path]
        run: list[str | Path] = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}"]
        run.append(f"--dbname={_target(engine.url)}")
        with (
            (Path(place) / "made").open("w+b") as made,
            (Path(place) / "ran").open("w+b") as ran,
            subprocess.Popen(make, stdout=subprocess.PIPE, stderr=made) as making,
            subprocess.Popen(run, stdin=subprocess.PIPE, stderr=ran, env=_environment(engine.url)) as running,
        ):
            whole = _pump(making, running)
            if not whole:
                running.kill()  # closing its input would commit what came so far
            code = running.wait()
            assert running.stdin is not None
            with suppress(BrokenPipeError):
                running.stdin.close()  # what is left in its buffer has no reader
            if making.wait() and not whole and code < 0:
                raise CorruptProduct(f"{path}: pg_restore: {_said(made)}")
            if code:
                raise RequestError(f"psql on {shown(engine.url)}: nothing was changed: {_said(ran)}")


def _pump(making: subprocess.Popen[bytes], running: subprocess.Popen[bytes]) -> bool:
    """The script from one to the other, within one transaction; False where it ended early."""
    assert making.stdout is not None and running.stdin is not None
    try:
        running.stdin.write(_prologue().encode())
        first = True
        while piece := making.stdout.read(_PIECE):
            # Programs newer than the server set what it does not know.
            running.stdin.write(re.sub(rb"(?m)^SET transaction_timeout = 0;$", b"", piece, count=1) if first else piece)
            first = False
        if making.wait():
            return False
        running.stdin.write(b"\nCOMMIT;\n")
        running.stdin.close()
    except BrokenPipeError:
        making.kill()
        running.wait()  # it has said why
    return True


def _prologue() -> str:
    names = ", ".join(quoted(table.name) for table in reversed(model_tables()))
    return f"BEGIN;\nDROP VIEW IF EXISTS ledger;\nDROP TABLE IF EXISTS {names}, alembic_version;\n"


def _said(stream: IO[bytes]) -> str:
    stream.seek(0)
    return " ".join(stream.read().decode(errors="replace").split())


def _list(engine: Engine, path: Path) -> list[str]:
    tool = program("pg_restore", server_major(engine))
    try:
        return _run([str(tool), "--list", str(path)], engine.url).splitlines()
    except RequestError as error:
        raise CorruptProduct(f"{path}: expected a whole dump of pg_dump's custom format: {error}") from error


def _run(command: Sequence[str], url: URL) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=_environment(url), check=False)
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise RequestError(f"{Path(command[0]).name} for {shown(url)}: {said or f'exit code {done.returncode}'}")
    return done.stdout.decode()


def _target(url: URL) -> str:
    """The URL as PostgreSQL's programs read it, without the password: everybody can read the list of processes."""
    return url.set(drivername="postgresql", password=None).render_as_string()


def _environment(url: URL) -> Mapping[str, str]:
    own = {"PGPASSWORD": str(url.password)} if url.password else {}
    return {**os.environ, **own, "PGCLIENTENCODING": "UTF8"}
