"""Rows of a burst map as bursts: ids by the rule, polygons made whole, what cannot be used counted by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from satdaemon.domain import BURST_ID, REPEAT_ORBITS
from satdaemon.insar.bursts import BURSTS_PER_REPEAT, place_of_esa_id, track_of_esa_id

LEAST_AREA_DEG2 = 0.13
"""A whole IW burst covers 0.144 to 0.160 square degrees times the cosine of its latitude; less was clipped."""
SWATHS = {"IW1": 1, "IW2": 2, "IW3": 3, "1": 1, "2": 2, "3": 3}
DIRECTIONS = {"A": "A", "ASCENDING": "A", "ASC": "A", "D": "D", "DESCENDING": "D", "DESC": "D", "DSC": "D"}


@dataclass(slots=True)
class Findings:
    """What was odd in a map; counts of rows, and the first row of each kind."""

    left_out: Counter[str] = field(default_factory=Counter)
    """Reason -> rows that are not entered."""
    examples: dict[str, str] = field(default_factory=dict)
    """Reason -> the first such row."""
    clipped: int = 0
    """Entered as they are, though smaller than a burst is."""
    repaired: int = 0
    """Polygons that crossed themselves: entered as their convex hull."""
    joined: int = 0
    """Polygons in parts, or written the wrong way round the world: joined across the 180th meridian."""

    def leave_out(self, reason: str, count: int, example: str) -> None:
        """Count rows that are not entered."""
        if count:
            self.left_out[reason] += count
            self.examples.setdefault(reason, example)


@dataclass(frozen=True, slots=True)
class MapBursts:
    """Bursts of one batch, one array a column."""

    track: NDArray[np.int64]
    anx: NDArray[np.int64]
    swath: NDArray[np.int64]
    """1, 2 or 3."""
    esa_id: NDArray[np.int64]
    """-1 where the map does not tell."""
    direction: NDArray[np.str_]
    geometry: NDArray[Any]
    """shapely polygons."""

    @property
    def number(self) -> NDArray[np.int64]:
        """As `models.catalogue.burst_number`."""
        return (self.track * 65536 + self.anx) * 4 + self.swath

    def __len__(self) -> int:
        return len(self.track)

    def name(self, place: int) -> str:
        """Burst id of one of them."""
        return f"{self.track[place]}_{self.anx[place]}_IW{self.swath[place]}"

    def only(self, chosen: NDArray[Any]) -> MapBursts:
        """Those at the places, or where the mask is true."""
        columns = (self.track, self.anx, self.swath, self.esa_id, self.direction, self.geometry)
        return MapBursts(*(column[chosen] for column in columns))


def bursts_of(table: pa.Table, findings: Findings) -> MapBursts:
    """The usable rows of a batch with the columns of `source.NAMES`; the others are counted in `findings`."""
    rows = len(table)
    esa_id = _integers(table, "esa_id", rows)
    swath, texts = _coded(table, "swath", SWATHS, rows, 0), _texts(table, "id", rows)
    direction = _coded(table, "orbit_direction", {k: ord(v) for k, v in DIRECTIONS.items()}, rows, 0)
    named = {place: match for place, text in enumerate(texts) if (match := BURST_ID.match(text)) is not None}
    for place, match in named.items():
        swath[place] = int(match["swath"][-1])
    track, anx = np.full(rows, -1), np.full(rows, -1)
    by_rule = (swath > 0) & (esa_id >= 1) & (esa_id <= BURSTS_PER_REPEAT)
    track[by_rule], anx[by_rule] = place_of_esa_id(esa_id[by_rule], swath[by_rule])
    for place, match in named.items():
        track[place], anx[place] = int(match["track"]), int(match["anx"])
    geometry = _polygons(table["geometry"], findings)
    said = _integers(table, "track", rows)
    differs = by_rule & (said >= 0) & (said != track_of_esa_id(esa_id)) & (said != track)
    reasons = (
        ("swath is none of IW1, IW2, IW3", (swath == 0)),
        (f"burst id is not within 1..{BURSTS_PER_REPEAT}", (track < 0) | ((esa_id != -1) & ~by_rule)),
        ("track is not within 1..175", (track < 1) | (track > REPEAT_ORBITS)),
        ("track is not that of the burst id", differs),
        ("pass is neither ascending nor descending", direction == 0),
        ("no polygon", geometry == None),  # noqa: E711 - an array of objects
    )
    good = np.ones(rows, dtype=bool)
    for reason, wrong in reasons:
        first = good & wrong
        if first.any():
            findings.leave_out(reason, int(first.sum()), _shown(table, int(np.argmax(first))))
        good &= ~wrong
    letters = np.where(direction == ord("A"), "A", "D")
    found = MapBursts(track, anx, swath, np.where(by_rule, esa_id, -1), letters, geometry).only(good)
    findings.clipped += int((_area_deg2(found.geometry) < LEAST_AREA_DEG2).sum())
    return found


def _polygons(column: pa.ChunkedArray, findings: Findings) -> NDArray[Any]:
    """One valid polygon a row, longitudes running on across the 180th meridian; None where there is none."""
    flat = column.combine_chunks()
    shapes = _from_lists(flat) if pa.types.is_list(flat.type) or pa.types.is_large_list(flat.type) else _from_wkb(flat)
    shapes = shapely.force_2d(shapes)
    bounds = shapely.bounds(shapes)
    sane = (bounds[:, 1] >= -90) & (bounds[:, 3] <= 90) & (bounds[:, 0] >= -540) & (bounds[:, 2] <= 540)
    areal = np.isin(shapely.get_type_id(shapes), (3, 6)) & ~shapely.is_empty(shapes)
    shapes[~(sane & areal)] = None
    single = (shapely.get_type_id(shapes) == 6) & (shapely.get_num_geometries(shapes) == 1)
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    split = (shapely.get_type_id(shapes) == 6) | (bounds[:, 2] - bounds[:, 0] > 180) & (shapely.get_type_id(shapes) == 3)
    shapes[split] = [_unrolled(shape) for shape in shapes[split]]
    findings.joined += int(split.sum())
    crossed = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    shapes[crossed] = shapely.convex_hull(shapes[crossed])
    flat_line = shapely.get_type_id(shapes) != 3
    findings.repaired += int((crossed & ~flat_line).sum())
    shapes[flat_line] = None
    return shapes  # type: ignore[no-any-return]


def _unrolled(shape: Any) -> Any:
    """Parts as one polygon; those on both sides of the 180th meridian with longitudes beyond 180."""
    west, _, east, _ = shape.bounds
    if east - west > 180:
        shape = shapely.transform(shape, lambda xy: np.column_stack([xy[:, 0] % 360, xy[:, 1]]))
    # A tenth of a metre closes the gap that rounding leaves between the parts.
    whole = shapely.union_all(shapely.buffer(shapely.get_parts(shape), 1e-6, join_style="mitre"))
    return whole if whole.geom_type == "Polygon" else whole.convex_hull


def _from_wkb(column: pa.Array) -> NDArray[Any]:
    return shapely.from_wkb(column.to_numpy(zero_copy_only=False), on_invalid="ignore")  # type: ignore[no-any-return]


def _from_lists(column: pa.Array) -> NDArray[Any]:
    """Polygons of `lonlat_e6`: lon, lat, lon, lat ... in microdegrees, not closed."""
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    usable = (counts >= 6) & (counts % 2 == 0)
    shapes = np.full(len(column), None, dtype=object)
    chosen = column.filter(pa.array(usable))
    corners = chosen.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False).reshape(-1, 2) / 1e6
    if len(corners):
        rings = shapely.linearrings(corners, indices=np.repeat(np.arange(usable.sum()), counts[usable] // 2))
        shapes[usable] = shapely.polygons(rings)
    return shapes


def _area_deg2(shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Area in square degrees of latitude."""
    bounds = shapely.bounds(shapes)
    return shapely.area(shapes) * np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2))  # type: ignore[no-any-return]


def _integers(table: pa.Table, name: str, rows: int) -> NDArray[np.int64]:
    """A column of whole numbers; -1 where it is missing, empty or none, 0 where it is no whole number."""
    if name not in table.column_names:
        return np.full(rows, -1)
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.match_substring_regex(text, r"^[0-9]{1,9}$"), text, "0").cast(pa.int64())
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**31)
    return np.where(np.isnan(values), -1, np.where(whole, values, 0)).astype(np.int64)


def _texts(table: pa.Table, name: str, rows: int) -> list[str]:
    if name not in table.column_names:
        return []
    return [text or "" for text in table[name].cast(pa.string()).to_pylist()]


def _coded(table: pa.Table, name: str, codes: dict[str, int], rows: int, other: int) -> NDArray[np.int64]:
    """A column of few words as numbers."""
    if name not in table.column_names:
        return np.full(rows, other)
    column = table[name]
    if pa.types.is_floating(column.type):
        column = column.cast(pa.int64(), safe=False)
    words = column.cast(pa.string()).combine_chunks().dictionary_encode()
    values = np.array([codes.get((word or "").strip().upper(), other) for word in words.dictionary.to_pylist()] or [other])
    places = pc.fill_null(words.indices, -1).to_numpy(zero_copy_only=False)
    return np.where(places >= 0, values[places], other)


def _shown(table: pa.Table, place: int) -> str:
    """A row as a person would point at it."""
    row = table.select([n for n in table.column_names if n != "geometry"]).slice(place, 1).to_pylist()[0]
    return ", ".join(f"{name} {value}" for name, value in row.items())
