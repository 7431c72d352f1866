"""The azimuth timing error of one date against a network of dates: ESD over all their common overlaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import ProcessingError
from satdaemon.insar.doppler import doppler_ramp
from satdaemon.insar.esd import Cells, OverlapImage, Shift, combine_shifts, double_difference, estimate_shift, join_cells
from satdaemon.insar.geometry import Track
from satdaemon.insar.grid import FrameGrid, Overlap

MASTER = "master"


class Overlaps(Protocol):
    """Overlap images of one date."""

    def names(self) -> set[str]:
        """Overlaps that this date has."""

    def read(self, name: str) -> OverlapImage:
        """One overlap."""


@dataclass(frozen=True, slots=True)
class EsdSettings:
    """How ESD looks at overlaps, and when it refuses."""

    cell_lines: int = 5
    cell_samples: int = 20
    min_coherence: float = 0.3
    max_shift_px: float = 0.05
    """Searched on both sides; the double difference repeats after about 0.1 line."""
    max_sd_px: float = 0.003

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> EsdSettings:
        """From a stage's settings, keys `esd_<name>`."""
        return cls(**{name: settings[f"esd_{name}"] for name in cls.__slots__ if f"esd_{name}" in settings})


@dataclass(frozen=True, slots=True)
class Timing:
    """Result for one date; shifts in lines, added to the position where the date is sampled."""

    shift_px: float
    sd_px: float
    cells: int
    coherent_share: float
    pairs: dict[str, dict[str, float]] = field(default_factory=dict)
    """Estimate against each date: shift_px, sd_px, cells, share."""
    refused: dict[str, str] = field(default_factory=dict)
    """Dates that could not be used, and why."""

    def to_json(self) -> dict[str, Any]:
        """A value that json can write."""
        return asdict(self)


def find_timing(
    grid: FrameGrid, track: Track, date: Overlaps, others: Mapping[str, tuple[Overlaps, float]], settings: EsdSettings
) -> Timing:
    """Estimate the timing error of `date`.

    Parameters
    ----------
    grid, track
        The master's: Doppler frequencies are the master's.
    date
        The date's overlaps, coregistered by geometry alone.
    others
        Overlaps of the master and of neighbouring dates already corrected, each with the sd (lines) of what
        is left of its own error.

    Raises
    ------
    ProcessingError
        No pair is coherent enough, or the result is less certain than `max_sd_px`.
    """
    cells = _cells_of_pairs(grid, track, date, {name: other for name, (other, _) in others.items()}, settings)
    shifts: dict[str, Shift] = {}
    refused: dict[str, str] = {}
    for name, parts in cells.items():
        try:
            shifts[name] = estimate_shift(join_cells(parts), settings.max_shift_px * grid.line_s)
        except ProcessingError as error:
            refused[name] = str(error)
    if not shifts:
        raise ProcessingError(
            "ESD: the burst overlaps are incoherent with every date tried: "
            + "; ".join(f"{n}: {why}" for n, why in refused.items())
        )
    best = combine_shifts(list(shifts.values()), [others[n][1] * grid.line_s for n in shifts])
    timing = Timing(
        best.shift_s / grid.line_s,
        best.sd_s / grid.line_s,
        best.cells,
        best.share,
        {
            n: {"shift_px": s.shift_s / grid.line_s, "sd_px": s.sd_s / grid.line_s, "cells": float(s.cells), "share": s.share}
            for n, s in shifts.items()
        },
        refused,
    )
    if timing.sd_px > settings.max_sd_px:
        raise ProcessingError(
            f"ESD: azimuth shift {timing.shift_px:+.4f} lines is uncertain by {timing.sd_px:.4f}, "
            f"allowed are {settings.max_sd_px} (esd_max_sd_px)"
        )
    return timing


def frequency_difference(grid: FrameGrid, track: Track, overlap: Overlap) -> NDArray[np.float64]:
    """(1, cols) Doppler of the earlier burst minus that of the later one, Hz, half-way down the overlap.

    It varies by some hertz along the overlap and some ten across it.
    """
    window = overlap.window
    row = np.full(window.cols, window.row + window.rows / 2)
    col = window.col + np.arange(window.cols, dtype=np.float64)
    frequency = []
    for burst in (grid.burst(overlap.earlier), grid.burst(overlap.later)):
        ramp = doppler_ramp(burst.meta, track)
        frequency.append(ramp.frequency_hz(row - burst.outer.row, col - burst.outer.col))
    return np.asarray(frequency[0] - frequency[1])[None, :]


def _cells_of_pairs(
    grid: FrameGrid, track: Track, date: Overlaps, others: Mapping[str, Overlaps], settings: EsdSettings
) -> dict[str, list[Cells]]:
    """Cells of the date against each other date; one overlap in memory at a time."""
    cells: dict[str, list[Cells]] = {name: [] for name in others}
    size = (settings.cell_lines, settings.cell_samples)
    for overlap in grid.overlaps():
        users = [name for name, other in others.items() if overlap.name in other.names()]
        if not users or overlap.name not in date.names():
            continue
        image, frequency_hz = date.read(overlap.name), frequency_difference(grid, track, overlap)
        for name in users:
            other = others[name].read(overlap.name)
            cells[name].append(double_difference(other, image, frequency_hz, size, settings.min_coherence))
    return cells
