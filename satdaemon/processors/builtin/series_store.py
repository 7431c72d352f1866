"""timeseries.zarr: points appended tile by tile, then completed tile by tile (docs/products.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from satdaemon.errors import CorruptProduct

NAME = "timeseries.zarr"
CHUNK = 1 << 16
FIELDS: Mapping[str, tuple[str, str, str]] = {
    "row": ("int32", "px", "row on the frame grid"),
    "col": ("int32", "px", "column on the frame grid"),
    "lon": ("float64", "deg", "longitude, WGS84"),
    "lat": ("float64", "deg", "latitude, WGS84"),
    "height": ("float32", "m", "height of the DEM above the ellipsoid"),
    "dem_error": ("float32", "m", "height of the point above the DEM relative to its surroundings; NaN not estimated"),
    "incidence": ("float32", "deg", "incidence angle"),
    "velocity": ("float32", "mm/yr", "LOS velocity, positive towards the satellite"),
    "velocity_std": ("float32", "mm/yr", "standard error of the velocity"),
    "seasonal_sin": ("float32", "mm", "sine term of the yearly cycle; NaN not fitted"),
    "seasonal_cos": ("float32", "mm", "cosine term of the yearly cycle; NaN not fitted"),
    "temporal_coherence": ("float32", "1", "agreement of the point's interferograms, 0..1"),
    "coherence": ("float32", "1", "mean coherence of the point's interferograms, 0..1"),
    "pairs_used": ("uint16", "1", "interferograms of the point"),
}


class SeriesWriter:
    """Creates the arrays and keeps how many points there are."""

    def __init__(self, path: Path, dates: int) -> None:
        self._group: Any = zarr.open_group(path, mode="w")
        for name, (dtype, unit, text) in FIELDS.items():
            array = self._group.create_array(name, shape=(0,), dtype=dtype, chunks=(CHUNK,), fill_value=_empty(dtype))
            array.attrs.update({"unit": unit, "description": text})
        series = self._group.create_array(
            "displacement", shape=(0, dates), dtype="float32", chunks=(CHUNK, dates), fill_value=float("nan")
        )
        series.attrs.update({"unit": "mm", "description": "LOS displacement, positive towards the satellite, 0 at the"
                             " first date that the point has, NaN where unknown"})
        self.points = 0

    def append(self, values: Mapping[str, NDArray[Any]]) -> slice:
        """Add points; what is not given stays empty until `update`. The place they got."""
        n = len(values["row"])
        place = slice(self.points, self.points + n)
        for name in (*FIELDS, "displacement"):
            array = self._group[name]
            array.resize((place.stop, *array.shape[1:]))
        self.points = place.stop
        self.update(place, values)
        return place

    def update(self, place: slice, values: Mapping[str, NDArray[Any]]) -> None:
        """Write fields of points that are there."""
        if place.stop > place.start:
            for name, value in values.items():
                self._group[name][place] = value

    def read(self, place: slice, *names: str) -> list[NDArray[Any]]:
        """Fields of points."""
        return [np.asarray(self._group[name][place]) for name in names]

    def finish(self, bperp_m: NDArray[np.float64], attributes: Mapping[str, Any]) -> None:
        """Write what belongs to the whole series."""
        array = self._group.create_array("bperp", shape=bperp_m.shape, dtype="float32", chunks=bperp_m.shape)
        array[:] = bperp_m.astype(np.float32)
        array.attrs.update({"unit": "m", "description": "mean perpendicular baseline to the master"})
        self._group.attrs.update(dict(attributes))


def open_series(path: Path) -> Any:
    """The group of a finished time series; CorruptProduct where it is not one."""
    try:
        group: Any = zarr.open_group(path, mode="r")
        missing = {*FIELDS, "displacement", "bperp"} - set(group.array_keys())
    except FileNotFoundError as error:
        raise CorruptProduct(f"{path}: expected a time series, found nothing: run the timeseries stage again") from error
    if missing or "dates" not in group.attrs:
        raise CorruptProduct(f"{path}: the time series is incomplete, it lacks {', '.join(sorted(missing)) or 'dates'}")
    return group


def _empty(dtype: str) -> float | int:
    return float("nan") if dtype.startswith("float") else 0
