"""timeseries: displacement series and velocity of the frame's points from all its unwrapped interferograms.

A new date brings its own interferograms; the phases of older ones are read as they were unwrapped, never unwrapped again.
Recomputed are the cheap steps: reference phases, closure, inversion, DEM error and velocity. The reference area of the
`previous` series is kept as long as it has points, so that series of successive versions compare.

Memory: tiles of the frame with all interferograms at once, about 30 bytes a pixel and interferogram; half of
`job.memory_gb` over that gives the tile (`insar.rowblocks.tiles`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.config.stages import TimeseriesSettings
from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import ProcessingError
from satdaemon.insar import closure, dem_error, sbas, velocity
from satdaemon.insar.coherence import phase_variance
from satdaemon.insar.kernel import use_threads
from satdaemon.insar.rasters import gdal_session, write_window
from satdaemon.insar.reference import Samples
from satdaemon.insar.rowblocks import Tile, tiles
from satdaemon.insar.rowrasters import create_rows
from satdaemon.processors.base import METADATA_NAME, Report, settings_of, write_metadata
from satdaemon.processors.builtin.series_input import GEOMETRY, PointData, Stack, open_stack, samples_of, unpack
from satdaemon.processors.builtin.series_reference import reference_area, reference_phase
from satdaemon.processors.builtin.series_store import FIELDS, NAME, SeriesWriter
from satdaemon.processors.registry import VERSION
from satdaemon.status import Stage

Floats = NDArray[np.float32]
PAIR_BYTES = 30
PIXEL_BYTES = 120
SAMPLE_CELL = (8, 24)
"""Rows and columns of the cells that give one sample point each."""
MAX_SAMPLES = 100_000
WEIGHT_LOOKS = 20.0
"""Looks behind the weights; the same for all pairs of a point, they do not change its solution."""


class TimeseriesProcessor:
    """Weighted SBAS with closure correction, DEM error and velocity."""

    name = "builtin"
    version = VERSION[Stage.TIMESERIES]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make `timeseries.zarr` and `velocity.tif`."""
        settings = settings_of(job, TimeseriesSettings)
        use_threads(job.cores)
        with gdal_session(), open_stack(job) as stack:
            work = _Work(job, settings, stack, report)
            work.survey()
            work.refer()
            work.invert()
            work.finish()
        for text in work.warnings:
            report.warning(text)
        write_metadata(job, processor=self.name, version=self.version, files=_files(stack), metrics=work.metrics)
        return StageResult((NAME, "velocity.tif", METADATA_NAME), work.metrics, tuple(work.warnings), (), self.name,
                           self.version)


class _Work:
    """One run: what the steps hand to each other."""

    def __init__(self, job: StageInput, settings: TimeseriesSettings, stack: Stack, report: Report) -> None:
        self.job, self.settings, self.stack, self.report = job, settings, stack, report
        self.tiles = tiles(stack.shape, PAIR_BYTES * len(stack.pairs) + PIXEL_BYTES, job.memory_gb)
        self.loops = closure.triangles(stack.links) if settings.correct_unwrapping else np.empty((0, 3), np.int32)
        self.network = sbas.Network.of(stack.links, len(stack.dates))
        self.mm_per_rad = 1000 * stack.wavelength_m / (4 * math.pi)
        self.masks: list[NDArray[np.uint8]] = []
        self.places: list[slice] = []
        self.warnings: list[str] = []
        self.metrics: dict[str, float | int | str] = {}
        scale = settings.dem_scale_m / 2
        cell = (max(1, round(scale / stack.spacing_m[0])), max(1, round(scale / stack.spacing_m[1])))
        self.surroundings = dem_error.Surroundings(stack.shape, cell, len(stack.dates))

    def survey(self) -> None:
        """Find the pixels that are points often enough, and sample points spread over the frame."""
        fewest = max(1, math.ceil(self.settings.min_pairs_share * len(self.stack.pairs)))
        cells = (-(-self.stack.shape[0] // SAMPLE_CELL[0])) * (-(-self.stack.shape[1] // SAMPLE_CELL[1]))
        # coarser samples for large frames and long stacks: 10 bytes a sample and pair
        most = min(MAX_SAMPLES, int(0.1 * self.job.memory_gb * 1e9 / (10 * len(self.stack.pairs))))
        grow = math.ceil(math.sqrt(max(1.0, cells / max(most, 1))))
        cell = (SAMPLE_CELL[0] * grow, SAMPLE_CELL[1] * grow)
        parts = []
        for k, tile in enumerate(self.tiles):
            number, total = self.stack.count(tile)
            chosen = number >= fewest
            self.masks.append(np.packbits(chosen))
            row, col = np.nonzero(chosen)
            best = _best_of_cells(row + tile.row, col + tile.col, (number + total)[row, col], cell)
            only = np.zeros_like(chosen)
            only[row[best], col[best]] = True
            parts.append(self.stack.points(tile, only))
            self.report.progress(0.3 * (k + 1) / len(self.tiles), "looking for points")
        self.samples = _thinned(samples_of(parts, len(self.stack.pairs)), cell)
        if len(self.samples.row) == 0:
            raise ProcessingError(
                f"no pixel is a point in at least {fewest} of {len(self.stack.pairs)} interferograms (min_pairs_share ="
                f" {self.settings.min_pairs_share:g}): lower it, or look at the coherence of the pairs"
            )

    def refer(self) -> None:
        """Choose the reference area, take its phase in every pair, and the cycles of whole components."""
        samples = self.samples
        self.area, moved = reference_area(self.job, self.settings, self.stack, samples, self.tiles)
        if moved:
            self.warnings.append("the reference area of the previous series has no points left: another was chosen")
        self.reference_phase, self.reference_points = reference_phase(self.area, self.stack, self.tiles, self.masks)
        lost = int(np.isnan(self.reference_phase).sum())
        if lost:
            self.warnings.append(f"{lost} interferograms have no point in the reference area and are left out")
        referenced = samples.phase_rad - self.reference_phase
        self.steps = (
            closure.component_cycles(referenced, samples.coherence, samples.component, self.loops)
            if len(self.loops) else {}
        )

    def invert(self) -> None:
        """Closure and inversion of every tile's points; write what is final and sum up the surroundings."""
        self.writer = SeriesWriter(self.job.out_dir / NAME, len(self.stack.dates))
        tally = np.zeros(4, np.int64)
        for k, (tile, packed) in enumerate(zip(self.tiles, self.masks, strict=True)):
            data = self.stack.points(tile, unpack(packed, tile))
            values, counts = self._invert_points(data)
            tally += counts
            geometry = {name: self.stack.window(name, tile) for name in GEOMETRY if name != "range"}
            at = (values["row"] - tile.row, values["col"] - tile.col)
            values |= {name: raster[at] for name, raster in geometry.items()}
            self.places.append(self.writer.append(values))
            self.surroundings.add(values["row"], values["col"], values["displacement"])
            self.report.progress(0.3 + 0.5 * (k + 1) / len(self.tiles), "displacement")
        candidates, phases, corrected, open_points = (int(n) for n in tally)
        if self.writer.points == 0:
            raise ProcessingError(f"none of {candidates} points reaches temporal coherence"
                                  f" {self.settings.min_temporal_coherence:g} on enough connected dates")
        self.metrics |= {
            "points": self.writer.points, "candidates": candidates, "pairs": len(self.stack.pairs),
            "dates": len(self.stack.dates), "triangles": len(self.loops), "components_corrected": len(self.steps),
            "corrected_share": round(corrected / max(phases, 1), 6),
            "open_share": round(open_points / max(candidates, 1), 6),
        }

    def _invert_points(self, data: PointData) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        phase = data.phase_rad
        phase -= self.reference_phase
        for (pair, label), step in self.steps.items():
            phase[data.component[:, pair] == label, pair] += np.float32(2 * math.pi * step)
        phase, cycles, left = closure.correct_points(phase, data.coherence, self.loops)
        known = np.isfinite(phase)
        weight = np.reciprocal(phase_variance(data.coherence, WEIGHT_LOOKS))
        series = sbas.invert(phase, weight, self.network)
        dates = np.isfinite(series.phase_rad).sum(1)
        good = (series.temporal_coherence >= self.settings.min_temporal_coherence) & (
            dates >= max(2, math.ceil(self.settings.min_dates_share * len(self.stack.dates)))
        )
        mean = np.where(known, data.coherence, 0).sum(1) / np.maximum(known.sum(1), 1)
        values: dict[str, NDArray[Any]] = {
            "row": data.row[good], "col": data.col[good],
            "displacement": (series.phase_rad[good] * np.float32(self.mm_per_rad)).astype(np.float32),
            "temporal_coherence": series.temporal_coherence[good], "coherence": mean[good].astype(np.float32),
            "pairs_used": series.pairs[good],
        }
        counts = [len(data.row), known.sum(), np.count_nonzero(cycles), np.count_nonzero(left)]
        return values, np.array(counts, np.int64)

    def finish(self) -> None:
        """DEM error, velocity, and what belongs to the whole series."""
        self.surroundings.finish()
        bperp = np.zeros(len(self.stack.dates))
        coherences, subtracted, seasonal = [], 0, 0
        with create_rows(self.job.out_dir / "velocity.tif", self.stack.shape, np.float32, nodata=math.nan) as target:
            for k, (tile, place) in enumerate(zip(self.tiles, self.places, strict=True)):
                row, col, series, agreed = self.writer.read(place, "row", "col", "displacement", "temporal_coherence")
                baselines = self._baselines(tile, row, col)
                bperp += baselines.sum(0, dtype=np.float64)
                coherences.append(agreed)
                series, height, taken = self._without_dem_error(tile, row, col, series, baselines)
                fit = velocity.fit_velocity(series, self.stack.days / 365.25, seasonal=self.settings.seasonal)
                self.writer.update(place, {
                    "displacement": series, "dem_error": height, "velocity": fit.velocity,
                    "velocity_std": fit.velocity_std, "seasonal_sin": fit.seasonal_sin,
                    "seasonal_cos": fit.seasonal_cos,
                })
                subtracted += taken
                seasonal += int(np.isfinite(fit.seasonal_sin).sum())
                raster = np.full((tile.rows, tile.cols), np.nan, np.float32)
                raster[row - tile.row, col - tile.col] = fit.velocity
                write_window(target, tile.row, tile.col, raster)
                self.report.progress(0.8 + 0.2 * (k + 1) / len(self.tiles), "velocity")
        self.metrics |= {
            "temporal_coherence_median": round(float(np.median(np.concatenate(coherences))), 4),
            "dem_error_share": round(subtracted / self.writer.points, 4),
            "seasonal_share": round(seasonal / self.writer.points, 4),
        }
        self.writer.finish(bperp / self.writer.points, self._attributes(seasonal))

    def _baselines(self, tile: Tile, row: NDArray[np.int32], col: NDArray[np.int32]) -> Floats:
        """Perpendicular baseline of each point and date to the master, shape (points, dates), m."""
        result = np.zeros((len(row), len(self.stack.dates)), np.float32)
        for k, day in enumerate(self.stack.dates):
            if day != self.job.master_date:
                result[:, k] = self.stack.window(f"bperp/{day}", tile)[row - tile.row, col - tile.col]
        return result

    def _without_dem_error(
        self, tile: Tile, row: NDArray[np.int32], col: NDArray[np.int32], series: Floats, baselines: Floats
    ) -> tuple[Floats, Floats, int]:
        if not self.settings.dem_error:
            return series, np.full(len(row), np.nan, np.float32), 0
        at = (row - tile.row, col - tile.col)
        incidence = np.radians(self.stack.window("incidence", tile)[at].astype(np.float64))
        metres = self.stack.window("range", tile)[at] * np.sin(incidence)
        # a date whose burst is absent has no baseline either, and no displacement
        factor = (1000 * np.nan_to_num(baselines) / metres[:, None]).astype(np.float32)
        found = dem_error.estimate(
            series - self.surroundings.at(row, col), factor, self.stack.days / 365.25,
            min_spread=1000 * self.settings.dem_min_baseline_m / float(np.median(metres)) if len(row) else 0.0,
            significance=self.settings.dem_significance,
        )
        first = np.argmax(np.isfinite(series), axis=1)
        change = factor - np.take_along_axis(factor, first[:, None], 1)
        height = np.where(found.subtracted, found.height_m, 0).astype(np.float32)
        return (series - height[:, None] * change).astype(np.float32), found.height_m, int(found.subtracted.sum())

    def _attributes(self, seasonal: int) -> dict[str, Any]:
        points = self.reference_points
        used = len(self.stack.pairs) - int(np.isnan(self.reference_phase).sum())
        return {
            "frame": self.job.frame.id, "dates": [day.isoformat() for day in self.stack.dates],
            "master_date": self.job.master_date.isoformat(), "wavelength_m": self.stack.wavelength_m,
            "pairs": [[first.isoformat(), second.isoformat()] for first, second in self.stack.pairs],
            "pairs_used": used,
            "reference": {
                "row": self.area.row, "col": self.area.col, "radius_m": self.area.radius_m,
                "points": len(points.row), "rows": points.row.tolist(), "cols": points.col.tolist(),
            },
            "velocity_model": "d = a + v t" if not seasonal else "d = a + v t + s sin(2 pi t) + c cos(2 pi t)",
            "velocity_std": "sqrt(sum of squared residuals / (n - parameters) * (X^T X)^-1_vv); errors taken as"
            " independent from date to date: noise that lasts longer makes the true error larger",
            "seasonal_terms": "fitted where the series spans a year and constrains them" if seasonal
            else "not fitted: switched off, or the series is too short to constrain them",
            "atmosphere": "not removed",
        }


def _best_of_cells(
    row: NDArray[np.integer[Any]], col: NDArray[np.integer[Any]], score: NDArray[Any], cell: tuple[int, int]
) -> NDArray[np.intp]:
    """Index of the pixel of highest score in each cell of the frame, by cell."""
    place = (row // cell[0]).astype(np.int64) * 2**20 + col // cell[1]
    order = np.lexsort((col, row, -score, place))
    _, first = np.unique(place[order], return_index=True)
    return order[first]


def _thinned(samples: Samples, cell: tuple[int, int]) -> Samples:
    """One sample a cell, where the tiles that share a cell each gave one."""
    score = np.isfinite(samples.phase_rad).sum(1) + samples.coherence.sum(1)
    best = _best_of_cells(samples.row, samples.col, score, cell)
    return Samples(samples.row[best], samples.col[best], samples.phase_rad[best], samples.coherence[best],
                   samples.component[best])


def _files(stack: Stack) -> dict[str, Any]:
    return {
        NAME: {"description": "displacement series and velocity of points", "unit": "mm",
               "nodata": "NaN", "dtype": "float32",
               "fields": {name: {"dtype": kind, "unit": unit, "description": text}
                          for name, (kind, unit, text) in FIELDS.items()}},
        "velocity.tif": {"description": "LOS velocity, positive towards the satellite", "unit": "mm/yr",
                         "nodata": "NaN", "dtype": "float32", "shape": list(stack.shape)},
    }
