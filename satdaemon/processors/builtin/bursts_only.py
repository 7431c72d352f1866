"""The bursts of a frame out of one scene, in place of its whole product: fetched, and put together as a product with gaps.

It stands in the job's own directory and is of use to this date of this frame alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from satdaemon.archive.extractor import Extractor, Piece
from satdaemon.archive.forms import burst_tiff, scene_xml
from satdaemon.archive.pace import nobody
from satdaemon.archive.transfer import locked_part, require_space, writing
from satdaemon.domain import Scene, StageInput
from satdaemon.errors import CorruptProduct, NotInArchive
from satdaemon.insar.annotation import SafeBurst
from satdaemon.insar.combined import CombinedMetadata, read_combined
from satdaemon.insar.container import MAX_TEXT_BYTES
from satdaemon.insar.partial import SwathPart, check_burst, write_partial
from satdaemon.insar.rasters import gdal_session
from satdaemon.insar.safe import SafeProduct, annotation_names, parse_xml, read_container
from satdaemon.processors.builtin.own_bursts import own_bursts

_XML_BYTES = 16 << 20
"""What the annotation of a scene has, for the progress."""
_MORE_BYTES = 4 << 20
"""What a burst's TIFF may have beside its pixels."""
_PIXEL_BYTES = 4


def fetch_bursts(job: StageInput, scene: Scene, extractor: Extractor) -> tuple[Scene, int]:
    """Fetch the frame's bursts of a scene in the job's polarisation; the scene with path and size, and how many bursts.

    Raises
    ------
    NotInArchive
        The extractor does not have the scene.
    ArchiveError, CredentialsError, Throttled
        It does not answer as it should, or refuses.
    DataError
        What it gives is not what it should be.
    DiskFull, TransientError, ConfigError
        A disk is full, or cannot be written.
    """
    with locked_part(extractor.lock) as lock, gdal_session():
        metadata = _metadata(job, scene, extractor)
        product = read_container(metadata)
        swaths = [one for swath in _swaths(job) if (one := _swath(job, metadata, product, swath)) is not None]
        pieces = {(part.swath, burst.index): _piece(job, scene, burst) for part, bursts in swaths for burst in bursts}
        places = extractor.bring(list(pieces.values()))
        of = {place: places[piece] for place, piece in pieces.items()}
        parts = [replace(part, bursts={b.index: of[part.swath, b.index] for b in bursts}) for part, bursts in swaths]
        found = _write(job, scene, metadata, product, parts)
        lock.unlink(missing_ok=True)
    return found, len(pieces)


def _swaths(job: StageInput) -> list[str]:
    return sorted({burst.swath for burst in job.frame.bursts})


def _metadata(job: StageInput, scene: Scene, extractor: Extractor) -> CombinedMetadata:
    """The annotation of the scene, which comes with any burst: the first swath of the frame that the scene has tells it."""
    missing: NotInArchive | None = None
    for swath in _swaths(job):

        def check(path: Path) -> None:
            read_combined(path, scene.id)

        form = scene_xml(MAX_TEXT_BYTES)
        piece = Piece(scene.id, swath, job.polarisation, 0, form, "xml", _XML_BYTES, check)
        try:
            return read_combined(extractor.bring([piece], nobody)[piece], scene.id)
        except NotInArchive as error:
            missing = error
    raise missing or NotInArchive(f"{scene.id}: expected bursts of frame {job.frame.id}, which has none")


def _swath(
    job: StageInput, metadata: CombinedMetadata, product: SafeProduct, swath: str
) -> tuple[SwathPart, list[SafeBurst]] | None:
    """A swath, and the frame's bursts in it; None where the product does not have it in the polarisation."""
    key = (swath, job.polarisation)
    if key in annotation_names(product.missing_files):
        raise CorruptProduct(f"{product.id}: expected the annotation of {swath} {job.polarisation} with its bursts, got none")
    name = annotation_names(metadata.names()).get(key)
    if name is None:
        return None
    try:
        bursts, own = own_bursts(job.frame, product, parse_xml(metadata, name))
    except (ValueError, KeyError, IndexError) as error:
        raise CorruptProduct(f"{product.id}: {name}: {error}") from error
    if not bursts:
        return None
    part = SwathPart(name, swath, job.polarisation, len(bursts), bursts[0].lines, bursts[0].samples, {})
    return part, sorted(own.values(), key=lambda burst: burst.index)


def _piece(job: StageInput, scene: Scene, burst: SafeBurst) -> Piece:
    size = burst.lines * burst.samples * _PIXEL_BYTES
    check = partial(check_burst, lines=burst.lines, samples=burst.samples)
    form = burst_tiff(size + _MORE_BYTES, scene.id, burst.swath, job.polarisation, burst.azimuth_time_utc)
    return Piece(scene.id, burst.swath, job.polarisation, burst.index, form, "tiff", size, check)


def _write(job: StageInput, scene: Scene, metadata: CombinedMetadata, product: SafeProduct, parts: Sequence[SwathPart]) -> Scene:
    target = job.out_dir / f"{scene.id}.zip"
    scratch = job.paths.get("scratch", job.out_dir)
    size = sum(part.lines * part.samples * _PIXEL_BYTES * len(part.bursts) for part in parts)
    with writing(target):
        scratch.mkdir(parents=True, exist_ok=True)
        require_space(target, 2 * size)
        write_partial(target, metadata, parts, scratch, product.proc_utc)
    return replace(scene, path=target, size=target.stat().st_size, checksum=None)
