"""Points as GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0/): WKB points, WGS84, longitude first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from satdaemon.db.points.exports import About
from satdaemon.db.points.fields import FIELDS
from satdaemon.db.points.read import in_mm
from satdaemon.db.points.shown import Points

SERIES = "displacement_mm"


class _Parquet:
    def __init__(self, writer: Any, about: About) -> None:
        self._writer = writer
        self._dates = len(about.dates)
        self.box = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def write(self, points: Points, steps: NDArray[Any] | None) -> None:
        """A row group."""
        columns = [pa.array(points.point_id), pa.array(points.lon), pa.array(points.lat)]
        columns += [_known(points.values[name]) for name in FIELDS]
        if steps is not None:
            values = in_mm(steps).astype(np.float32).ravel()
            starts = np.arange(len(points) + 1, dtype=np.int32) * self._dates
            columns.append(pa.ListArray.from_arrays(pa.array(starts), _known(values)))
        columns.append(pa.array(shapely.to_wkb(shapely.points(points.lon, points.lat)), pa.binary()))
        self._writer.write_table(pa.table(columns, schema=self._writer.schema), row_group_size=len(points))
        self.box[:2] = np.minimum(self.box[:2], [points.lon.min(), points.lat.min()])
        self.box[2:] = np.maximum(self.box[2:], [points.lon.max(), points.lat.max()])


@contextmanager
def open_geoparquet(path: Path, about: About) -> Iterator[_Parquet]:
    """A file with a column a field, `displacement_mm` (a list, one value a date of the metadata) and `geometry`."""
    with pq.ParquetWriter(path, _schema(about), compression="zstd") as writer:
        points = _Parquet(writer, about)
        yield points
        geometry: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"]}
        if np.isfinite(points.box).all():
            geometry["bbox"] = points.box.tolist()
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
        own = {**about.facts, "dates": list(about.dates)}
        writer.add_key_value_metadata({"geo": json.dumps(geo), "satdaemon": json.dumps(own)})


def _schema(about: About) -> Any:
    def field(name: str, kind: Any, unit: str, text: str) -> Any:
        return pa.field(name, kind, metadata={"unit": unit, "description": text})

    fields = [pa.field("point_id", pa.int64(), nullable=False)]
    fields += [pa.field(axis, pa.float64(), nullable=False, metadata={"unit": "deg"}) for axis in ("lon", "lat")]
    fields += [field(name, pa.float32(), unit, text) for name, (unit, text) in FIELDS.items()]
    if about.dates:
        fields.append(field(SERIES, pa.list_(pa.float32()), "mm", "line of sight, positive towards the satellite"))
    return pa.schema([*fields, pa.field("geometry", pa.binary(), nullable=False)])


def _known(values: NDArray[Any]) -> Any:
    """Unknown values as nulls."""
    return pa.array(values, mask=np.isnan(values))
