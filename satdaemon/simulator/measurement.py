"""The measurement GeoTIFF: complex 16-bit integers, one line a strip, with ground control points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rasterio.control import GroundControlPoint
from rasterio.io import MemoryFile

from satdaemon.errors import ProcessingError
from satdaemon.simulator.layout import SwathProduct


def measurement_tiff(product: SwathProduct, samples: npt.NDArray[np.int16]) -> tuple[bytes, tuple[int, ...]]:
    """The file and the byte offset of each burst.

    `samples` (lines, samples, 2): real and imaginary part.
    """
    lines, columns = samples.shape[:2]
    if (lines, columns) != (product.lines, product.samples):
        raise ProcessingError(f"measurement: expected {product.lines} x {product.samples} samples, got {samples.shape}")
    values = np.ascontiguousarray(samples.astype(np.float32)).view(np.complex64)[..., 0]
    acquisition = product.acquisition
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff", height=lines, width=columns, count=1, dtype="complex_int16", blockysize=1, tiled=False,
            gcps=_control_points(product), crs="EPSG:4326",
        ) as file:  # fmt: skip
            file.update_tags(
                TIFFTAG_IMAGEDESCRIPTION=f"Sentinel-1{acquisition.platform[-1]} IW SLC L1",
                TIFFTAG_SOFTWARE="Sentinel-1 IPF 003.91",
                TIFFTAG_DATETIME=product.first_utc.strftime("%Y:%m:%d %H:%M:%S"),
            )
            file.write(values, 1)
        with memory.open() as file:
            rows = range(0, lines, product.swath.lines_per_burst)
            offsets = tuple(int(file.get_tag_item(f"BLOCK_OFFSET_0_{row}", "TIFF", bidx=1)) for row in rows)
        memory.seek(0)
        return bytes(memory.read()), offsets


def _control_points(product: SwathProduct) -> list[GroundControlPoint]:
    g = product.grid
    return [
        GroundControlPoint(
            row=float(g.line[i]), col=float(g.pixel[i]), x=float(g.lon_deg[i]), y=float(g.lat_deg[i]),
            z=float(g.height_m[i]), id=str(n),
        )
        for n, i in enumerate(np.ndindex(g.line.shape), start=1)
    ]  # fmt: skip
