"""`overlap.zarr`: what both bursts of each overlap see, on the frame grid; kept so that later dates can be timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.esd import OverlapImage
from satdaemon.insar.grid import Overlap

FILE_NAME = "overlap.zarr"
_CHUNK = (256, 2048)


class OverlapWriter:
    """Writes one side of one overlap at a time, as complex64 arrays `<earlier>-<later>/earlier` and `.../later`."""

    def __init__(self, directory: Path) -> None:
        self._root = zarr.open_group(directory / FILE_NAME, mode="w")

    def write(self, overlap: Overlap, burst_id: str, image: NDArray[np.complex64]) -> None:
        """The overlap as the burst of that id sees it."""
        side = "earlier" if burst_id == overlap.earlier else "later"
        chunks = tuple(min(c, n) for c, n in zip(_CHUNK, image.shape, strict=True))
        self._root.create_array(f"{overlap.name}/{side}", data=image, chunks=chunks, compressors=None)


class OverlapReader:
    """Overlaps of one date's satsar product, read one at a time."""

    def __init__(self, directory: Path) -> None:
        try:
            self._root = zarr.open_group(directory / FILE_NAME, mode="r")
        except (OSError, ValueError) as error:
            raise DataError(
                f"{directory / FILE_NAME}: expected the overlaps of a satsar product: {error}; run its satsar stage again"
            ) from error

    def names(self) -> set[str]:
        """Overlaps that this date has."""
        return set(self._root.group_keys())

    def read(self, name: str) -> OverlapImage:
        """One overlap."""
        return self._array(f"{name}/earlier"), self._array(f"{name}/later")

    def _array(self, path: str) -> NDArray[np.complex64]:
        array = self._root[path]
        if not isinstance(array, zarr.Array):
            raise DataError(f"{self._root.store_path}: expected an array {path}")
        return np.asarray(array[:], np.complex64)
