"""A product that holds only some bursts: its annotation is that of the whole, its measurements have gaps.

A measurement has the height that the annotation says, and nothing is stored of the bursts that are not there (sparse strips,
which read as zeros). The member `bursts.json` says which are there; a whole product has no such member.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from satdaemon.errors import CorruptProduct
from satdaemon.insar.container import Container
from satdaemon.insar.rasters import create_radar, open_radar, read_window, write_window

MEMBER = "bursts.json"
DTYPE = "complex_int16"
_ROWS = 256
Held = Mapping[tuple[str, str], frozenset[int]]
"""(swath `IW1`, polarisation `vv`) -> places in the swath, from 0, of the bursts that are there."""


@dataclass(frozen=True, slots=True)
class SwathPart:
    """Some bursts of one swath and polarisation."""

    annotation: str
    """Member name."""
    swath: str
    polarisation: str
    count: int
    """Bursts of the whole swath."""
    lines: int
    """Of a burst."""
    samples: int
    bursts: Mapping[int, Path]
    """Place in the swath, from 0 -> the burst's TIFF."""

    @property
    def measurement(self) -> str:
        """Member name."""
        return measurement_name(self.annotation)


def measurement_name(annotation: str) -> str:
    """The measurement that an annotation file describes."""
    return annotation.replace("annotation/", "measurement/").removesuffix(".xml") + ".tiff"


def write_partial(target: Path, text: Container, parts: Sequence[SwathPart], scratch: Path, made_utc: datetime) -> None:
    """Write a product zip of all members of `text` and the bursts of `parts`, one swath at a time by way of `scratch`.

    `made_utc` dates the members, so that equal inputs give equal zips. CorruptProduct where a burst's TIFF is damaged.
    """
    stamp = made_utc.astimezone(UTC).timetuple()[:6]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:

        def info(name: str, kind: int) -> zipfile.ZipInfo:
            found = zipfile.ZipInfo(f"{text.root}/{name}", stamp)
            found.compress_type, found.external_attr = kind, 0o644 << 16
            return found

        for name in text.names():
            archive.writestr(info(name, zipfile.ZIP_DEFLATED), text.read(name))
        archive.writestr(info(MEMBER, zipfile.ZIP_DEFLATED), _listed(parts))
        for part in parts:
            path = scratch / Path(part.measurement).name
            _measurement(path, part)
            entry = info(part.measurement, zipfile.ZIP_STORED)
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as out:
                while block := source.read(1 << 22):
                    out.write(block)
            path.unlink()


def held_bursts(container: Container) -> Held | None:
    """The bursts that a product holds; None of a whole one. CorruptProduct where its list cannot be read."""
    if MEMBER not in container.names():
        return None
    try:
        listed = json.loads(container.read(MEMBER))["bursts"]
        return {(one["swath"], one["polarisation"]): frozenset(int(index) for index in one["indices"]) for one in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptProduct(f"{container.path}: {MEMBER}: expected the bursts that it holds: {error!r}") from error


def check_burst(path: Path, lines: int, samples: int) -> None:
    """CorruptProduct where a file is not the whole TIFF of one burst of this shape, complex 16-bit integers."""
    with open_radar(path) as source:
        got = f"{source.driver} of {source.count} x {source.height} x {source.width} {source.dtypes[0]}"
        if (source.driver, source.count, source.height, source.width, source.dtypes[0]) != ("GTiff", 1, lines, samples, DTYPE):
            raise CorruptProduct(f"{path}: expected a burst of {lines} x {samples} {DTYPE}, as annotated, got {got}")
        size = path.stat().st_size
        for (row, col), _ in source.block_windows(1):
            start, length = (
                int(source.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1) or 0) for what in ("OFFSET", "SIZE")
            )
            if not start or start + length > size:
                raise CorruptProduct(f"{path}: expected all of a burst, got a file of {size} bytes that lacks some of its lines")


def _listed(parts: Sequence[SwathPart]) -> str:
    listed: list[dict[str, Any]] = [
        {"swath": part.swath, "polarisation": part.polarisation, "indices": sorted(part.bursts), "of": part.count}
        for part in parts
    ]
    return json.dumps(
        {"about": "The bursts that this product holds; of the others it has no pixels.", "bursts": listed}, indent=1
    )


def _measurement(path: Path, part: SwathPart) -> None:
    with create_radar(path, (part.count * part.lines, part.samples), DTYPE, tiled=False) as target:
        for index, place in sorted(part.bursts.items()):
            with open_radar(place) as source:
                for row in range(0, part.lines, _ROWS):
                    block = read_window(source, row, 0, min(_ROWS, part.lines - row), part.samples)
                    write_window(target, index * part.lines + row, 0, block)
