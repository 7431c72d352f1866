"""Polygons that people give: WKT on the command line, or a file in any vector format that GDAL reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import shapely

from satdaemon.db.outline import rolled
from satdaemon.errors import RequestError

EXAMPLE = "POLYGON ((-2.1 52.3, -1.6 52.3, -1.6 52.7, -2.1 52.7, -2.1 52.3))"


def read_region(text: str | Path) -> Any:
    """The polygon that `text` names (a file) or is (WKT), in longitude and latitude, WGS84; several polygons become one region.

    Raises RequestError where there is none, where it is not a polygon, or where it does not lie on the Earth.
    """
    path = Path(text)
    try:
        is_file = path.exists()
    except OSError:
        is_file = False  # WKT that is longer than a file name may be
    if is_file:
        return checked(_from_file(path), str(path))
    try:
        shape = shapely.from_wkt(str(text))
    except shapely.errors.GEOSException as error:
        raise RequestError(f"polygon: expected a file, or WKT such as {EXAMPLE}, got {str(text)[:80]!r}") from error
    return checked(shape, "polygon")


def checked(shape: Any, what: str) -> Any:
    """The shape, made valid; RequestError where it is not an area in longitude and latitude."""
    if shape.geom_type not in ("Polygon", "MultiPolygon", "GeometryCollection") or shape.is_empty:
        raise RequestError(f"{what}: expected a polygon, got {'an empty shape' if shape.is_empty else 'a ' + shape.geom_type}")
    west, south, east, north = shape.bounds
    if west < -180 or east > 360 or south < -90 or north > 90:
        span = f"{west:g} to {east:g} and {south:g} to {north:g}"
        raise RequestError(f"{what}: expected longitude and latitude in degrees, longitude first, got {span}")
    if not shape.is_valid:
        shape = shapely.make_valid(shape)
    areas = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    whole = shapely.union_all([p for part in areas for p in shapely.get_parts(part)])
    if whole.area == 0:
        raise RequestError(f"{what}: expected a polygon with an area, got none")
    return rolled(whole)


def _from_file(path: Path) -> Any:
    import pyogrio
    from pyproj import CRS, Transformer

    try:
        meta, _, geometry, _ = pyogrio.raw.read(path, columns=[])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        wanted = "a vector file that GDAL reads (GeoJSON, GeoPackage, Shapefile, KML)"
        raise RequestError(f"{path}: expected {wanted}: {error}") from error
    shapes = [shape for shape in shapely.from_wkb(geometry) if shape is not None] if geometry is not None else []
    if not shapes:
        raise RequestError(f"{path}: expected a polygon, got no shape at all")
    if other := [shape.geom_type for shape in shapes if shape.geom_type not in ("Polygon", "MultiPolygon")]:
        raise RequestError(f"{path}: expected polygons, got a {other[0]}")
    whole = shapely.union_all([shape if shape.is_valid else shapely.make_valid(shape) for shape in shapely.force_2d(shapes)])
    crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    if crs is None or crs.is_geographic:
        return whole
    transformer = Transformer.from_crs(crs, 4326, always_xy=True)
    return shapely.transform(whole, lambda points: list(zip(*transformer.transform(points[:, 0], points[:, 1]), strict=True)))
