"""Writes nested values as the XML of ESA's annotation."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

Value = object


@dataclass(frozen=True, slots=True)
class Repeated:
    """A list element with its `count`: `<orbitList count="17"><orbit>...`."""

    tag: str
    items: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Text:
    """Text with attributes."""

    text: str
    attributes: Mapping[str, str]


def element(tag: str, value: Value) -> ET.Element:
    """`value` may be a mapping (children; a list repeats the tag), Repeated, Text, or a scalar."""
    node = ET.Element(tag)
    if isinstance(value, Mapping):
        for name, child in value.items():
            items = child if isinstance(child, list) else [child]
            node.extend(element(name, item) for item in items)
    elif isinstance(value, Repeated):
        node.set("count", str(len(value.items)))
        node.extend(element(value.tag, item) for item in value.items)
    elif isinstance(value, Text):
        node.text = value.text
        for name, attribute in value.attributes.items():
            node.set(name, attribute)
    else:
        node.text = scalar(value)
    return node


def scalar(value: Value) -> str:
    """Booleans, integers, times and floats as ESA writes them."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, float | np.floating):
        return f"{value:.15e}"
    return str(value)


def stamp(time_utc: datetime) -> str:
    """`2025-04-06T02:20:09.449360`: UTC without a zone."""
    return time_utc.strftime("%Y-%m-%dT%H:%M:%S.%f")


def vector(values: npt.ArrayLike, style: str = ".6e") -> Text:
    """Numbers in one element, with their count."""
    numbers = np.asarray(values).ravel()
    return Text(join(numbers, style), {"count": str(len(numbers))})


def polynomial(values: Iterable[float]) -> Text:
    """Coefficients in full precision."""
    return vector(list(values), ".15e")


def join(values: Iterable[float], style: str) -> str:
    """Numbers with one space between."""
    return " ".join(format(v, style) for v in values)


def document(tag: str, value: Value) -> bytes:
    """A whole file."""
    root = element(tag, value)
    ET.indent(root, "  ")
    content: bytes = ET.tostring(root, "utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + content + b"\n"
