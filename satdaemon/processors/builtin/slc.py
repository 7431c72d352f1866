"""slc: the frame's bursts of one date, cut out of its product zips, with the precise orbit.

Reads `download`; writes `slc.json` and `bursts/<burst id>.tif` (complex int16, the burst's valid part).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from satdaemon.domain import StageInput, StageResult, some_of
from satdaemon.errors import CorruptProduct, DataError, NotUsable
from satdaemon.insar.acquisition import FILE_NAME, Acquisition, burst_file
from satdaemon.insar.annotation import SafeBurst
from satdaemon.insar.container import Container, open_container
from satdaemon.insar.geometry import fit_track
from satdaemon.insar.orbit import OrbitArc, annotated_arc, orbit_arc, read_orbit_file
from satdaemon.insar.partial import held_bursts, measurement_name
from satdaemon.insar.rasters import copy_window, create_radar, gdal_session, open_radar
from satdaemon.insar.safe import SafeProduct, annotation_names, parse_xml, read_container
from satdaemon.insar.swath import BurstMeta, burst_metas, state_vectors
from satdaemon.planning.coverage import coverage
from satdaemon.processors.base import METADATA_NAME, Report, write_metadata
from satdaemon.processors.builtin.own_bursts import own_bursts
from satdaemon.processors.registry import VERSION
from satdaemon.status import RowKind, Stage

MIN_COVERAGE = 0.5
MAX_ORBIT_DIFFERENCE_M = 500.0
"""Annotated orbits are within metres of the precise one; farther off, the file belongs to another pass."""
NEARLY_WHOLE = 0.98
"""A copy of a burst with this share of the lines of the longest copy counts as whole."""


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """One copy of a frame burst in one product."""

    frame_id: str
    product: SafeProduct
    burst: SafeBurst
    meta: BurstMeta
    measurement: str
    """Member name in the product."""
    annotated: OrbitArc
    is_held: bool = True
    """False where the product is one of some bursts, and this one is not there."""


class SlcProcessor:
    """Built-in processor of the slc stage."""

    name = "slc"
    version = VERSION[Stage.SLC]

    def run(self, job: StageInput, report: Report) -> StageResult:
        """Make the slc product of one date.

        Raises
        ------
        NotUsable
            Bursts are missing that this date cannot do without.
        CorruptProduct, DataError
            A zip or orbit file is damaged or does not fit.
        """
        paths, orbits = _read_download(job.inputs["download"])
        found = _held(job, [copy for path in paths for copy in _copies(job, path)])
        chosen = {b.id: best for b in job.frame.bursts if (best := _best(b.id, found)) is not None}
        missing, warnings = _check_coverage(job, set(chosen), found, report)
        arc = _apply_orbit(orbits, list(chosen.values()))
        with gdal_session():
            for done, copy in enumerate(chosen.values()):
                _copy_pixels(copy, job.out_dir / burst_file(copy.frame_id))
                report.progress((done + 1) / len(chosen), f"burst {copy.frame_id}")
        return _finish(job, list(chosen.values()), arc, missing, warnings)


def _read_download(directory: Path) -> tuple[list[Path], list[Path]]:
    path = directory / "download.json"
    try:
        document = json.loads(path.read_text())
        scenes = [Path(scene["path"]) for scene in document["scenes"]]
        orbits = [Path(p) for p in document["orbit"]["paths"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected scenes and orbit of the date: {error!r}; run the download again") from error
    if not scenes or not orbits:
        raise DataError(f"{path}: expected at least one scene and one orbit file, got {len(scenes)} and {len(orbits)}")
    return [directory / p for p in scenes], [directory / p for p in orbits]


def _copies(job: StageInput, path: Path) -> list[_Copy]:
    """Every frame burst that one product holds in the wanted polarisation."""
    with open_container(path) as container:
        product = read_container(container)
        annotations = annotation_names(container.names())
        copies: list[_Copy] = []
        for swath in sorted({b.swath for b in job.frame.bursts}):
            name = annotations.get((swath, job.polarisation))
            if name is not None:
                copies += _swath_copies(job, container, product, name)
        return copies


def _held(job: StageInput, found: Sequence[_Copy]) -> list[_Copy]:
    """The copies whose pixels are there. DataError where the date has a burst, and the download did not fetch it."""
    held = [copy for copy in found if copy.is_held]
    lacking = sorted({copy.frame_id for copy in found} - {copy.frame_id for copy in held})
    if lacking:
        raise DataError(
            f"{job.inputs['download']}: expected burst {some_of(lacking)} of the frame in the download, got one of other bursts "
            "alone ([DOWNLOAD] bursts_only); run the download again"
        )
    return held


def _swath_copies(job: StageInput, container: Container, product: SafeProduct, name: str) -> list[_Copy]:
    root = parse_xml(container, name)
    try:
        bursts, own = own_bursts(job.frame, product, root)
        if not bursts:
            return []
        metas = burst_metas(root, bursts, product.id)
        annotated = annotated_arc(state_vectors(root), product.start_utc)
    except (ValueError, KeyError, IndexError) as error:
        raise CorruptProduct(f"{container.path}: {name}: {error}") from error
    of = {burst.id: meta for burst, meta in zip(bursts, metas, strict=True)}
    held = held_bursts(container)
    return [
        _Copy(
            frame_id,
            product,
            burst,
            of[burst.id].named(frame_id),
            measurement_name(name),
            annotated,
            held is None or burst.index in held.get((burst.swath, job.polarisation), ()),
        )
        for frame_id, burst in own.items()
    ]


def _best(frame_id: str, copies: Iterable[_Copy]) -> _Copy | None:
    """The copy to use: whole before cut, then the newest processing, then the longest."""
    mine = [c for c in copies if c.frame_id == frame_id]
    if not mine:
        return None
    longest = max(c.meta.lines for c in mine)
    return max(mine, key=lambda c: (c.meta.lines >= NEARLY_WHOLE * longest, c.product.proc_utc, c.meta.lines, c.product.id))


def _check_coverage(
    job: StageInput, present: set[str], found: Sequence[_Copy], report: Report
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Missing bursts and what to warn of; NotUsable where the date cannot do without them."""
    if not found:
        raise NotUsable(
            f"none of the frame's {len(job.frame.bursts)} bursts is in the scenes of {job.date1} "
            f"in polarisation {job.polarisation}"
        )
    state = coverage(job.frame, present, float(job.settings.get("min_coverage", MIN_COVERAGE)))
    if state.missing and job.kind is RowKind.MASTER:
        raise NotUsable(f"a master needs every burst of the frame: {state.reason}; choose another master")
    if not state.usable:
        raise NotUsable(state.reason)
    if state.missing:
        report.warning(state.reason)
    return state.missing, (state.reason,) if state.missing else ()


def _apply_orbit(paths: Sequence[Path], chosen: Sequence[_Copy]) -> OrbitArc:
    """The precise arc around the chosen bursts, checked against the products' own state vectors."""
    if len({c.product.platform for c in chosen}) > 1:
        raise DataError(f"scenes of one date come from several satellites: {sorted({c.product.id for c in chosen})}")
    start = min(c.burst.azimuth_time_utc for c in chosen)
    stop = max(_stop_utc(c) for c in chosen)
    arc = orbit_arc([read_orbit_file(p, (start, stop)) for p in paths], chosen[0].product.platform, start, stop)
    precise, annotated = fit_track(arc), chosen[0].annotated
    inside = (annotated.time_s > annotated.seconds(start)) & (annotated.time_s < annotated.seconds(stop))
    if not inside.any():
        return arc
    shift = (annotated.epoch_utc - arc.epoch_utc) / timedelta(seconds=1)
    difference = precise.position(annotated.time_s[inside] + shift) - annotated.position_m[inside]
    worst = float(np.linalg.norm(difference, axis=1).max())
    if worst > MAX_ORBIT_DIFFERENCE_M:
        raise DataError(
            f"orbit {', '.join(arc.files)} is {worst:.0f} m off the annotated orbit of "
            f"{chosen[0].product.id}, expected metres: it belongs to another pass or is damaged"
        )
    return arc


def _stop_utc(copy: _Copy) -> datetime:
    return copy.burst.azimuth_time_utc + timedelta(seconds=copy.burst.lines * copy.meta.line_s)


def _copy_pixels(copy: _Copy, target: Path) -> None:
    """The burst's valid rectangle, as it stands in the measurement."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_container(copy.product.path) as container:
        if not container.size(copy.measurement):
            raise CorruptProduct(f"{copy.product.path}: {copy.measurement} is empty; download it again")
        place = container.gdal_path(copy.measurement)
    burst, meta = copy.burst, copy.meta
    with open_radar(place) as source:
        if source.width != burst.samples or source.height < (burst.index + 1) * burst.lines:
            raise CorruptProduct(
                f"{copy.product.path}: {copy.measurement} has {source.height} x {source.width} pixels, "
                f"annotated are bursts of {burst.lines} x {burst.samples}"
            )
        with create_radar(target, (meta.lines, meta.samples), "complex_int16", tiled=False) as out:
            copy_window(source, out, burst.index * burst.lines + burst.valid_lines[0], burst.valid_samples[0])


def _finish(
    job: StageInput, chosen: Sequence[_Copy], arc: OrbitArc, missing: tuple[str, ...], warnings: tuple[str, ...]
) -> StageResult:
    scenes = tuple(sorted({c.product.id for c in chosen}))
    acquisition = Acquisition(chosen[0].product.platform, job.polarisation, scenes, arc, tuple(c.meta for c in chosen), missing)
    (job.out_dir / FILE_NAME).write_text(json.dumps(acquisition.to_json(), indent=1) + "\n")
    metrics: dict[str, float | int | str] = {
        "bursts": len(chosen),
        "missing_bursts": len(missing),
        "coverage": len(chosen) / len(job.frame.bursts),
        "orbit": arc.type,
        "scenes": len(scenes),
    }
    files: dict[str, dict[str, Any]] = {FILE_NAME: {"description": "burst records, orbit state vectors, missing bursts"}}
    for c in chosen:
        files[burst_file(c.frame_id)] = {
            "description": "valid part of the burst as in the product",
            "unit": "digital number",
            "nodata": None,
            "dtype": "complex_int16",
            "shape": [c.meta.lines, c.meta.samples],
        }
    write_metadata(
        job,
        processor=SlcProcessor.name,
        version=SlcProcessor.version,
        files=files,
        metrics=metrics,
        extra={"missing": list(missing)},
    )
    return StageResult(
        (*files, METADATA_NAME), metrics, warnings, processor=SlcProcessor.name, processor_version=SlcProcessor.version
    )
