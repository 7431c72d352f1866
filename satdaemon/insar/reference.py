"""The reference area: where displacement is zero by definition.

Chosen among sample points of the frame: present in as many interferograms as any, in each one's largest component, coherent, and
with phases like their neighbours' (low variance). Everything is then relative to the mean over the area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from satdaemon.errors import ProcessingError
from satdaemon.insar.coherence import phase_variance

Floats = NDArray[np.float32]
NEIGHBOURS = 8
MAX_EFFORT = 20_000
"""Candidates looked at, the most coherent first."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Points spread over the frame, with all their interferograms; arrays of shape (points,) or (points, pairs)."""

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    phase_rad: Floats
    """NaN where the pair lacks the point."""
    coherence: Floats
    component: NDArray[np.uint16]
    """0 = none, 1 = the pair's largest."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A circle on the ground around a pixel."""

    row: int
    col: int
    radius_m: float

    def contains(
        self, row: NDArray[np.int32], col: NDArray[np.int32], spacing_m: tuple[float, float]
    ) -> NDArray[np.bool_]:
        """Which pixels lie in the area."""
        away = np.hypot((row - self.row) * spacing_m[0], (col - self.col) * spacing_m[1])
        return np.asarray(away <= self.radius_m)

    def rows(self, spacing_m: tuple[float, float], height: int) -> tuple[int, int]:
        """Rows [first, stop) of the frame that the area touches."""
        reach = int(self.radius_m / spacing_m[0]) + 1
        return max(0, self.row - reach), min(height, self.row + reach + 1)


def choose_reference(samples: Samples, spacing_m: tuple[float, float], radius_m: float) -> Reference:
    """The best place for a reference area of `radius_m`.

    Raises
    ------
    ProcessingError
        Where there are no sample points.
    """
    if len(samples.row) == 0:
        raise ProcessingError("reference area: no point is present in enough interferograms; look at their coherence")
    usable = np.isfinite(samples.phase_rad) & (samples.component == 1)
    count = usable.sum(1)
    mean_variance = _masked_mean(phase_variance(samples.coherence, 10.0), usable)
    # the fullest points first, then the least noisy
    order = np.lexsort((mean_variance, -count))
    best = order[count[order] == count.max()][:MAX_EFFORT]
    place = np.column_stack([samples.row[best] * spacing_m[0], samples.col[best] * spacing_m[1]])
    near = min(NEIGHBOURS, len(best))
    away, who = cKDTree(place).query(place, k=near)
    away, who = away.reshape(len(best), near), who.reshape(len(best), near)
    roughness = _roughness(samples.phase_rad[best], who)
    score = mean_variance[best] + roughness
    # a lone good point among few is a worse area than a good one among many
    crowded = score[who].mean(1) * (1 + away.mean(1) / radius_m)
    centre = best[int(np.argmin(crowded))]
    return Reference(int(samples.row[centre]), int(samples.col[centre]), radius_m)


def nearest_reference(
    samples: Samples, lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64], place: tuple[float, float],
    radius_m: float,
) -> Reference:
    """The area around the sample point nearest to (lon, lat); ProcessingError where none lies within the radius."""
    if len(samples.row) == 0:
        raise ProcessingError("reference area: no point is present in enough interferograms; look at their coherence")
    east = (lon_deg - place[0]) * np.cos(np.radians(place[1])) * 111_195.0
    away = np.hypot(east, (lat_deg - place[1]) * 111_195.0)
    nearest = int(np.nanargmin(away))
    if away[nearest] > radius_m:
        raise ProcessingError(
            f"reference area: no point within {radius_m:g} m of lon {place[0]:g}, lat {place[1]:g}; the nearest is"
            f" {away[nearest]:.0f} m away. Choose another place, a larger reference_radius_m, or leave it to be chosen."
        )
    return Reference(int(samples.row[nearest]), int(samples.col[nearest]), radius_m)


def _masked_mean(values: Floats, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    total = np.where(mask, values, 0).sum(1, dtype=np.float64)
    return np.where(mask.any(1), total / np.maximum(mask.sum(1), 1), np.inf)


def _roughness(phase: Floats, who: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean over pairs of the squared difference to the neighbours' mean phase, rad^2."""
    around = np.zeros(phase.shape)
    number = np.zeros(phase.shape)
    for k in range(1, who.shape[1]):
        values = phase[who[:, k]]
        known = np.isfinite(values)
        around += np.where(known, values, 0)
        number += known
    with np.errstate(invalid="ignore", divide="ignore"):
        squared = np.square(phase - around / number)
    known = np.isfinite(squared)
    return _masked_mean(np.where(known, squared, 0).astype(np.float32), known)
