"""coherence: siblings of the frame (row of the master), coherence and phase of an interferogram (row of a pair).

Memory: both work by blocks of rows; a block's height is half of `job.memory_gb` over the bytes that a pixel takes
(`insar.rowblocks.block_rows`), about 300 bytes with 50 siblings.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.config.stages import CoherenceSettings
from satdaemon.domain import StageInput, StageResult
from satdaemon.errors import DataError, ProcessingError
from satdaemon.insar import coherence, fringes
from satdaemon.insar.kernel import use_threads
from satdaemon.insar.rasters import gdal_session
from satdaemon.insar.rowblocks import RowBlock, block_rows, row_blocks
from satdaemon.insar.rowrasters import create_rows, open_all, read_rows, shape_of, write_rows
from satdaemon.insar.sibling_store import NAME as SIBLINGS
from satdaemon.insar.sibling_store import SiblingReader, SiblingRows
from satdaemon.processors.base import Report, settings_of, write_metadata
from satdaemon.processors.builtin.siblings import make_siblings
from satdaemon.processors.registry import VERSION
from satdaemon.status import RowKind, Stage

MEMORY_PX = 180
"""Bytes that a pixel of a pair's block takes: two SLCs, their product, powers, results."""


class CoherenceProcessor:
    """RapidSAR's siblings and coherence (Spaans & Hooper 2016)."""

    name = "builtin"
    version = VERSION[Stage.COHERENCE]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make `siblings.zarr` for the master's row, `ifg.tif` and `points.tif` for a pair's."""
        settings = settings_of(job, CoherenceSettings)
        use_threads(job.cores)
        with gdal_session():
            make = make_siblings if job.kind is RowKind.MASTER else _make_pair
            files, metrics, extra, warnings = make(job, settings, report)
        for text in warnings:
            report.warning(text)
        write_metadata(job, processor=self.name, version=self.version, files=files, metrics=metrics, extra=extra)
        return StageResult((*files, "product.json"), metrics, tuple(warnings), (), self.name, self.version)


def _make_pair(
    job: StageInput, settings: CoherenceSettings, report: Report
) -> tuple[dict[str, Any], dict[str, float | int | str], dict[str, Any], list[str]]:
    siblings = SiblingReader(_product(job, "siblings") / SIBLINGS)
    paths = {str(day): _product(job, f"satsar/{day:%Y%m%d}") / "slc.tif" for day in _dates(job)}
    tally = _Tally()
    with open_all(paths) as sources:
        shape = shape_of(sources)
        if shape != siblings.shape:
            raise DataError(f"siblings are on a grid of {siblings.shape}, the SLCs of {job.key} on one of {shape}:"
                            " run the frame's coherence stage again")
        first, second = sources.values()
        halo = max(siblings.window[0] // 2, fringes.HALO_ROWS)
        height = block_rows(shape[1], MEMORY_PX + 4 * settings.max_siblings, job.memory_gb,
                            halo=halo, halo_bytes_per_px=48)
        with (create_rows(job.out_dir / "ifg.tif", shape, np.complex64) as ifg,
              create_rows(job.out_dir / "points.tif", shape, np.uint8) as points):
            for block in row_blocks(shape[0], height, halo=halo, align=fringes.NODE[0]):
                result, chosen, looks = _pair_block(first, second, siblings, block, settings)
                write_rows(ifg, block.first, result)
                write_rows(points, block.first, chosen)
                tally.add(result, chosen, looks)
                report.progress(block.stop / shape[0], "coherence")
    return _pair_product(job, shape, tally, settings)


def _pair_block(
    first: Any, second: Any, siblings: SiblingReader, block: RowBlock, settings: CoherenceSettings
) -> tuple[NDArray[np.complex64], NDArray[np.uint8], NDArray[np.float32]]:
    s1 = read_rows(first, block.halo_first, block.halo_stop)
    s2 = read_rows(second, block.halo_first, block.halo_stop)
    return estimate(s1, s2, siblings.rows(block.first, block.stop), block, siblings.window, siblings.min_siblings,
                    settings)


def estimate(
    s1: NDArray[np.complex64], s2: NDArray[np.complex64], rows: SiblingRows, block: RowBlock, window: tuple[int, int],
    fewest: int, settings: CoherenceSettings,
) -> tuple[NDArray[np.complex64], NDArray[np.uint8], NDArray[np.float32]]:
    """Coherence x exp(i phase), points and effective looks of a block's rows, from its SLCs with halo."""
    known = np.isfinite(s1) & np.isfinite(s2) & (s1 != 0) & (s2 != 0)
    s1 = np.where(known, s1, np.complex64(0))
    s2 = np.where(known, s2, np.complex64(0))
    product = s1 * s2.conj()
    slopes = fringes.phase_slopes(product, block.halo_first)
    if not settings.remove_fringes:
        slopes = (np.zeros_like(slopes[0]), np.zeros_like(slopes[1]))
    sample = np.empty(rows.count.shape, np.complex64)
    share = np.empty(rows.count.shape, np.float32)
    coherence.average_siblings(
        product, _power(s1), _power(s2), *slopes, block.inset, rows.packed, rows.start, rows.count, window, fewest,
        sample, share,
    )
    size = np.abs(sample)
    looks = rows.looks * share
    corrected = coherence.corrected(size, looks)
    chosen = (
        (corrected >= settings.threshold)
        & (size >= coherence.significance_level(looks, settings.false_alarm))
        & (looks >= settings.min_looks)
    )
    scale = np.maximum(corrected, coherence.LEAST_COHERENCE) / np.where(size > 0, size, 1)
    return (sample * scale).astype(np.complex64), chosen.astype(np.uint8), looks


def _power(slc: NDArray[np.complex64]) -> NDArray[np.float32]:
    return slc.real * slc.real + slc.imag * slc.imag


class _Tally:
    """Sums over blocks for the metrics."""

    def __init__(self) -> None:
        self.pixels = self.points = 0
        self.coherence = self.point_coherence = self.point_looks = 0.0

    def add(
        self, result: NDArray[np.complex64], chosen: NDArray[np.uint8], looks: NDArray[np.float32]
    ) -> None:
        size = np.abs(result)
        here = chosen == 1
        self.pixels += int(np.count_nonzero(size))
        self.points += int(here.sum())
        self.coherence += float(size.sum(dtype=np.float64))
        self.point_coherence += float(size[here].sum(dtype=np.float64))
        self.point_looks += float(looks[here].sum(dtype=np.float64))


def _pair_product(
    job: StageInput, shape: tuple[int, int], tally: _Tally, settings: CoherenceSettings
) -> tuple[dict[str, Any], dict[str, float | int | str], dict[str, Any], list[str]]:
    if tally.pixels == 0:
        raise ProcessingError(f"{job.key}: no pixel has data on both dates and siblings; the dates share no burst?")
    metrics: dict[str, float | int | str] = {
        "pixels": tally.pixels, "points": tally.points,
        "coherence_mean": round(tally.coherence / tally.pixels, 4),
        "point_coherence_mean": round(tally.point_coherence / max(tally.points, 1), 4),
        "point_looks_mean": round(tally.point_looks / max(tally.points, 1), 2),
    }
    files = {
        "ifg.tif": {
            "description": "coherence (corrected for bias) x exp(i phase), averaged over siblings", "unit": "1",
            "nodata": 0, "dtype": "complex64", "shape": list(shape), "phase": "date1 * conj(date2)",
        },
        "points.tif": {"description": "1 = chosen as a point", "unit": "1", "nodata": None, "dtype": "uint8",
                       "shape": list(shape)},
    }
    warnings = [] if tally.points else [f"no pixel reaches the coherence threshold {settings.threshold}"]
    return files, metrics, {"dates": [day.isoformat() for day in _dates(job)]}, warnings


def _dates(job: StageInput) -> tuple[date, date]:
    if job.date1 is None or job.date2 is None:
        raise DataError(f"coherence of a pair: expected two dates, got {job.date1} and {job.date2}")
    return job.date1, job.date2


def _product(job: StageInput, role: str) -> Any:
    if role not in job.inputs:
        raise DataError(f"{job.stage} {job.key}: expected the product {role}, got {', '.join(sorted(job.inputs))}")
    return job.inputs[role]
