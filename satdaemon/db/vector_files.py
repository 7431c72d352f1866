"""Vector files for maps, written in batches: Shapefile, GeoPackage, GeoJSON and GeoParquet, told by the suffix."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from satdaemon.errors import DataError, RequestError

GEOMETRY = "geometry"
DRIVERS = {
    ".shp": "ESRI Shapefile",
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".parquet": "GeoParquet",
    ".geoparquet": "GeoParquet",
}
_SIDECARS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj")
SHAPEFILE_TEXT = 254
"""Bytes of a text in a Shapefile; a longer one is cut."""
SHAPEFILE_NAME = 10
GEO = {
    "version": "1.1.0",
    "primary_column": GEOMETRY,
    # Without a `crs` it is OGC:CRS84: WGS84, longitude first.
    "columns": {GEOMETRY: {"encoding": "WKB", "geometry_types": ["MultiPolygon"]}},
}


def check_target(path: Path, *, overwrite: bool) -> str:
    """The driver for a file that is to be written. RequestError where suffix or place will not do."""
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise RequestError(f"{path}: expected a name that ends with {', '.join(DRIVERS)}, got {path.suffix or 'no suffix'!r}")
    if not path.parent.is_dir():
        raise RequestError(f"{path}: expected an existing directory, found none at {path.parent}")
    if path.is_dir():
        raise RequestError(f"{path}: expected a file, got a directory")
    if path.exists() and not overwrite:
        raise RequestError(f"{path}: exists already; --force replaces it")
    return driver


def write_multipolygons(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    layer: str,
    short_names: Mapping[str, str],
    overwrite: bool = False,
) -> None:
    """Write rows with a WKB column `geometry` of multipolygons, longitude and latitude on WGS84.

    The file appears whole or not at all, under its name only at the end; memory holds a batch at a time.
    `short_names` are a Shapefile's column names, of at most ten characters.
    """
    driver = check_target(path, overwrite=overwrite)
    if driver == "ESRI Shapefile":
        schema, batches = _for_shapefile(schema, batches, short_names)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            made = Path(folder) / path.name
            if driver == "GeoParquet":
                _write_parquet(made, schema, batches)
            else:
                _write_gdal(made, driver, schema, batches, layer)
            _publish(made, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error}") from error


def _publish(made: Path, path: Path) -> None:
    if path.suffix.lower() != ".shp":
        made.replace(path)
        return
    written = {made.with_suffix(suffix) for suffix in _SIDECARS if made.with_suffix(suffix).exists()}
    for suffix in _SIDECARS:
        # An index that was made for the file before would be wrong for this one.
        if made.with_suffix(suffix) not in written:
            path.with_suffix(suffix).unlink(missing_ok=True)
    for file in sorted(written, key=lambda f: f.suffix == ".shp"):
        file.replace(path.with_suffix(file.suffix))


def _write_gdal(path: Path, driver: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], layer: str) -> None:
    import pyogrio

    options: dict[str, Any] = {"COORDINATE_PRECISION": "6"} if driver == "GeoJSON" else {}
    failed: list[BaseException] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except BaseException as error:
            failed.append(error)  # GDAL tells only that the stream broke off
            raise

    reader = pa.RecordBatchReader.from_batches(schema, watched())
    try:
        pyogrio.write_arrow(
            reader,
            path,
            driver=driver,
            layer={"GPKG": layer, "GeoJSON": None}.get(driver, path.stem),
            geometry_name=GEOMETRY,
            geometry_type="MultiPolygon",
            crs="EPSG:4326",
            layer_options=options,
        )
    except RuntimeError as error:  # all of pyogrio's errors
        if failed:
            raise failed[0] from error
        raise DataError(f"{path.name}: GDAL cannot write it: {error}") from error


def _write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    import pyarrow.parquet as pq

    described = schema.with_metadata({"geo": json.dumps(GEO)})
    with pq.ParquetWriter(path, described, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=described))


def _for_shapefile(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], short_names: Mapping[str, str]
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Names of ten characters, no yes/no, texts of 254 bytes."""
    fields = []
    for column in schema:
        kind = pa.int32() if pa.types.is_boolean(column.type) else column.type
        fields.append(pa.field(short_names.get(column.name, column.name), kind))
    short = pa.schema(fields)

    def convert() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = [_short(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=short)

    return short, convert()


def _short(column: Any) -> Any:
    if pa.types.is_boolean(column.type):
        return pc.cast(column, pa.int32())
    if pa.types.is_string(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > SHAPEFILE_TEXT:
        cut = [text and text.encode()[:SHAPEFILE_TEXT].decode(errors="ignore") for text in column.to_pylist()]
        return pa.array(cut, pa.string())
    return column
