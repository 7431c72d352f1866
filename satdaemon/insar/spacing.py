"""Spacing of the frame grid on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError

DEGREE_M = 111_195.0
"""Metres of one degree of latitude on a sphere of 6371 km; 0.5 % is close enough for distances in a window."""


def ground_spacing_m(lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> tuple[float, float]:
    """Median distance on the ground between neighbouring rows and between neighbouring columns, metres.

    Parameters
    ----------
    lon_deg, lat_deg
        A piece of the frame, shape (rows, cols), at least 2 x 2, NaN where unknown. The medians are over the
        slopes both towards and away from the satellite; layover shrinks single pixels to nothing.
    """
    parallel = float(np.cos(np.radians(np.nanmean(lat_deg)))) if np.isfinite(lat_deg).any() else np.nan
    spacing = []
    for axis in (0, 1):
        step = (np.diff(lon_deg, axis=axis) + 180) % 360 - 180
        distance = np.hypot(step * parallel, np.diff(lat_deg, axis=axis)) * DEGREE_M
        distance = distance[np.isfinite(distance)]
        if distance.size == 0 or float(np.median(distance)) <= 0:
            raise DataError("ground spacing: expected lon/lat of neighbouring pixels, found none known")
        spacing.append(float(np.median(distance)))
    return spacing[0], spacing[1]
