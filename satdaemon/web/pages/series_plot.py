"""Displacement series, worked out to SVG coordinates, with a straight line through each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from satdaemon.web.pages.plots import steps

WIDTH, HEIGHT, LEFT = 420.0, 250.0, 44.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One series."""

    title: str
    dates: Sequence[date]
    mm: NDArray[np.float64]
    """NaN where unknown."""

    @property
    def fit(self) -> tuple[float, float] | None:
        """(mm/yr, mm at the first date) of the straight line of least squares; None below three values."""
        known = np.isfinite(self.mm)
        if known.sum() < 3:
            return None
        slope, start = np.polyfit(self.years[known], self.mm[known], 1)
        return float(slope), float(start)

    @property
    def years(self) -> NDArray[np.float64]:
        """Since the first date."""
        return np.array([(day - self.dates[0]).days / 365.25 for day in self.dates])


@dataclass(frozen=True, slots=True)
class Drawn:
    """One series as it is drawn."""

    title: str
    velocity: float | None
    """mm/yr of the line."""
    dots: tuple[tuple[float, float, str], ...]
    """x, y, what it is."""
    line: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class SeriesPlot:
    """All series of a picture."""

    width: float
    height: float
    curves: tuple[Drawn, ...]
    levels: tuple[tuple[float, str], ...]
    times: tuple[tuple[float, str], ...]


def series_plot(curves: Sequence[Curve]) -> SeriesPlot | None:
    """None where no series has a value."""
    values = [curve.mm[np.isfinite(curve.mm)] for curve in curves]
    every = np.concatenate(values) if values else np.empty(0)
    if not every.size:
        return None
    low, high = float(every.min()), float(every.max())
    room = max((high - low) * 0.08, 1.0)
    low, high = low - room, high + room
    first, last = min(c.dates[0] for c in curves), max(c.dates[-1] for c in curves)
    days = max((last - first).days, 1)

    def x_of(day: date) -> float:
        return round(LEFT + (day - first).days / days * (WIDTH - LEFT - 12.0), 1)

    def y_of(mm: float) -> float:
        return round(8.0 + (high - mm) / (high - low) * (HEIGHT - 34.0), 1)

    drawn = []
    for curve in curves:
        dots = tuple(
            (x_of(day), y_of(float(mm)), f"{day}: {mm:.1f} mm")
            for day, mm in zip(curve.dates, curve.mm, strict=True)
            if np.isfinite(mm)
        )
        fit = curve.fit
        line = None
        if fit is not None:
            end = fit[1] + fit[0] * curve.years[-1]
            line = (x_of(curve.dates[0]), y_of(fit[1]), x_of(curve.dates[-1]), y_of(float(end)))
        drawn.append(Drawn(curve.title, None if fit is None else fit[0], dots, line))
    levels = tuple((y_of(value), f"{value:g}") for value in steps(low, high))
    ticks = sorted({first, last, *(date(year, 1, 1) for year in range(first.year + 1, last.year + 1))})
    return SeriesPlot(WIDTH, HEIGHT, tuple(drawn), levels, tuple((x_of(day), f"{day:%Y-%m}") for day in ticks))
