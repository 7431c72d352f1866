"""Makes the archive: scenes, orbit files, DEM, frame and truth."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from satdaemon.errors import RequestError
from satdaemon.simulator.ground import Ground
from satdaemon.simulator.layout import SwathProduct
from satdaemon.simulator.manifest import Processing
from satdaemon.simulator.options import SimulationOptions
from satdaemon.simulator.orbit_file import write_precise, write_restituted
from satdaemon.simulator.product import corrupt, processing_time, write_product
from satdaemon.simulator.render import BurstScene, quantise, scene_grid
from satdaemon.simulator.scenario import TRACK, Acquisition
from satdaemon.simulator.surroundings import write_dem, write_frame, write_rasters
from satdaemon.simulator.truth_file import truth_document

Progress = Callable[[float, str], None]
Samples = npt.NDArray[np.int16]
MARK = "simulation.json"
_ENTRIES = ("archive", "orbits", "truth", "dem.tif", "frame.json", MARK)
_OLD_GAIN = 0.8
"""Amplitude of the outdated product of the reprocessed acquisition."""


def simulate(
    out: Path, options: SimulationOptions | None = None, progress: Progress | None = None, *, overwrite: bool = False
) -> Path:
    """Make a Sentinel-1 archive whose truth is known.

    Writes below `out`: `archive/T132/*.zip` (IW SLC products), `orbits/*.EOF`, `dem.tif` (EPSG:4326, float32,
    ellipsoidal metres), `frame.json`, `truth/truth.json` and `truth/*.tif`.

    Parameters
    ----------
    out
        Directory; made where it does not exist. One that holds the finished simulation of the same options is left as
        it is; an unfinished one of the same options is started over.
    options
        What to simulate; the defaults where None.
    progress
        Called with the fraction done (0..1) and what is going on.
    overwrite
        Remove what an earlier simulation left in `out`, whatever its options.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    RequestError
        `out` holds something else.
    """
    options = options or SimulationOptions()
    report = progress or (lambda _fraction, _message: None)
    if _finished(out, options, overwrite=overwrite):
        report(1.0, "nothing to do: the same simulation is already there")
        return out
    for folder in ("archive", "orbits", "truth"):
        (out / folder).mkdir(parents=True)
    _mark(out, options, complete=False)
    report(0.0, "ground")
    ground = Ground(options)
    write_frame(out / "frame.json", options)
    write_dem(out / "dem.tif", ground)
    rasters = write_rasters(out / "truth", ground)
    written = _Writer(out, ground).run(report)
    document = truth_document(ground, written, rasters)
    (out / "truth" / "truth.json").write_text(json.dumps(document, indent=1) + "\n")
    _mark(out, options, complete=True)
    report(1.0, "done")
    return out


def _finished(out: Path, options: SimulationOptions, *, overwrite: bool) -> bool:
    """True where there is nothing to do; leaves `out` empty otherwise, or raises."""
    present = sorted(p.name for p in out.iterdir()) if out.is_dir() else []
    if out.exists() and not out.is_dir():
        raise RequestError(f"simulate: expected a directory, found a file: {out}")
    if not present:
        return False
    mark: dict[str, Any] = json.loads((out / MARK).read_text()) if MARK in present else {}
    same = mark.get("options") == options.to_json()
    if same and mark.get("complete") and not overwrite:
        return True
    strange = [name for name in present if name not in _ENTRIES]
    if not mark or strange:
        raise RequestError(
            f"simulate: expected an empty directory or an earlier simulation, found {', '.join(strange or present)} in "
            f"{out}; choose another directory"
        )
    if not same and not overwrite:
        raise RequestError(f"simulate: {out} holds a simulation of other options; choose another directory or ask to overwrite")
    for name in present:
        entry = out / name
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return False


def _mark(out: Path, options: SimulationOptions, *, complete: bool) -> None:
    (out / MARK).write_text(json.dumps({"options": options.to_json(), "complete": complete}, indent=1) + "\n")


class _Writer:
    """Renders date after date; bursts of a date in parallel, the zip of a date beside the next date's bursts."""

    def __init__(self, out: Path, ground: Ground) -> None:
        self._ground, self._orbits = ground, out / "orbits"
        self._archive = out / "archive" / f"T{TRACK:03d}"
        self._archive.mkdir()
        self._threads = min(4, os.cpu_count() or 1)

    def run(self, report: Progress) -> dict[int, dict[str, Any]]:
        """Products and orbit files of each date, by its index."""
        grid = list(scene_grid(self._ground.options))
        dates = self._ground.acquisitions
        pending: dict[int, Future[dict[str, Any]]] = {}
        with ThreadPoolExecutor(self._threads) as renderers, ThreadPoolExecutor(1) as writer:
            scenes = dict(zip(grid, renderers.map(lambda g: BurstScene(self._ground, *g), grid), strict=True))
            for acquisition in dates:
                images = dict(zip(grid, renderers.map(lambda g, a=acquisition: scenes[g].render(a), grid), strict=True))
                samples = {key: quantise(image.samples) for key, image in images.items()}
                doppler = {key: image.doppler_hz for key, image in images.items()}
                if acquisition.index > 0:
                    # At most one date waits to be written: memory stays that of two dates.
                    pending[acquisition.index - 1].result()
                pending[acquisition.index] = writer.submit(self._write, acquisition, samples, doppler)
                report(0.05 + 0.93 * (acquisition.index + 1) / len(dates), f"date {acquisition.date}")
            return {index: future.result() for index, future in pending.items()}

    def _write(
        self,
        acquisition: Acquisition,
        samples: Mapping[tuple[str, int], Samples],
        doppler: Mapping[tuple[str, int], float],
    ) -> dict[str, Any]:
        spoilt = None
        paths = [
            self._product(acquisition, samples, doppler, part, number, count) for number, count, part in self._slices(acquisition)
        ]
        if "duplicate" in acquisition.cases:
            old = {k: np.rint(_OLD_GAIN * v).astype(np.int16) for k, v in samples.items()}
            number, count, part = self._slices(acquisition)[0]
            paths.append(self._product(acquisition, old, doppler, part, number, count, outdated=True))
        if "corrupt" in acquisition.cases:
            spoilt = corrupt(paths[0])
        return {
            "products": [p.stem for p in paths], "corrupt_member": spoilt,
            "outdated": paths[-1].stem if "duplicate" in acquisition.cases else None,
            "orbit_files": [p.name for p in self._write_orbits(acquisition)],
        }  # fmt: skip

    def _slices(self, acquisition: Acquisition) -> list[tuple[int, int, range]]:
        """(number, count, bursts) of each product of the date."""
        bursts = self._ground.options.bursts
        if "split" not in acquisition.cases:
            return [(1, 1, range(bursts))]
        # The slices share a burst, as real neighbours do. Products of one burst are rare enough to trip readers.
        cut = (bursts + 1) // 2
        return [(1, 2, range(cut)), (2, 2, range(cut - 1, bursts))]

    def _product(
        self,
        acquisition: Acquisition,
        samples: Mapping[tuple[str, int], Samples],
        doppler: Mapping[tuple[str, int], float],
        part: range,
        number: int,
        count: int,
        *,
        outdated: bool = False,
    ) -> Path:
        options = self._ground.options
        products = []
        for swath in options.swath_names:
            bursts = tuple(k for k in part if k < acquisition.burst_count(swath))
            products.append(SwathProduct(
                self._ground, acquisition, swath, bursts, tuple(doppler[swath, k] for k in bursts), number, count
            ))  # fmt: skip
        newer = Processing(processing_time(products[0], 480.0 if "duplicate" in acquisition.cases else 3.0))
        older = Processing(processing_time(products[0], 3.0), ipf="003.40")
        return write_product(
            self._archive, products, options.polarisations, samples, older if outdated else newer, options.compression
        )

    def _write_orbits(self, acquisition: Acquisition) -> list[Path]:
        if not acquisition.has_orbit_file:
            return []
        restituted = write_restituted(self._orbits, acquisition)
        if "resorb_only" in acquisition.cases:
            return [restituted]
        return [restituted, write_precise(self._orbits, acquisition)]
