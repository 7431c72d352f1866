"""Points as a Zarr group by the CF conventions (cfconventions.org): what xarray opens with its times and units."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from satdaemon.db.points.exports import NODATA, PIECE, STEP_MM, About
from satdaemon.db.points.fields import FIELDS
from satdaemon.db.points.shown import Points

EPOCH = date(1970, 1, 1)


class _Zarr:
    def __init__(self, group: Any) -> None:
        self._group = group
        self.points = 0

    def write(self, points: Points, steps: NDArray[Any] | None) -> None:
        """Fill the next chunk of every array."""
        here = slice(self.points, self.points + len(points))
        own = {"point_id": points.point_id, "lon": points.lon, "lat": points.lat, **points.values}
        for name, values in own.items():
            self._group[name][here] = values
        if steps is not None:
            self._group["displacement"][here] = steps
        self.points = here.stop


@contextmanager
def open_zarr(path: Path, about: About) -> Iterator[_Zarr]:
    """A group with an array a field over `point`, and `displacement` over `point` and `time` in steps of 0.1 mm."""
    group: Any = zarr.open_group(path, mode="w")
    group.attrs.update({"Conventions": "CF-1.11", **about.facts})

    def make(name: str, kind: str, *shape: tuple[str, int], empty: Any, **attributes: Any) -> Any:
        dimensions, sizes = zip(*shape, strict=True)
        chunks = (min(PIECE, max(1, sizes[0])), *sizes[1:])
        array = group.create_array(name, shape=sizes, dtype=kind, chunks=chunks, dimension_names=dimensions, fill_value=empty)
        array.attrs.update(attributes)
        return array

    along = ("point", about.most)
    make("point_id", "int64", along, empty=0, long_name="point id")
    make("lon", "float64", along, empty=np.nan, units="degrees_east", standard_name="longitude")
    make("lat", "float64", along, empty=np.nan, units="degrees_north", standard_name="latitude")
    for name, (unit, text) in FIELDS.items():
        make(name, "float32", along, empty=np.nan, units=unit, long_name=text)
    if about.dates:
        days = np.array([(date.fromisoformat(day) - EPOCH).days for day in about.dates], np.int32)
        make("time", "int32", ("time", len(days)), empty=0, units="days since 1970-01-01", calendar="standard")[:] = days
        text = "displacement in the line of sight, positive towards the satellite"
        make("displacement", "int16", along, ("time", len(days)), empty=NODATA, units="mm", scale_factor=STEP_MM,
             _FillValue=NODATA, coordinates="lon lat", long_name=text)  # fmt: skip
    points = _Zarr(group)
    yield points
    for name in group.array_keys():
        if name != "time":
            group[name].resize((points.points, *group[name].shape[1:]))
