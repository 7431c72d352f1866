"""A Z curve over longitude and latitude: near points have near numbers, so that a box is a few ranges of one index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 31
"""Bits a coordinate: 360 / 2**31 degrees, below 2 cm on the ground."""
_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def cell_of(lon: Any, lat: Any) -> NDArray[np.int64]:
    """Number of the cell of each point (degrees, any shape), 0 .. 2**62 - 1."""
    x, y = (_steps(v, low, span) for v, low, span in ((lon, -180.0, 360.0), (lat, -90.0, 180.0)))
    return (_spread(x) | (_spread(y) << np.uint64(1))).astype(np.int64)


def ranges_of_box(west: float, south: float, east: float, north: float, most: int = 24) -> list[tuple[int, int]]:
    """Ranges of cells (both ends in) that cover a box in degrees; at most about `most`, so they cover somewhat more."""
    x0, x1 = (int(_steps(v, -180.0, 360.0)) for v in (west, east))
    y0, y1 = (int(_steps(v, -90.0, 180.0)) for v in (south, north))
    done: list[tuple[int, int]] = []
    squares = [(0, 0, BITS)]  # x, y, and the side as a power of two
    while squares and len(done) + len(squares) < most:
        split: list[tuple[int, int, int]] = []
        for x, y, level in squares:
            side = 1 << level
            if x > x1 or y > y1 or x + side <= x0 or y + side <= y0:
                continue
            if (x >= x0 and y >= y0 and x + side - 1 <= x1 and y + side - 1 <= y1) or level == 0:
                done.append(_range(x, y, level))
                continue
            half = side >> 1
            split += [(x + dx, y + dy, level - 1) for dy in (0, half) for dx in (0, half)]
        squares = [s for s in split if not (s[0] > x1 or s[1] > y1 or s[0] + (1 << s[2]) <= x0 or s[1] + (1 << s[2]) <= y0)]
    return joined_ranges(done + [_range(*square) for square in squares])


def _steps(values: Any, low: float, span: float) -> NDArray[np.uint64]:
    steps = np.floor((np.asarray(values, np.float64) - low) / span * 2.0**BITS)
    return np.clip(steps, 0, 2.0**BITS - 1).astype(np.uint64)


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A zero bit before each bit (Morton's code)."""
    spread = np.asarray(values, np.uint64)
    for shift, mask in _SPREAD:
        spread = (spread | (spread << np.uint64(shift))) & np.uint64(mask)
    return spread


def _range(x: int, y: int, level: int) -> tuple[int, int]:
    first = int(_spread(np.uint64(x))) | int(_spread(np.uint64(y))) << 1  # type: ignore[arg-type]
    return first, first + (1 << (2 * level)) - 1


def joined_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same cells as ranges in order that neither touch nor overlap."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
