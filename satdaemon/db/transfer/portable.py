"""The portable dump: one zip of `manifest.json` and one Parquet file a table, checksummed, read and written in streams.

Parquet compresses by itself, so the zip stores its members as they are, and a member is read in place.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from satdaemon import __version__
from satdaemon.db.transfer.kinds import Kind
from satdaemon.db.transfer.publish import new_file
from satdaemon.db.transfer.source import BATCH, Source
from satdaemon.db.transfer.tables import Column, Table
from satdaemon.errors import CorruptProduct, RequestError

FORMAT, FORMAT_VERSION = "satdaemon-portable", 1
MANIFEST = "manifest.json"
_LOCAL_HEADER = 30
"""Bytes of a zip member's fixed local header; the lengths of its name and extra field are at 26 (APPNOTE 4.3.7)."""
_PIECE = 1 << 20
Progress = Callable[[str, int, int], None]
"""Called with what is under way, rows done and rows in all."""


@dataclass(frozen=True, slots=True)
class _Member:
    table: Table
    rows: int
    last_number: int | None
    file: str
    bytes: int
    sha256: str


def write_portable(source: Source, path: Path, *, force: bool = False, progress: Progress | None = None) -> dict[str, int]:
    """Write a dump of all that `source` has; table -> rows. The file appears when it is whole."""
    counts = {table.name: source.count(table) for table in source.tables}
    total, done = sum(counts.values()), 0
    members = []
    with new_file(path, force=force) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for table in source.tables:
            name = f"tables/{table.name}.parquet"
            with archive.open(name, "w", force_zip64=True) as entry:
                counted = _Hashed(entry)
                rows = 0
                with pq.ParquetWriter(counted, table.schema, compression="zstd") as writer:
                    for batch in source.batches(table):
                        writer.write_batch(batch)
                        rows += batch.num_rows
                        if progress is not None:
                            progress(table.name, done + rows, total)
            done += rows
            members.append(_Member(table, rows, source.last_number(table), name, counted.size, counted.digest.hexdigest()))
        archive.writestr(MANIFEST, json.dumps(_manifest(source, members), indent=1))
    return {member.table.name: member.rows for member in members}


def _manifest(source: Source, members: list[_Member]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "satdaemon": __version__,
        "revision": source.revision,
        "from": source.name,
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": [
            {
                "name": m.table.name,
                "rows": m.rows,
                "key": list(m.table.key),
                "numbered": m.table.numbered,
                "last_number": m.last_number,
                "columns": [{"name": c.name, "kind": c.kind.value} for c in m.table.columns],
                "file": m.file,
                "bytes": m.bytes,
                "sha256": m.sha256,
            }
            for m in members
        ],
    }


class PortableSource:
    """A dump, opened by `open_portable`."""

    def __init__(self, path: Path, stream: IO[bytes], archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
        self.name = str(path)
        self.revision = str(manifest["revision"])
        self.about = {key: manifest[key] for key in ("satdaemon", "revision", "from", "created_utc")}
        self._stream = stream
        self._archive = archive
        self._members = {m.table.name: m for m in map(_member, manifest["tables"])}
        self.tables = [m.table for m in self._members.values()]

    def count(self, table: Table) -> int:
        """How many rows."""
        return self._members[table.name].rows

    def last_number(self, table: Table) -> int | None:
        """The last number that the database gave by itself to a row of this table."""
        return self._members[table.name].last_number

    def batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        """The rows, in the order of the key."""
        with self._window(self._members[table.name]) as window:
            file = pq.ParquetFile(window)
            if not file.schema_arrow.equals(table.schema):
                got = file.schema_arrow.names
                raise CorruptProduct(f"{self.name}: table {table.name}: expected the columns of its manifest, got {got}")
            for batch in file.iter_batches(batch_size=BATCH):
                yield pa.RecordBatch.from_arrays(batch.columns, schema=table.schema)

    def check(self, progress: Progress | None = None) -> None:
        """CorruptProduct where a table is not what was written."""
        total, done = sum(m.bytes for m in self._members.values()), 0
        for member in self._members.values():
            digest, size = hashlib.sha256(), 0
            with self._window(member) as window:
                while piece := window.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    if progress is not None:
                        progress(f"checking {member.table.name}", done + size, total)
            done += size
            if (size, digest.hexdigest()) != (member.bytes, member.sha256):
                raise CorruptProduct(
                    f"{self.name}: {member.file}: expected {member.bytes} bytes with SHA-256 {member.sha256[:12]}..., "
                    f"got {size} with {digest.hexdigest()[:12]}...: the dump is damaged, use another copy"
                )

    def _window(self, member: _Member) -> io.BufferedReader:
        try:
            entry = self._archive.getinfo(member.file)
        except KeyError as error:
            raise CorruptProduct(f"{self.name}: expected a member {member.file}, found none: the dump is damaged") from error
        self._stream.seek(entry.header_offset)
        header = self._stream.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or entry.compress_type != zipfile.ZIP_STORED:
            raise CorruptProduct(f"{self.name}: {member.file}: expected a stored member, got another: the dump is damaged")
        name, extra = struct.unpack_from("<HH", header, 26)
        start = entry.header_offset + _LOCAL_HEADER + name + extra
        return io.BufferedReader(_Window(self._stream, start, entry.file_size), _PIECE)


@contextmanager
def open_portable(path: Path) -> Iterator[PortableSource]:
    """Open a dump; CorruptProduct where it is not one, or not whole."""
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                manifest = json.loads(archive.read(MANIFEST))
                if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
                    raise CorruptProduct(f"{path}: expected a dump written by `satdaemon db dump`, got another zip")
                if manifest["format_version"] > FORMAT_VERSION:
                    raise RequestError(
                        f"{path}: written by SatDaemon {manifest.get('satdaemon')} in format {manifest['format_version']}, "
                        f"this program knows up to {FORMAT_VERSION}; update SatDaemon"
                    )
                source = PortableSource(path, stream, archive, manifest)
                yield source
        except (zipfile.BadZipFile, json.JSONDecodeError, KeyError, pa.ArrowInvalid, EOFError) as error:
            raise CorruptProduct(f"{path}: expected a whole dump written by `satdaemon db dump`, got: {error}") from error


def _member(entry: dict[str, Any]) -> _Member:
    try:
        columns = tuple(Column(c["name"], Kind(c["kind"])) for c in entry["columns"])
    except ValueError as error:
        raise RequestError(f"table {entry['name']}: {error}: the dump is from a newer SatDaemon; update this one") from error
    table = Table(entry["name"], columns, tuple(entry["key"]), entry["numbered"])
    return _Member(table, entry["rows"], entry["last_number"], entry["file"], entry["bytes"], entry["sha256"])


class _Hashed(io.RawIOBase):
    """Writes on, and knows how much and its digest. Left open: the zip closes its member."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.size = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)


class _Window(io.RawIOBase):
    """Part of a file as a file."""

    def __init__(self, stream: IO[bytes], start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._stream.seek(self._start + self._at)
        data = self._stream.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
