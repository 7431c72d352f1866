"""The granule search of NASA's Common Metadata Repository, as far as Sentinel-1 SLC products need it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from satdaemon.simulator.archives.messages import Answer, Call, as_json
from satdaemon.simulator.archives.place import is_counter_clockwise, meets, point, polygon, rectangle
from satdaemon.simulator.archives.shelf import Item
from satdaemon.simulator.archives.umm import umm_of

PATH = "/search/granules.umm_json"
MOST_PAGE = 2000
AFTER = "CMR-Search-After"
Test = Callable[[Item], bool]
_IGNORED = ("page_size", "page_num", "sort_key[]", "provider")


class Refused(ValueError):
    """A parameter that CMR does not take."""


def search_answer(call: Call, items: Iterable[Item], base: str, repeat_last: bool = False) -> Answer:
    """One page of the search. `repeat_last`: each page but the first begins with the last product of the one before."""
    asked = call.form or call.query
    try:
        tests = [_test(name, value) for name, value in asked if not name.startswith("options[") and name not in _IGNORED]
        names = [value.removesuffix("_SLC").replace("SENTINEL-1", "S1") for name, value in asked if name == "shortName"]
        size = int(dict(asked).get("page_size", "10"))
        if not 0 < size <= MOST_PAGE:
            raise Refused(f"page_size must be a number between 0 and {MOST_PAGE}")
    except (Refused, ValueError, KeyError, IndexError) as error:
        return as_json({"errors": [str(error)]}, 400)
    found = [item for item in items if (not names or item.platform in names) and all(test(item) for test in tests)]
    found.sort(key=_order)
    after = call.headers.get(AFTER.lower())
    rest = [item for item in found if after is None or _order(item) > tuple(json.loads(after))]
    shown = rest[:size]
    headers = {"CMR-Hits": str(len(found))}
    if shown:
        headers[AFTER] = json.dumps(_order(shown[-1]))
    if repeat_last and shown and len(rest) < len(found):
        shown = [found[len(found) - len(rest) - 1], *shown][:size]
        headers[AFTER] = json.dumps(_order(shown[-1]))
    answer = as_json({"hits": len(found) + (repeat_last and len(found) > size), "took": 7, "items": umm_of(shown, base)})
    return Answer(200, {**answer.headers, **headers}, answer.body)


def _order(item: Item) -> tuple[int, str]:
    """The newest first, then by name."""
    return -int(item.stop_utc.timestamp() * 1000), f"{item.name}-SLC"


def _test(name: str, value: str) -> Test:
    match name:
        case "shortName":
            return lambda item: True
        case "attribute[]":
            return _attribute(*value.split(",", 2))
        case "polygon":
            return _inside_polygon(value)
        case "bounding_box":
            west, south, east, north = (float(each) for each in value.split(","))
            box = rectangle(west, south, east, north)
            return lambda item: meets(box, item.footprint)
        case "point":
            lon, lat = (float(each) for each in value.split(","))
            spot = point(lon, lat)
            return lambda item: meets(spot, item.footprint)
        case "temporal":
            return _within(value)
        case "created_at[]":
            first, _, last = value.partition(",")
            since, until = _time(first), _time(last) if last else None
            return lambda item: item.published_utc >= since and (until is None or item.published_utc <= until)
        case "updated_since":
            since = _time(value)
            return lambda item: item.published_utc >= since
        case "readable_granule_name[]" | "granule_ur[]":
            return lambda item: value in (item.name, f"{item.name}-SLC")
        case _:
            raise Refused(f"Parameter [{name}] was not recognized.")


def _attribute(kind: str, name: str, value: str) -> Test:
    known: dict[str, Callable[[Item], Any]] = {
        "BEAM_MODE": lambda item: "IW",
        "BEAM_MODE_TYPE": lambda item: "IW",
        "PROCESSING_TYPE": lambda item: "SLC",
        "ASCENDING_DESCENDING": lambda item: {"A": "ASCENDING", "D": "DESCENDING"}[item.direction],
        "PATH_NUMBER": lambda item: item.track,
        "POLARIZATION": lambda item: item.polarisation,
        "ASF_PLATFORM": lambda item: item.platform.replace("S", "Sentinel-"),
    }
    if name not in known:
        return lambda item: False
    of = known[name]
    if kind == "string":
        return lambda item: of(item) == value
    low, _, high = value.partition(",")
    least, most = int(low or 0), int(high or low)
    return lambda item: least <= of(item) <= most


def _inside_polygon(value: str) -> Test:
    numbers = [float(each) for each in value.split(",")]
    corners = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(corners) < 4 or corners[0] != corners[-1]:
        raise Refused("Polygon boundary was not closed. The first point of the boundary must be equal to the last point.")
    if not is_counter_clockwise(corners):
        raise Refused("The polygon boundary points are listed in the wrong order (clockwise vs counter clockwise).")
    area = polygon(corners)
    return lambda item: meets(area, item.footprint)


def _within(value: str) -> Test:
    start, stop = ([*value.split(","), ""])[:2]
    first = _time(start) if start else datetime.min.replace(tzinfo=UTC)
    last = _time(stop) if stop else datetime.max.replace(tzinfo=UTC)
    return lambda item: item.start_utc <= last and item.stop_utc >= first


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
