"""Pictures of products on pages: what each shows in words, how its colours are read, and whether it can be seen from here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from satdaemon.db import Product
from satdaemon.db.quicklook_view import quicklook_path, quicklooks_of
from satdaemon.domain import Quicklook
from satdaemon.insar.colours import LEVELS, palette

STOPS = 33
"""Colours of a legend."""
_DIRECTION = {
    "rad": "Warm: the ground moved away from the satellite between the two dates; cool: towards it, as millimetres count.",
    "mm/yr": "Warm: away from the satellite; cool: towards it.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture on a page."""

    about: Quicklook
    address: str
    problem: str | None
    """Why it cannot be seen."""
    alt: str
    words: str
    """How the picture was made."""
    direction: str
    ticks: tuple[tuple[str, str], ...]
    """Least, middle and greatest value: in the picture's unit, and in millimetres where it is a phase."""

    @property
    def stops(self) -> list[tuple[float, str]]:
        """The legend's colours: (share of its length, colour)."""
        return _stops(self.about.palette)


def shown(product: Product | None) -> list[Shown]:
    """The pictures of a product."""
    return [] if product is None else [_shown(product, one) for one in quicklooks_of(product)]


def name_of(one: Quicklook) -> str:
    """What a picture is called in addresses."""
    return Path(one.file).stem


def address_of(product_id: int, one: Quicklook) -> str:
    """Where a picture is read."""
    return f"/api/products/{product_id}/quicklooks/{name_of(one)}"


def why_unseen(product: Product, name: str) -> str | None:
    """Why a picture of a product cannot be read on this host; None where it can."""
    if product.removed_utc is not None:
        return f"the product's files were removed on {product.removed_utc:%Y-%m-%d} to free space"
    path = quicklook_path(product, name)
    if path is None:
        return "it does not lie in the product's directory"
    try:
        if path.is_file():
            return None
        if not Path(product.path).is_dir():
            return f"{product.path} is not seen from the host of these pages: is its disk mounted there?"
    except OSError as error:
        return f"{path} cannot be read on the host of these pages: {error.strerror or error}"
    return f"{path} is gone"


def _shown(product: Product, one: Quicklook) -> Shown:
    span = f"{_number(one.least)} to {_number(one.most)} {_unit(one)}".strip()
    alt = f"{one.title.capitalize()} of {product.frame_id} {product.key.replace('_', ' to ')}, {span}"
    return Shown(
        one, address_of(product.id, one), why_unseen(product, name_of(one)), alt, _words(one), _DIRECTION.get(one.unit, ""),
        tuple((_number(value), _millimetres(one, value)) for value in (one.least, (one.least + one.most) / 2, one.most)),
    )  # fmt: skip


def _words(one: Quicklook) -> str:
    down, across = (max(looks, 1.0) for looks in one.looks)
    looks = "every pixel" if down == across == 1 else f"averages of {down:.3g} x {across:.3g} pixels (azimuth x range)"
    return f"{looks[0].upper()}{looks[1:]}; radar geometry, {_ground(one)}; {100 * one.known:.3g} % has data"


def _ground(one: Quicklook) -> str:
    if one.pixel_m is None:
        return "as the raster lies, as the spacing on the ground is not known"
    down, across = one.pixel_m
    if 0.8 < down / across < 1.25:
        return f"about north up, {down:.3g} m a pixel"
    how = f"{down / across:.2g} times across" if down > across else f"{across / down:.2g} times along"
    return f"about north up, {down:.3g} x {across:.3g} m a pixel: stretched {how}"


def _millimetres(one: Quicklook, value: float) -> str:
    return "" if one.mm_per_unit is None else _number(value * one.mm_per_unit)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}") if abs(value) > 5e-4 else "0"


def _unit(one: Quicklook) -> str:
    return "" if one.unit == "1" else one.unit


@lru_cache(maxsize=8)
def _stops(name: str) -> list[tuple[float, str]]:
    colours = palette(name)
    places = [round(k * (LEVELS - 1) / (STOPS - 1)) for k in range(STOPS)]
    return [(round(place / (LEVELS - 1), 4), "#{:02x}{:02x}{:02x}".format(*colours[place])) for place in places]
