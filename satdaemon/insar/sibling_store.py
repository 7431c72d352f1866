"""siblings.zarr: the siblings of a frame on disk, written and read by rows.

`count` (rows, cols) uint16; `looks` (rows, cols) float32, effective looks; `start` (rows + 1) int64, where each row begins in
`offsets` (n) uint16, the place of each sibling in the window of its pixel, row-major, one pixel behind the other.
Attributes: `window` (rows, cols), `min_siblings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from satdaemon.errors import CorruptProduct
from satdaemon.insar.rowblocks import TILE_ROWS

CHUNK = 1 << 20
NAME = "siblings.zarr"


@dataclass(frozen=True, slots=True)
class SiblingRows:
    """Siblings of some rows of the frame."""

    packed: NDArray[np.uint16]
    start: NDArray[np.int64]
    """Shape (rows + 1); counts from the first of these rows."""
    count: NDArray[np.uint16]
    looks: NDArray[np.float32]


class SiblingWriter:
    """Writes the rows of a frame in order."""

    def __init__(
        self, path: Path, shape: tuple[int, int], window: tuple[int, int], fewest: int, attributes: dict[str, Any]
    ) -> None:
        group = zarr.open_group(path, mode="w")
        group.attrs.update({"window": list(window), "min_siblings": fewest, **attributes})
        tiles = (TILE_ROWS, shape[1])
        self._count = group.create_array("count", shape=shape, dtype="uint16", chunks=tiles)
        self._looks = group.create_array("looks", shape=shape, dtype="float32", chunks=tiles)
        self._start = group.create_array("start", shape=(shape[0] + 1,), dtype="int64", chunks=(shape[0] + 1,))
        self._offsets = group.create_array("offsets", shape=(0,), dtype="uint16", chunks=(CHUNK,))
        self._starts = np.zeros(shape[0] + 1, np.int64)
        self._rows = 0

    def append(self, rows: SiblingRows) -> None:
        """Write the next rows."""
        first, stop = self._rows, self._rows + rows.count.shape[0]
        place = int(self._starts[first])
        self._starts[first : stop + 1] = place + rows.start
        self._count[first:stop] = rows.count
        self._looks[first:stop] = rows.looks
        self._offsets.resize((place + rows.packed.size,))
        if rows.packed.size:
            self._offsets[place:] = rows.packed
        self._rows = stop

    def finish(self) -> int:
        """Write where the rows begin; the number of offsets in all."""
        self._start[:] = self._starts
        return int(self._starts[-1])


class SiblingReader:
    """Reads siblings of any rows."""

    def __init__(self, path: Path) -> None:
        try:
            group: Any = zarr.open_group(path, mode="r")
            self._count, self._looks, self._offsets = group["count"], group["looks"], group["offsets"]
            self._start = np.asarray(group["start"][:])
            rows, cols = group.attrs["window"]
            self.window = (int(rows), int(cols))
            self.min_siblings = int(group.attrs["min_siblings"])
        except (KeyError, FileNotFoundError) as error:
            raise CorruptProduct(f"{path}: expected the siblings of a frame, got: {error!r}") from error
        self.shape: tuple[int, int] = self._count.shape
        if len(self._start) != self.shape[0] + 1 or self._start[-1] != self._offsets.shape[0]:
            raise CorruptProduct(f"{path}: the siblings are incomplete; run the frame's coherence stage again")

    def rows(self, first: int, stop: int) -> SiblingRows:
        """Siblings of rows [first, stop)."""
        start = self._start[first : stop + 1]
        return SiblingRows(
            np.asarray(self._offsets[int(start[0]) : int(start[-1])]), start - start[0],
            np.asarray(self._count[first:stop]), np.asarray(self._looks[first:stop]),
        )
