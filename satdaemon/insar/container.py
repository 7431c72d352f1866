"""The members of a SAFE product, a zip or an unpacked directory, read in place. Nothing is ever extracted."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from satdaemon.errors import CorruptProduct, DataError

MAX_MEMBERS = 10_000
MAX_TEXT_BYTES = 64 * 2**20
"""Largest XML member that is read; real annotation is about 1 MB."""
MAX_RATIO = 500
"""Largest compression ratio of an XML member that is read; real annotation stays below 60."""
MAX_TOTAL_BYTES = 64 * 2**30
MAX_DIRECTORY_BYTES = 16 * 2**20
"""Largest table of contents of a zip that is read; a product's has some 20 kB."""
MANIFEST = "manifest.safe"
ENCRYPTED = 1
"""Bit of a zip member's flags (APPNOTE.TXT, 4.4.4)."""
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"


class Container(Protocol):
    """Names are relative to the `.SAFE` folder."""

    path: Path
    root: str
    """Name of the `.SAFE` folder."""

    def names(self) -> tuple[str, ...]:
        """Every file of the product."""

    def read(self, name: str) -> bytes:
        """A text member, whole; CorruptProduct where it is missing, damaged or unreasonably large."""

    def size(self, name: str) -> int:
        """Bytes of a member."""

    def gdal_path(self, name: str) -> str:
        """What GDAL opens to read the member in place."""


class ZipContainer:
    """A product zip."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._zip = path, archive
        self._check_members()
        manifests = [i for i in archive.namelist() if _is_manifest(i)]
        if len(manifests) != 1:
            raise CorruptProduct(f"{path}: expected one {MANIFEST} inside a .SAFE folder, found {len(manifests)}")
        self._prefix = manifests[0].removesuffix(MANIFEST)
        self.root = PurePosixPath(self._prefix).name

    def _check_members(self) -> None:
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS:
            raise CorruptProduct(f"{self.path}: {len(members)} members; a product has fewer than {MAX_MEMBERS}")
        for info in members:
            name = info.filename
            if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
                raise CorruptProduct(f"{self.path}: unsafe member name {name!r}; not a product zip")
            if info.flag_bits & ENCRYPTED:
                raise CorruptProduct(f"{self.path}: {name!r} is encrypted; a product zip is not")
        packed = sum(info.compress_size for info in members)
        if packed > self.path.stat().st_size:
            raise CorruptProduct(f"{self.path}: its members overlap ({packed} bytes in a smaller file); not a product zip")
        total = sum(info.file_size for info in members)
        if total > MAX_TOTAL_BYTES:
            raise CorruptProduct(f"{self.path}: would unpack to {total} bytes; a product stays below {MAX_TOTAL_BYTES}")

    def names(self) -> tuple[str, ...]:
        """Every file of the product."""
        return tuple(
            n.removeprefix(self._prefix) for n in self._zip.namelist() if n.startswith(self._prefix) and not n.endswith("/")
        )

    def _info(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._zip.getinfo(self._prefix + name)
        except KeyError:
            raise CorruptProduct(f"{self.path}: has no {name}") from None

    def read(self, name: str) -> bytes:
        """A text member, whole; CorruptProduct where it is missing, damaged or unreasonably large."""
        info = self._info(name)
        if info.file_size > MAX_TEXT_BYTES or info.file_size > MAX_RATIO * max(info.compress_size, 1024):
            raise CorruptProduct(
                f"{self.path}: {name} unpacks from {info.compress_size} to {info.file_size} bytes; "
                f"allowed are {MAX_TEXT_BYTES} bytes and a ratio of {MAX_RATIO}"
            )
        try:
            with self._zip.open(info) as member:
                return member.read(MAX_TEXT_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise CorruptProduct(f"{self.path}: {name} cannot be read: {error}") from error

    def size(self, name: str) -> int:
        """Bytes of a member."""
        return self._info(name).file_size

    def gdal_path(self, name: str) -> str:
        """What GDAL opens to read the member in place."""
        return f"/vsizip/{self.path.absolute()}/{self._prefix}{name}"


class DirectoryContainer:
    """An unpacked `.SAFE` directory."""

    def __init__(self, path: Path) -> None:
        self.path, self.root = path, path.name
        if not (path / MANIFEST).is_file():
            raise CorruptProduct(f"{path}: expected a .SAFE directory with a {MANIFEST}, found none")

    def names(self) -> tuple[str, ...]:
        """Every file of the product."""
        return tuple(sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file()))

    def read(self, name: str) -> bytes:
        """A text member, whole; CorruptProduct where it is missing, damaged or unreasonably large."""
        if self.size(name) > MAX_TEXT_BYTES:
            raise CorruptProduct(f"{self.path}: {name} has {self.size(name)} bytes; allowed are {MAX_TEXT_BYTES}")
        return (self.path / name).read_bytes()

    def size(self, name: str) -> int:
        """Bytes of a member."""
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            raise CorruptProduct(f"{self.path}: has no {name}") from None

    def gdal_path(self, name: str) -> str:
        """What GDAL opens to read the member in place."""
        return str(self.path / name)


def _is_manifest(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return len(parts) >= 2 and parts[-1] == MANIFEST and parts[-2].endswith(".SAFE") and "__MACOSX" not in parts


def _check_directory_size(path: Path) -> None:
    """Refuse a table of contents that would not fit in memory, before zipfile reads it (APPNOTE.TXT, 4.3.14 and 4.3.16)."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 2**16 - 200))
            tail = file.read()
    except OSError:
        return  # opening it says why
    sizes = [
        struct.unpack_from(form, tail, at + offset)[0]
        for mark, form, offset, length in ((_END, "<I", 12, 22), (_END_64, "<Q", 40, 56))
        if 0 <= (at := tail.rfind(mark)) <= len(tail) - length
    ]
    if any(MAX_DIRECTORY_BYTES < size != 2**32 - 1 for size in sizes):
        raise CorruptProduct(f"{path}: its table of contents has {max(sizes)} bytes; allowed are {MAX_DIRECTORY_BYTES}")


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """Open a product zip or `.SAFE` directory for reading in place.

    Raises
    ------
    DataError
        Nothing stands at `path`.
    CorruptProduct
        Not a zip, truncated, unsafe or without a manifest.
    """
    if path.is_dir():
        yield DirectoryContainer(path)
        return
    if not path.is_file():
        raise DataError(f"{path}: expected a Sentinel-1 product zip or .SAFE directory, found nothing")
    _check_directory_size(path)
    try:
        archive = zipfile.ZipFile(path)
    except PermissionError:
        raise DataError(f"{path}: may not be read: permission denied") from None
    except (zipfile.BadZipFile, OSError, EOFError, struct.error, ValueError, NotImplementedError) as error:
        raise CorruptProduct(f"{path}: not a complete zip ({path.stat().st_size} bytes): {error}; download it again") from error
    with archive:
        yield ZipContainer(path, archive)
