"""Exact geometry on a few nodes, polynomials in between.

Between two nearly parallel orbits, line, sample and range of a ground point are very smooth functions of line, sample
and height. They are solved exactly on Chebyshev nodes and interpolated by the polynomial through them; the error is
below 1e-6 of a pixel and 1e-6 m (tests/test_20_simulator_geometry.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from satdaemon.simulator.geometry import locate, project, to_geodetic
from satdaemon.simulator.instrument import LINE_INTERVAL_S, RANGE_SPACING_M
from satdaemon.simulator.orbit import FloatArray, Orbit

Span = tuple[float, float]
NODES = (6, 5, 4)
HEIGHT_SPAN_M: Span = (-300.0, 700.0)


@dataclass(frozen=True, slots=True)
class RadarGrid:
    """Time of line 0 (s since the node), slant range of sample 0 (m), and the orbit: pixel to ground and back."""

    orbit: Orbit
    time_s: float
    range_m: float

    def ground(self, row: FloatArray, col: FloatArray, height_m: FloatArray) -> FloatArray:
        """Earth-fixed points of (row, col) at a height."""
        return locate(self.orbit, self.time_s + row * LINE_INTERVAL_S, self.range_m + col * RANGE_SPACING_M, height_m)

    def pixel(self, point_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(row, col) of Earth-fixed points."""
        time, distance = project(self.orbit, point_m, self.time_s)
        return (time - self.time_s) / LINE_INTERVAL_S, (distance - self.range_m) / RANGE_SPACING_M


@dataclass(frozen=True, slots=True)
class Mapping:
    """Several functions of (row, col, height) as monomials of coordinates scaled to -1..1.

    `coefficients` (functions, rows, cols, heights).
    """

    coefficients: FloatArray
    rows: Span
    cols: Span
    heights: Span = HEIGHT_SPAN_M

    @classmethod
    def fit(
        cls,
        function: Callable[[FloatArray, FloatArray, FloatArray], list[FloatArray]],
        rows: Span,
        cols: Span,
    ) -> Mapping:
        """Interpolate `function(row, col, height)` (each of the node grid's shape) over the spans."""
        nodes = [chebyshev.chebpts1(n) for n in NODES]
        axes = [_unscale(x, span) for x, span in zip(nodes, (rows, cols, HEIGHT_SPAN_M), strict=True)]
        grid = np.meshgrid(*axes, indexing="ij")
        values = np.stack(function(*grid))
        for axis, x in enumerate(nodes, start=1):
            inverse = np.linalg.inv(polynomial.polyvander(x, len(x) - 1))
            values = np.moveaxis(np.tensordot(inverse, values, axes=(1, axis)), 0, axis)
        return cls(np.ascontiguousarray(values), rows, cols)

    def on_grid(self, rows: FloatArray, cols: FloatArray, height_m: FloatArray) -> FloatArray:
        """Values (functions, rows, cols) at every (row, col) with its own height (rows, cols)."""
        vr = polynomial.polyvander(_scale(rows, self.rows), NODES[0] - 1)
        vc = polynomial.polyvander(_scale(cols, self.cols), NODES[1] - 1)
        z = _scale(height_m, self.heights)
        out = np.zeros((len(self.coefficients), len(rows), len(cols)))
        for k in reversed(range(NODES[2])):
            out *= z
            for f, block in enumerate(self.coefficients[..., k]):
                out[f] += vr @ block @ vc.T
        return out


def date_to_reference(date_grid: RadarGrid, reference: RadarGrid, rows: Span, cols: Span) -> Mapping:
    """From pixels of a date's burst to (row, col) of the reference grid, and range minus reference range (m)."""

    def solve(row: FloatArray, col: FloatArray, height: FloatArray) -> list[FloatArray]:
        ref_row, ref_col = reference.pixel(date_grid.ground(row, col, height))
        change = (date_grid.range_m - reference.range_m) + (col - ref_col) * RANGE_SPACING_M
        return [ref_row, ref_col, change]

    return Mapping.fit(solve, rows, cols)


def pixel_to_lonlat(grid: RadarGrid, rows: Span, cols: Span) -> Mapping:
    """From pixels to longitude and latitude, degrees."""

    def solve(row: FloatArray, col: FloatArray, height: FloatArray) -> list[FloatArray]:
        lon, lat, _ = to_geodetic(grid.ground(row, col, height))
        return [np.degrees(lon), np.degrees(lat)]

    return Mapping.fit(solve, rows, cols)


def _scale(value: FloatArray, span: Span) -> FloatArray:
    return (2 * value - (span[0] + span[1])) / (span[1] - span[0])


def _unscale(x: FloatArray, span: Span) -> FloatArray:
    return 0.5 * (span[0] + span[1]) + 0.5 * (span[1] - span[0]) * x
