"""Points of a frame as pictures of map tiles: a million points are drawn in hundredths of a second, at any zoom."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satdaemon.db import Database
from satdaemon.db.points import in_box, version_of
from satdaemon.db.tiles.grid import Tile, to_metres
from satdaemon.errors import RequestError

SIDE = 512
"""Pixels of a tile: twice the usual, for sharp screens."""
FRAMES = 4
"""Frames whose points are kept in memory, 20 bytes a point."""
COLOURS = np.array(
    [[150, 10, 30], [214, 96, 77], [244, 165, 130], [247, 220, 160], [250, 245, 180], [190, 225, 190], [146, 197, 222],
     [67, 147, 195], [33, 80, 160]], dtype=np.float64,
)  # fmt: skip
"""From away from the satellite (red) to towards it (blue)."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """The points of one version of a frame, sorted from west to east."""

    version: int
    x: NDArray[np.float64]
    """Web Mercator, metres."""
    y: NDArray[np.float64]
    velocity: NDArray[np.float32]
    """mm/yr, positive towards the satellite."""
    bounds: tuple[float, float, float, float]
    """West, south, east, north, degrees."""


class Clouds:
    """The points of the frames that were looked at last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[str, Cloud] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, frame_id: str) -> Cloud:
        """Those that are shown now. RequestError for a frame without points."""
        version = version_of(self._database, frame_id)
        if version is None:
            raise RequestError(f"frame {frame_id}: expected points, found none ingested yet")
        with self._lock:
            kept = self._kept.get(frame_id)
            if kept is None or kept.version != version.id:
                kept = self._read(frame_id)
                self._kept[frame_id] = kept
            self._kept.move_to_end(frame_id)
            while len(self._kept) > FRAMES:
                self._kept.popitem(last=False)
            return kept

    def _read(self, frame_id: str) -> Cloud:
        found = in_box(self._database, frame_id, -180.0, -90.0, 180.0, 90.0, columns=("velocity",))
        metres = to_metres(np.column_stack([found.lon, found.lat]))
        order = np.argsort(metres[:, 0], kind="stable")
        bounds = (float(found.lon.min()), float(found.lat.min()), float(found.lon.max()), float(found.lat.max()))
        return Cloud(found.version, metres[order, 0], metres[order, 1], found.values["velocity"][order], bounds)


def picture(cloud: Cloud, tile: Tile, most: float) -> bytes:
    """A PNG of the tile: each pixel the mean velocity of its points, from -`most` to `most` mm/yr; clear where none is."""
    west, south, east, north = tile.metres
    radius = max(0, min(tile.z - 12, 7))
    room = (east - west) * (radius + 1) / SIDE
    begin, end = np.searchsorted(cloud.x, (west - room, east + room))
    y, velocity = cloud.y[begin:end], cloud.velocity[begin:end]
    inside = (y >= south - room) & (y <= north + room) & np.isfinite(velocity)
    wide = SIDE + 2 * radius
    column = ((cloud.x[begin:end][inside] - west) / (east - west) * SIDE).astype(np.int64) + radius
    row = ((north - y[inside]) / (north - south) * SIDE).astype(np.int64) + radius
    fits = (column >= 0) & (column < wide) & (row >= 0) & (row < wide)
    place = row[fits] * wide + column[fits]
    count = np.bincount(place, minlength=wide * wide).reshape(wide, wide)
    total = np.bincount(place, velocity[inside][fits], minlength=wide * wide).reshape(wide, wide)
    mean = np.divide(total, count, out=np.full((wide, wide), np.nan), where=count > 0)
    return _png(_coloured(_spread(mean, radius), most))


def _spread(mean: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Every point as a disc: a pixel without a point takes the value of the nearest one within the radius."""
    drawn = mean[radius : radius + SIDE, radius : radius + SIDE].copy()
    if not np.isfinite(mean).any():
        return drawn
    reach = range(-radius, radius + 1)
    steps = sorted((dx * dx + dy * dy, dx, dy) for dx in reach for dy in reach if 0 < dx * dx + dy * dy <= radius * radius)
    for _, dx, dy in steps:
        moved = mean[radius + dy : radius + dy + SIDE, radius + dx : radius + dx + SIDE]
        np.copyto(drawn, moved, where=np.isnan(drawn))
    return drawn


def _coloured(values: NDArray[np.float64], most: float) -> NDArray[np.uint8]:
    known = np.isfinite(values)
    share = (np.clip(np.where(known, values, 0.0) / most, -1.0, 1.0) + 1.0) / 2.0 * (len(COLOURS) - 1)
    image = np.zeros((*values.shape, 4), np.uint8)
    for band in range(3):
        image[..., band] = np.interp(share, np.arange(len(COLOURS)), COLOURS[:, band])
    image[..., 3] = np.where(known, 255, 0)
    return image


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(image).save(made, "PNG", compress_level=1)
    return made.getvalue()
