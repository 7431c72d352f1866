"""How long the server takes for each page, beside what was promised of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from statistics import median

import httpx

from bench.database.ratio import Ratio

REPEATS = 15
SHARED = ("/", "/overview/live", "/machines")
"""One reading serves all who ask within a second or as long as it took; it is asked for so seldom here that each reads."""
PAUSE_S = 4.0


def measure(client: httpx.Client, large: str, version: int) -> Iterator[Ratio]:
    """Each page: the first answer is not counted but told, then the median and the slowest."""
    for name, addresses, most_s in _asked(large, version):
        first = _answer(client, addresses[0])
        times, size = [], 0
        is_shared = addresses[0] in SHARED
        for n in range(REPEATS // 3 if is_shared else REPEATS):
            time.sleep(PAUSE_S if is_shared else 0.0)
            took, length = _answer(client, addresses[n % len(addresses)])
            times.append(took)
            size = max(size, length)
        note = f"slowest {1e3 * max(times):.0f}, the first {1e3 * first[0]:.0f}; {size / 1e3:.0f} kB"
        yield Ratio(name, 1e3 * median(times), 1e3 * most_s, most=1.0, unit="ms", note=note)


def _asked(large: str, version: int) -> list[tuple[str, list[str], float]]:
    frame = f"/frames/{large}"
    tiles = {z: [f"/tiles/bursts/{z}/{x}/{y}" for x, y in _places(z)] for z in (5, 6, 8, 10)}
    low = {z: [f"/tiles/frames/{z}/{x}/{y}" for x, y in _places(z)] for z in (0, 3, 6)}
    points = [f"/points/{large}/{version}/{z}/{x}/{y}" for z in (8, 10, 12, 14) for x, y in [_tile(z, -1.75, 52.25)]]
    return [
        ("overview", ["/"], 0.3),
        ("overview, the part that renews itself", ["/overview/live"], 0.3),
        ("frames", ["/frames"], 0.3),
        ("frames, the last page", ["/frames?page=200"], 0.3),
        ("frames, by what is owed", ["/frames?sort=pending&down=true", "/frames?sort=failed&down=true"], 0.3),
        ("frames that failed", ["/frames?show=failing"], 0.3),
        ("frames by name", ["/frames?q=F0017", "/frames?q=a_f00999"], 0.3),
        ("frame, 400 dates and 1,590 pairs", [frame], 0.5),
        ("a date of it", [f"{frame}/2018-06-07"], 0.3),
        ("jobs", ["/jobs"], 0.3),
        ("failures", ["/failures"], 0.3),
        ("machines", ["/machines"], 0.3),
        ("history", ["/history"], 0.3),
        *((f"burst tile, zoom {z}", addresses, 0.3) for z, addresses in tiles.items()),
        ("bursts counted, below zoom 5", ["/map/cells"], 0.3),
        *((f"frame tile, zoom {z}", addresses, 0.3) for z, addresses in low.items()),
        ("points tile, a million points", points, 0.3),
        ("series of a point", [f"/points/{large}/series?lon=-1.75&lat=52.25"], 0.3),
        ("mean of an area", [f"/points/{large}/area?west=-1.76&south=52.24&east=-1.74&north=52.26"], 0.3),
    ]


def _answer(client: httpx.Client, address: str) -> tuple[float, int]:
    """Seconds and bytes. RuntimeError for an answer that is none."""
    began = time.perf_counter()
    answer = client.get(address)
    took = time.perf_counter() - began
    if answer.status_code != 200:
        raise RuntimeError(f"{address}: expected a page, got {answer.status_code}: {answer.text[:500]}")
    return took, len(answer.content)


def _places(z: int) -> list[tuple[int, int]]:
    """Tiles where bursts are: along a belt of the world."""
    return sorted({_tile(z, lon, lat) for lon in range(-140, 141, 40) for lat in (-40, 0, 40, 60)})


def _tile(z: int, lon: float, lat: float) -> tuple[int, int]:
    """The tile of a place, Web Mercator."""
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(y * 2**z)
