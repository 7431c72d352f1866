"""Colours of pictures: palettes worked out in Oklab, where equal distances look equal.

Formulas: B. Ottosson, "A perceptual color space for image processing" (2020), and the transfer curve of sRGB
(IEC 61966-2-1). Warm and cool stand for the two directions, and lightness changes with the value, so that people who
confuse red and green read them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

LEVELS = 255
"""Colours of a palette; with the clear one a picture has 256."""
Floats = NDArray[np.float64]
WARM_DEG, COOL_DEG = 45.0, 252.0
_LMS = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]])
_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def palette(name: str) -> NDArray[np.uint8]:
    """The colours from the least to the greatest value, shape (LEVELS, 3), sRGB. KeyError for an unknown name.

    `grey`: dark to light. `cyclic`: dark, cool, light (zero), warm, dark again. `diverging`: cool, light, warm.
    `reversed`: warm, light, cool.
    """
    return _made(name).copy()


@lru_cache(maxsize=8)
def _made(name: str) -> NDArray[np.uint8]:
    lightness, signed_chroma = _PATHS[name]()
    return _srgb(lightness, signed_chroma)


def _grey() -> tuple[Floats, Floats]:
    return np.linspace(0.12, 1.0, LEVELS), np.zeros(LEVELS)


def _cyclic() -> tuple[Floats, Floats]:
    """An ellipse through lightness and warm/cool, walked at an even pace; zero is lightest."""
    angle = np.linspace(-np.pi, np.pi, 20_001)
    lightness, chroma = 0.58 + 0.28 * np.cos(angle), 0.125 * np.sin(angle)
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(lightness), np.diff(chroma)))])
    even = (np.arange(LEVELS) + 0.5) / LEVELS * way[-1]
    return np.interp(even, way, lightness), np.interp(even, way, chroma)


def _diverging() -> tuple[Floats, Floats]:
    value = np.linspace(-1.0, 1.0, LEVELS)
    return 0.95 - 0.57 * np.abs(value), 0.145 * np.sin(0.72 * np.pi * np.abs(value)) * np.sign(value)


def _reversed() -> tuple[Floats, Floats]:
    lightness, chroma = _diverging()
    return lightness, -chroma


_PATHS: Mapping[str, Callable[[], tuple[Floats, Floats]]] = MappingProxyType(
    {"grey": _grey, "cyclic": _cyclic, "diverging": _diverging, "reversed": _reversed}
)


def _srgb(lightness: Floats, signed_chroma: Floats) -> NDArray[np.uint8]:
    """Oklab to sRGB; chroma is warm where positive, cool where negative."""
    hue = np.radians(np.where(signed_chroma >= 0, WARM_DEG, COOL_DEG))
    chroma = np.abs(signed_chroma)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    linear = np.clip((lab @ _LMS.T) ** 3 @ _RGB.T, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * curved), np.uint8)
