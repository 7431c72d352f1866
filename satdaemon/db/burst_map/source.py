"""A burst map in any vector format, or Parquet, as batches of Arrow columns. A map is never read whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from satdaemon.errors import CorruptProduct, RequestError

BATCH = 50_000
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "burst_id", "burst"),
    "esa_id": ("burst_id", "esa_id", "relative_burst_id", "esa_burst_id", "burst", "id"),
    "swath": ("swath", "subswath_name", "subswath", "sub_swath", "swath_name", "iw"),
    "track": ("track", "relative_orbit_number", "relative_orbit", "rel_orbit", "track_number", "path_number"),
    "orbit_direction": ("orbit_direction", "passdir", "orbit_pass", "pass", "pass_direction", "direction", "flight_direction"),
    "geometry": ("geometry", "geom", "wkb_geometry", "shape", "lonlat_e6"),
}
"""What is wanted of a map -> the columns that may hold it, the likeliest first; case does not matter."""
SHAPEFILE_NAME = 10
"""Shapefiles cut names of columns to so many characters."""
PARQUET = (".parquet", ".geoparquet", ".pq")


@dataclass(frozen=True, slots=True)
class Layer:
    """One table of a map: where it is, which of its columns holds what, and how many rows it has."""

    path: Path
    name: str | None
    """The layer's name; None for Parquet."""
    columns: dict[str, str]
    """Wanted (as in NAMES) -> column."""
    rows: int
    """-1 where the format does not tell."""


def layers(path: Path) -> list[Layer]:
    """The tables of a map that hold bursts.

    Raises
    ------
    RequestError
        No file, columns that are not there (the message says which were expected and which are there), or other
        coordinates than WGS84 longitude and latitude.
    CorruptProduct
        Neither Parquet nor a vector format that GDAL reads.
    """
    if not path.exists():
        raise RequestError(f"{path}: expected a burst map, found no such file")
    described = _parquet(path) if path.suffix.lower() in PARQUET else _vector(path)
    found = []
    for name, kinds, rows, crs in described:
        columns = match_columns(kinds)
        if _complete(columns):
            _check_crs(path, crs)
            found.append(Layer(path, name, columns, rows))
    if not found:
        seen = "; ".join(
            f"{f'layer {name}: ' if name else ''}{', '.join(kinds) or 'no columns'}" for name, kinds, _, _ in described
        )
        raise RequestError(
            f"{path}: expected the columns of a burst map: ESA's burst id (burst_id) and swath (swath or subswath_name), or "
            f"ids such as 132_8603_IW1 (id); the pass (orbit_direction, orbit_pass or passdir); a geometry. Got {seen}"
        )
    return found


def match_columns(kinds: dict[str, str]) -> dict[str, str]:
    """Which columns hold what; `kinds` names each column's type: text, number, geometry, list."""
    by_name = {_plain(name): name for name in kinds}
    cut = {name: column for name, column in by_name.items() if len(column) == SHAPEFILE_NAME}
    found: dict[str, str] = {}
    for wanted, names in NAMES.items():
        for name in names:
            column = by_name.get(_plain(name)) or cut.get(_plain(name[:SHAPEFILE_NAME]))
            if column is not None and _fits(wanted, kinds[column]):
                found[wanted] = column
                break
    unnamed = [column for column, kind in kinds.items() if kind == "geometry"]
    if "geometry" not in found and unnamed:
        found["geometry"] = unnamed[0]
    return found


def batches(layer: Layer, size: int = BATCH) -> Iterator[pa.Table]:
    """The rows of a layer, columns named as in NAMES, `size` at a time."""
    columns = {column: wanted for wanted, column in layer.columns.items()}
    twice = {wanted: column for wanted, column in layer.columns.items() if columns[column] != wanted}
    for batch in _read(layer, list(columns), size):
        table = pa.Table.from_batches([batch])
        table = table.rename_columns([columns.get(name, name) for name in table.column_names])
        for wanted, column in twice.items():
            table = table.append_column(wanted, table[columns[column]])
        yield table


def _read(layer: Layer, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    if layer.name is None:
        try:
            with pq.ParquetFile(layer.path) as file:
                yield from file.iter_batches(size, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise CorruptProduct(f"{layer.path}: cannot be read to its end: {error}; get it again") from error
        return
    import pyogrio

    wanted = [column for wish, column in layer.columns.items() if wish != "geometry"]
    try:
        with pyogrio.open_arrow(layer.path, layer=layer.name, columns=wanted, batch_size=size, use_pyarrow=True) as (
            meta,
            reader,
        ):
            geometry = meta["geometry_name"] or "wkb_geometry"
            for batch in reader:
                names = [layer.columns["geometry"] if n == geometry else n for n in batch.schema.names]
                yield batch.rename_columns(names)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        raise CorruptProduct(f"{layer.path}: cannot be read to its end: {error}; get it again") from error


def _parquet(path: Path) -> list[tuple[None, dict[str, str], int, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise CorruptProduct(f"{path}: not a complete Parquet file: {error}; get it again") from error
    geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    main = geo.get("columns", {}).get(geo.get("primary_column"), {})
    return [(None, {field.name: _kind(field.type) for field in schema}, rows, main.get("crs", "OGC:CRS84") or "OGC:CRS84")]


def _vector(path: Path) -> list[tuple[str, dict[str, str], int, Any]]:
    import pyogrio

    try:
        found = []
        for name, kind in pyogrio.list_layers(path):
            about = pyogrio.read_info(path, layer=name)
            numbers = {f: _kind_of_numpy(str(t)) for f, t in zip(about["fields"], about["dtypes"], strict=True)}
            geometry = {} if kind is None else {about["geometry_name"] or "geometry": "geometry"}
            found.append((str(name), numbers | geometry, int(about["features"]), about["crs"] or "OGC:CRS84"))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise CorruptProduct(f"{path}: expected a vector format that GDAL reads, or Parquet: {error}") from error
    return found


def _check_crs(path: Path, crs: Any) -> None:
    import pyproj

    try:
        known = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise RequestError(f"{path}: its coordinate system cannot be understood: {error}") from error
    if not known.is_geographic:
        raise RequestError(
            f"{path}: expected longitude and latitude (WGS84), got {known.name}; reproject it: ogr2ogr -t_srs EPSG:4326 NEW OLD"
        )


def _complete(columns: dict[str, str]) -> bool:
    named = "id" in columns or ("esa_id" in columns and "swath" in columns)
    return named and "orbit_direction" in columns and "geometry" in columns


def _fits(wanted: str, kind: str) -> bool:
    allowed = {"id": ("text",), "esa_id": ("number",), "geometry": ("geometry", "list")}
    return kind in allowed.get(wanted, ("text", "number"))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "geometry"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "list"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else "number"


def _kind_of_numpy(kind: str) -> str:
    return "text" if kind.startswith(("object", "str", "<U")) else "number"
