"""Values as a PNG of 8 bits a pixel: a palette, clear where nothing is known, and text beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satdaemon.insar.colours import LEVELS, palette

CLEAR = 0
"""Index of pixels without data; the palette's colours are 1 to LEVELS."""


def indices(values: NDArray[np.floating], least: float, most: float, *, cyclic: bool = False) -> NDArray[np.uint8]:
    """The palette's index of each value; values outside of the range get its ends, NaN is CLEAR.

    `cyclic`: `least` and `most` are the same value, and what lies outside goes round.
    """
    known = np.isfinite(values)
    share = (np.where(known, values, least).astype(np.float64) - least) / (most - least)
    level = np.floor(share * LEVELS)
    level = np.mod(level, LEVELS) if cyclic else np.clip(level, 0, LEVELS - 1)
    return np.where(known, level + 1, CLEAR).astype(np.uint8)


def write_png(path: Path, index: NDArray[np.uint8], colours: str, texts: Mapping[str, str]) -> None:
    """Write a picture; equal values, colours and texts give equal bytes. `texts` are Latin-1."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    for key, text in texts.items():
        about.add_text(key, text)
    image = Image.fromarray(index, "L")
    image.putpalette(np.concatenate([[[255, 255, 255]], palette(colours)]).astype(np.uint8).tobytes())
    image.save(path, "PNG", transparency=CLEAR, pnginfo=about, compress_level=6)
