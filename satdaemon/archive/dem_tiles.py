"""Copernicus GLO-30 by dem-stitcher (Apache-2.0), which is optional: loaded where it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from rasterio.errors import RasterioError

from satdaemon.errors import ArchiveError, ConfigError

NAME = "glo_30"
HINT = "pip install satdaemon[dem]"


def stitched(west: float, south: float, east: float, north: float) -> tuple[Any, Any]:
    """(heights above EGM2008 in metres, float32 (rows, cols); affine transform of the corners of its cells).

    NaN where there is no tile: the open sea. Tiles that GLO-30 withholds (Armenia, Azerbaijan) come from GLO-90.
    Longitudes may pass 180. Raises ConfigError where dem-stitcher is not installed, ArchiveError where tiles do not come.
    """
    stitcher = _library()
    try:
        with catch_warnings():
            # It warns of each tile that does not reach over all of the extent.
            simplefilter("ignore")
            # Georeferencing as it is: GDAL gives the corners of cells, whether tiles call their cells points or areas.
            heights, profile = stitcher.stitch_dem(
                [west, south, east, north],
                dem_name=NAME,
                dst_ellipsoidal_height=False,
                fill_in_glo_30=True,
                merge_nodata_value=np.nan,  # this very object: it is compared by identity
            )
    except stitcher.NoDEMCoverage:
        return None, None
    except (OSError, RasterioError) as error:
        raise ArchiveError(f"{NAME}: expected tiles of the DEM, got {type(error).__name__}: {error}; try again later") from error
    return heights, profile["transform"]


def default_geoid() -> str:
    """Address of the grid of EGM2008 that dem-stitcher uses for GLO-30."""
    _library()
    return str(import_module("dem_stitcher.geoid").get_default_geoid_path(NAME))


def _library() -> Any:
    try:
        return import_module("dem_stitcher.stitcher")
    except ImportError as error:
        raise ConfigError(f"dem_source = {NAME}: expected the package dem-stitcher, got {error}; {HINT}") from error
