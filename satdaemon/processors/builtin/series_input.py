"""What the timeseries stage reads: every interferogram of the frame, tile by tile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.domain import Pair, StageInput
from satdaemon.errors import CorruptProduct, DataError, ProcessingError
from satdaemon.insar.rasters import read_window
from satdaemon.insar.reference import Samples
from satdaemon.insar.rowblocks import Tile
from satdaemon.insar.rowrasters import open_all, shape_of
from satdaemon.insar.spacing import ground_spacing_m

Floats = NDArray[np.float32]
UNWRAPPED = ("unwrapped", "coherence", "components")
GEOMETRY = ("lon", "lat", "height", "incidence", "range")


@dataclass(frozen=True, slots=True)
class PointData:
    """Some points with all their interferograms; arrays of shape (points, pairs) unless said."""

    row: NDArray[np.int32]
    """(points,)"""
    col: NDArray[np.int32]
    phase_rad: Floats
    coherence: Floats
    component: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Stack:
    """Open rasters of a frame's interferograms and geometry."""

    pairs: tuple[Pair, ...]
    dates: tuple[date, ...]
    shape: tuple[int, int]
    spacing_m: tuple[float, float]
    wavelength_m: float
    rasters: Mapping[str, Any] = field(repr=False)

    @property
    def links(self) -> list[tuple[int, int]]:
        """Pairs by date number."""
        number = {day: k for k, day in enumerate(self.dates)}
        return [(number[first], number[second]) for first, second in self.pairs]

    @property
    def days(self) -> NDArray[np.float64]:
        """Days of each date since the first."""
        return np.array([(day - self.dates[0]).days for day in self.dates], np.float64)

    def window(self, name: str, tile: Tile) -> NDArray[Any]:
        """A tile of the raster `name`."""
        return read_window(self.rasters[name], *tile)

    def unwrapped(self, pair: Pair, kind: str, tile: Tile) -> NDArray[Any]:
        """A tile of a pair's product: `unwrapped`, `coherence` or `components`."""
        return self.window(f"{_pair_key(pair)}/{kind}", tile)

    def count(self, tile: Tile) -> tuple[NDArray[np.uint16], Floats]:
        """In how many interferograms each pixel is a point, and the sum of its coherences."""
        number = np.zeros((tile.rows, tile.cols), np.uint16)
        total = np.zeros((tile.rows, tile.cols), np.float32)
        for pair in self.pairs:
            coherence = self.unwrapped(pair, "coherence", tile)
            known = np.isfinite(coherence)
            number += known
            total += np.where(known, coherence, 0)
        return number, total

    def points(self, tile: Tile, chosen: NDArray[np.bool_]) -> PointData:
        """All interferograms of the chosen pixels of a tile."""
        row, col = np.nonzero(chosen)
        shape = (len(self.pairs), len(row))
        phase, coherence = np.empty(shape, np.float32), np.empty(shape, np.float32)
        component = np.empty(shape, np.uint16)
        for k, pair in enumerate(self.pairs):
            phase[k] = self.unwrapped(pair, "unwrapped", tile)[row, col]
            coherence[k] = self.unwrapped(pair, "coherence", tile)[row, col]
            component[k] = self.unwrapped(pair, "components", tile)[row, col]
        return PointData(
            (row + tile.row).astype(np.int32), (col + tile.col).astype(np.int32),
            np.ascontiguousarray(phase.T), np.nan_to_num(np.ascontiguousarray(coherence.T)),
            np.ascontiguousarray(component.T),
        )


def samples_of(parts: list[PointData], pairs: int) -> Samples:
    """Sample points of all tiles together."""
    if not parts:
        none = np.empty(0, np.int32)
        empty = np.empty((0, pairs), np.float32)
        return Samples(none, none, empty, empty, empty.astype(np.uint16))
    names = ("row", "col", "phase_rad", "coherence", "component")
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def unpack(packed: NDArray[np.uint8], tile: Tile) -> NDArray[np.bool_]:
    """The mask of a tile from its packed bits."""
    return np.unpackbits(packed, count=tile.rows * tile.cols).reshape(tile.rows, tile.cols).astype(bool)


@contextmanager
def open_stack(job: StageInput) -> Iterator[Stack]:
    """Open all products that the job names; DataError or CorruptProduct saying what is missing."""
    pairs = tuple(sorted(_pair(role) for role in job.inputs if role.startswith("unwrap/")))
    if not pairs:
        raise ProcessingError("a time series needs at least one unwrapped interferogram, got none")
    dates = tuple(sorted({day for pair in pairs for day in pair}))
    geometry = _need(job, "geometry")
    paths = {name: geometry / f"{name}.tif" for name in GEOMETRY}
    for pair in pairs:
        key = _pair_key(pair)
        paths |= {f"{key}/{kind}": job.inputs[f"unwrap/{key}"] / f"{kind}.tif" for kind in UNWRAPPED}
    for day in dates:
        if day != job.master_date:
            paths[f"bperp/{day}"] = _need(job, f"satsar/{day:%Y%m%d}") / "bperp.tif"
    with open_all(paths) as rasters:
        shape = shape_of(rasters)
        first = max(0, shape[0] // 2 - 8)
        middle = Tile(first, 0, min(16, shape[0] - first), shape[1])
        lon, lat = (read_window(rasters[name], *middle) for name in ("lon", "lat"))
        yield Stack(pairs, dates, shape, ground_spacing_m(lon, lat), _wavelength_m(geometry), rasters)


def _pair(role: str) -> Pair:
    try:
        first, second = (datetime.strptime(text, "%Y%m%d").date() for text in role.partition("/")[2].split("_"))
    except ValueError as error:
        raise DataError(f"input role: expected unwrap/YYYYMMDD_YYYYMMDD, got {role!r}") from error
    if first >= second:
        raise DataError(f"input role: expected the earlier date first, got {role!r}")
    return Pair(first, second)


def _pair_key(pair: Pair) -> str:
    return f"{pair.date1:%Y%m%d}_{pair.date2:%Y%m%d}"


def _need(job: StageInput, role: str) -> Path:
    if role not in job.inputs:
        raise DataError(f"{job.stage} {job.key}: expected the product {role}, got {len(job.inputs)} others")
    return job.inputs[role]


def _wavelength_m(geometry: Path) -> float:
    try:
        return float(json.loads((geometry / "grid.json").read_text())["wavelength_m"])
    except (OSError, ValueError, KeyError) as error:
        raise CorruptProduct(f"{geometry / 'grid.json'}: expected wavelength_m, got {error!r}") from error
