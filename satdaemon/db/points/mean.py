"""The mean series of an area: what its points did together, date by date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.db.points.places import region_of
from satdaemon.db.points.read import NODATA, STEP_MM, walk
from satdaemon.db.points.shown import ANY_QUALITY, Quality, shown
from satdaemon.db.store import Store

PIECE = 20_000


@dataclass(frozen=True, slots=True)
class MeanSeries:
    """Mean displacement of points, each array one value a date."""

    dates: list[date]
    points: int
    """How many points there are in the area, whether or not a date has them."""
    count: NDArray[np.int64]
    """How many points have a value at the date."""
    mean_mm: NDArray[np.float64]
    """Mean over those, line of sight, positive towards the satellite; NaN where no point has a value."""
    std_mm: NDArray[np.float64]
    """Standard deviation among those (of the sample, n - 1); NaN below two points."""


def mean_series(db: Store, frame_id: str, polygon: Any | None = None, *, quality: Quality = ANY_QUALITY) -> MeanSeries:
    """Mean series of the points in a polygon (a shape, WKT, GeoJSON or a vector file; default: the whole frame).

    Series are relative to the first date that a point has: where points come and go, steps may be theirs (see `count`).
    Memory is bounded. The sums are of whole steps, hence exact.
    """
    region = None if polygon is None else region_of(polygon)
    with shown(db, frame_id) as view:
        total = np.zeros((3, len(view.dates)), np.int64)  # count, sum, sum of squares
        points = 0
        for piece in walk(view, region, columns=(), quality=quality, piece=PIECE):
            steps = view.series(piece.point_id).astype(np.int64)
            known = steps != NODATA
            steps[~known] = 0
            total += np.stack([known.sum(axis=0), steps.sum(axis=0), (steps * steps).sum(axis=0)])
            points += len(piece)
    count, first, second = total
    mean = np.full(len(count), np.nan)
    std = np.full(len(count), np.nan)
    some, several = count > 0, count > 1
    mean[some] = first[some] / count[some]
    spread = second[several] - first[several].astype(np.float64) ** 2 / count[several]
    std[several] = np.sqrt(np.maximum(spread, 0) / (count[several] - 1))
    return MeanSeries(view.dates, points, count, mean * STEP_MM, std * STEP_MM)
