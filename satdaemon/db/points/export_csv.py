"""Points as CSV (RFC 4180): a row a point, a column a date; empty where unknown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from satdaemon.db.points.exports import About
from satdaemon.db.points.fields import FIELDS
from satdaemon.db.points.read import in_mm
from satdaemon.db.points.shown import Points

PLACE_DIGITS = 8
"""Of degrees: about a millimetre on the ground."""


class _Csv:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema

    def write(self, points: Points, steps: NDArray[Any] | None) -> None:
        """Add rows."""
        columns = [pa.array(points.point_id)]
        columns += [pa.array(np.round(values, PLACE_DIGITS)) for values in (points.lon, points.lat)]
        columns += [_known(points.values[name]) for name in FIELDS]
        if steps is not None:
            columns += [_known(column) for column in in_mm(steps).T]
        self._writer.write_table(pa.table(columns, schema=self._schema))


@contextmanager
def open_csv(path: Path, about: About) -> Iterator[_Csv]:
    """A file whose first line names the columns; the series' are ISO dates, in mm."""
    fields = [pa.field("point_id", pa.int64()), pa.field("lon", pa.float64()), pa.field("lat", pa.float64())]
    fields += [pa.field(name, pa.float32()) for name in FIELDS]
    fields += [pa.field(day, pa.float64()) for day in about.dates]
    schema = pa.schema(fields)
    with pc.CSVWriter(path, schema, write_options=pc.WriteOptions(quoting_style="needed")) as writer:
        yield _Csv(writer, schema)


def _known(values: NDArray[Any]) -> Any:
    return pa.array(values, mask=np.isnan(values))
