"""Small pictures of a product, made from its files by their names in docs/products.md, whoever made them.

Nothing here knows processors: what stands in the product's directory decides. A file that is not there gives no picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.domain import Quicklook, StageInput
from satdaemon.errors import DataError
from satdaemon.insar.multilook import Kind, Means, averages
from satdaemon.insar.png import indices, write_png
from satdaemon.insar.quicklook_view import View, view_of
from satdaemon.insar.rasters import gdal_session, open_radar
from satdaemon.processors.base import METADATA_NAME
from satdaemon.processors.quicklook_files import DIRECTORY, files_of
from satdaemon.status import RowKind, Stage

ROBUST = (2.0, 98.0)
"""Percentiles of a picture between which its colours lie."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Picture:
    """One of the pictures of a file."""

    name: str
    title: str
    unit: str
    palette: str
    kind: Kind
    shown: Callable[[NDArray[Any]], Floats]
    """From averages to values of the unit."""
    span: Callable[[Floats], tuple[float, float]]
    """From values to the range of the colours."""
    is_phase: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What was made, and why what was not."""

    quicklooks: tuple[Quicklook, ...]
    warnings: tuple[str, ...]


def make(job: StageInput) -> Made:
    """Make the pictures of the product in `job.out_dir`, and list them in its `product.json` where that is of our form.

    What cannot be made is a warning. Raises only what hinders all: OSError of a full disk.
    """
    (job.out_dir / DIRECTORY).mkdir()
    made: list[Quicklook] = []
    warnings: list[str] = []
    with gdal_session():
        for name in files_of(job):
            try:
                made += _of_file(job, name, warnings)
            except Exception as error:  # noqa: BLE001  (whatever is wrong with a file, its product is judged by others)
                warnings.append(f"no quicklook of {name}: {error or type(error).__name__}")
    _list(job.out_dir, made, warnings)
    return Made(tuple(made), tuple(warnings))


def _of_file(job: StageInput, name: str, warnings: list[str]) -> list[Quicklook]:
    with open_radar(job.out_dir / name) as source:
        shape = (int(source.height), int(source.width))
        view = _view(job, shape, warnings)
        size = view.size(shape)
        cells = (min(size[0], shape[0]), min(size[1], shape[1]))
        pictures = PICTURES[name]
        means = averages(source, cells, *(picture.kind for picture in pictures))
    if not means.known:
        raise DataError("no pixel has data")
    return [_draw(job, picture, means, view, shape) for picture in pictures]


def _draw(job: StageInput, picture: Picture, means: Means, view: View, shape: tuple[int, int]) -> Quicklook:
    rows, cols = size = view.size(shape)
    values = picture.shown(view.turned(means.values[picture.kind], size))
    pixel_m = view.pixel_m(shape, size)
    least, most = picture.span(values[np.isfinite(values)])
    about = Quicklook(
        file=f"{DIRECTORY}/{picture.name}.png",
        title=_title(job, picture),
        unit=picture.unit,
        palette=picture.palette,
        least=round(least, 6),
        most=round(most, 6),
        rows=rows,
        cols=cols,
        looks=(round(shape[0] / rows, 2), round(shape[1] / cols, 2)),
        pixel_m=None if pixel_m is None else (round(pixel_m[0], 2), round(pixel_m[1], 2)),
        known=round(means.known, 4),
        mm_per_unit=round(-1000 * view.wavelength_m / (4 * math.pi), 5) if picture.is_phase else None,
    )
    index = indices(values, about.least, about.most, cyclic=picture.palette == "cyclic")
    write_png(job.out_dir / about.file, index, about.palette, _texts(job, about))
    return about


def _title(job: StageInput, picture: Picture) -> str:
    if job.stage is Stage.COHERENCE and job.kind is RowKind.MASTER:
        return f"mean {picture.title} of the initial stack"
    return picture.title


def _texts(job: StageInput, about: Quicklook) -> Mapping[str, str]:
    return {
        "Title": f"{about.title}, {job.frame.id} {job.key}",
        "Description": f"{about.least:g} to {about.most:g} {about.unit}, colours: {about.palette}",
        "Quicklook": json.dumps(about.to_json(), sort_keys=True),
    }


def _view(job: StageInput, shape: tuple[int, int], warnings: list[str]) -> View:
    try:
        return view_of(_geometry(job), shape)
    except DataError as error:
        text = f"quicklooks with square pixels: {error}"
        if text not in warnings:
            warnings.append(text)
        return View()


def _geometry(job: StageInput) -> Path | None:
    """The master's satsar product, which the job reads, makes, or reads a neighbour of."""
    for role in ("geometry", "master"):
        if role in job.inputs:
            return job.inputs[role]
    if job.stage is Stage.SATSAR:
        return job.out_dir
    beside = next((path for role, path in sorted(job.inputs.items()) if role.startswith("satsar/")), None)
    return None if beside is None else beside.parent / f"{job.master_date:%Y%m%d}"


def _list(product: Path, made: list[Quicklook], warnings: list[str]) -> None:
    path = product / METADATA_NAME
    try:
        document = json.loads(path.read_text())
        ours = "satdaemon" in document["processor"] and isinstance(document["files"], dict)
    except (OSError, ValueError, KeyError, TypeError):  # a program's own form, which is not ours to write in
        return
    if ours:
        for one in made:
            text = f"{one.title}, {one.least:g} to {one.most:g} {one.unit}"
            document["files"][one.file] = {"description": f"quicklook: {text}", "unit": one.unit, "dtype": "uint8"}
        document["quicklooks"] = {"made": [one.to_json() for one in made], "warnings": warnings}
        part = product / DIRECTORY / "product.part"  # goes with the pictures where this is cut short
        part.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        part.replace(path)


def _decibel(power: NDArray[Any]) -> Floats:
    return np.asarray(10 * np.log10(power), np.float64)


def _angle(mean: NDArray[Any]) -> Floats:
    return np.where(np.isfinite(mean), np.angle(mean), np.nan)


def _itself(values: NDArray[Any]) -> Floats:
    return np.asarray(values, np.float64)


def _robust(values: Floats) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(values, ROBUST))
    return (low, high) if high - low > 0.1 else (low - 1.0, high + 1.0)


def _about_median(values: Floats) -> tuple[float, float]:
    middle = float(np.median(values))
    reach = max(*(abs(float(value) - middle) for value in np.percentile(values, ROBUST)), 0.5)
    return middle - reach, middle + reach


def _about_zero(values: Floats) -> tuple[float, float]:
    reach = max(float(np.percentile(np.abs(values), ROBUST[1])), 1.0)
    return -reach, reach


AMPLITUDE = Picture("amplitude", "amplitude", "dB", "grey", "power", _decibel, _robust)
PHASE = Picture("phase", "wrapped phase", "rad", "cyclic", "phase", _angle, lambda _: (-math.pi, math.pi), is_phase=True)
COHERENCE = Picture("coherence", "coherence", "1", "grey", "magnitude", _itself, lambda _: (0.0, 1.0))
UNWRAPPED = Picture("unwrapped", "unwrapped phase", "rad", "diverging", "value", _itself, _about_median, is_phase=True)
VELOCITY = Picture("velocity", "mean velocity", "mm/yr", "reversed", "value", _itself, _about_zero)
PICTURES: Mapping[str, tuple[Picture, ...]] = MappingProxyType(
    {
        "slc.tif": (AMPLITUDE,),
        "amplitude.tif": (AMPLITUDE,),
        "ifg.tif": (PHASE, COHERENCE),
        "unwrapped.tif": (UNWRAPPED,),
        "velocity.tif": (VELOCITY,),
    }
)
"""What each file gives. Warm is away from the satellite in all of them: positive phase, negative velocity."""
