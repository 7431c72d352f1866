"""A file that appears when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from satdaemon.errors import RequestError


def check_free(path: Path, *, force: bool) -> None:
    """RequestError where `path` is taken, or its directory is not there."""
    if not path.parent.is_dir():
        raise RequestError(f"{path}: expected its directory {path.parent} to exist; make it first")
    if path.is_dir():
        raise RequestError(f"{path}: expected the name of a file, got a directory")
    if path.exists() and not force:
        raise RequestError(f"{path}: exists already; choose another name, or --force to replace it")


@contextmanager
def new_name(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it at the end; removed on an error."""
    check_free(path, force=force)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """The same, open to write."""
    with new_name(path, force=force) as part, part.open("wb") as stream:
        yield stream
