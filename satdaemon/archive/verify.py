"""Is a file on disk the product that it should be: size, checksum, and every member of the zip."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from satdaemon.archive.base import Progress, no_progress
from satdaemon.archive.product import ZIP_ERRORS, manifest_name
from satdaemon.domain import Scene
from satdaemon.errors import CorruptProduct, RequestError

BLOCK = 4 << 20
"""Bytes read at a time: memory stays bounded whatever the size of the file."""
WHAT_TO_DO = "fetch it again from its source, or exclude the date"


def algorithm_of(checksum: str | None) -> str:
    """`sha256` of `sha256:00ff`; sha256 where none is known. RequestError for one that is not supported."""
    if checksum is None:
        return "sha256"
    name, _, value = checksum.partition(":")
    if name not in ("md5", "sha1", "sha256", "sha512") or not value:
        raise RequestError(f"checksum: expected md5:HEX, sha1:HEX, sha256:HEX or sha512:HEX, got {checksum!r}")
    return name


def checksum_of(path: Path, algorithm: str, progress: Progress = no_progress) -> str:
    """`algorithm:hex` of a file, read in blocks."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    size = max(path.stat().st_size, 1)
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress(min(done / size, 1.0))
    return f"{algorithm}:{digest.hexdigest()}"


def check_size(path: Path, expected: int | None) -> int:
    """The file's size; CorruptProduct where it is empty or another than expected."""
    got = path.stat().st_size
    if got == 0:
        _refuse(path, "a product zip", "an empty file")
    if expected is not None and got != expected:
        _refuse(path, f"{expected} bytes", f"{got}")
    return got


def check_checksum(path: Path, expected: str | None, got: str) -> None:
    """CorruptProduct where a known checksum is another one."""
    if expected is not None and expected.lower() != got.lower():
        _refuse(path, expected, got)


def check_zip(path: Path, scene_id: str, progress: Progress = no_progress) -> None:
    """Read every member to its end, so that its CRC is compared, and find the manifest of the product.

    Raises CorruptProduct naming the member. OSError (a disk error) passes through.
    """
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_ERRORS as error:
        _refuse(path, "a zip file", f"one that cannot be opened ({error}): cut short or damaged")
    with archive:
        try:
            manifest_name(archive, scene_id)
        except CorruptProduct as error:
            raise CorruptProduct(f"{path}: {error}; {WHAT_TO_DO}") from error
        total = max(sum(member.compress_size for member in archive.infolist()), 1)
        done = 0
        for member in archive.infolist():
            _read_member(path, archive, member)
            done += member.compress_size
            progress(min(done / total, 1.0))


def check_product(path: Path, scene: Scene, progress: Progress = no_progress) -> Scene:
    """All checks on a file; the scene with what was found."""
    size = check_size(path, scene.size)
    checksum = checksum_of(path, algorithm_of(scene.checksum), lambda done: progress(done / 2))
    check_checksum(path, scene.checksum, checksum)
    check_zip(path, scene.id, lambda done: progress(0.5 + done / 2))
    return replace(scene, path=path, size=size, checksum=checksum)


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    try:
        with archive.open(member) as stream:
            while stream.read(BLOCK):
                pass
    except ZIP_ERRORS as error:
        _refuse(path, f"an intact {member.filename}", str(error) or type(error).__name__)
    except OSError as error:
        if error.errno is not None:
            raise
        # bz2 reports damaged data so; a disk error has a number.
        _refuse(path, f"an intact {member.filename}", str(error))


def _refuse(path: Path, expected: str, got: str) -> NoReturn:
    raise CorruptProduct(f"{path}: expected {expected}, got {got}; {WHAT_TO_DO}")
