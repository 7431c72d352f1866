"""The frame grid: the debursted, merged, full-resolution radar grid of the master, and where its bursts lie on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from satdaemon.errors import DataError
from satdaemon.insar.orbit import OrbitArc
from satdaemon.insar.swath import SPEED_OF_LIGHT_M_S, BurstMeta

FILE_NAME = "grid.json"
MAX_FRACTION_PX = 0.2
"""Bursts of one acquisition lie on one grid of lines and samples within 0.003; before 2016 within 0.15."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows [row, row + rows) and columns [col, col + cols) of the frame grid."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def end_row(self) -> int:
        """One past the last row."""
        return self.row + self.rows

    @property
    def end_col(self) -> int:
        """One past the last column."""
        return self.col + self.cols

    def intersect(self, other: Window) -> Window:
        """The common part; zero rows or columns where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        return Window(row, col, max(0, min(self.end_row, other.end_row) - row), max(0, min(self.end_col, other.end_col) - col))

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Index of this window in an array that holds `outer`."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.rows), slice(col, col + self.cols)


@dataclass(frozen=True, slots=True)
class GridBurst:
    """A master burst on the frame grid."""

    meta: BurstMeta
    outer: Window
    """The burst's valid part."""
    inner: Window
    """What the burst gives to the merged image: cut in the middle of overlaps."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Where two consecutive bursts of a swath both see the ground."""

    earlier: str
    later: str
    window: Window

    @property
    def name(self) -> str:
        """`<earlier>-<later>`, by frame burst ids."""
        return f"{self.earlier}-{self.later}"


@dataclass(frozen=True, slots=True, eq=False)
class FrameGrid:
    """(row, col) -> (azimuth time, slant range time): `first_line_utc + row line_s`, `first_sample_s + col / range_sampling_hz`.

    The azimuth time is the annotated one; a burst's `timing` leads to zero Doppler.
    """

    rows: int
    cols: int
    first_line_utc: datetime
    line_s: float
    first_sample_s: float
    range_sampling_hz: float
    wavelength_m: float
    bursts: tuple[GridBurst, ...]
    arc: OrbitArc
    """The master's orbit."""
    platform: str
    polarisation: str

    def range_m(self) -> NDArray[np.float64]:
        """(cols,) one-way slant range of each column."""
        two_way_s = self.first_sample_s + np.arange(self.cols) / self.range_sampling_hz
        return np.asarray(two_way_s * (SPEED_OF_LIGHT_M_S / 2), np.float64)

    def overlaps(self) -> list[Overlap]:
        """Overlaps of consecutive bursts, by swath and time."""
        found = []
        for swath in sorted({b.meta.swath for b in self.bursts}):
            mine = sorted((b for b in self.bursts if b.meta.swath == swath), key=lambda b: b.outer.row)
            for one, two in pairwise(mine):
                window = one.outer.intersect(two.outer)
                if window.rows and window.cols:
                    found.append(Overlap(one.meta.id, two.meta.id, window))
        return found

    def burst(self, burst_id: str) -> GridBurst:
        """The burst of that frame id."""
        return next(b for b in self.bursts if b.meta.id == burst_id)

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back."""
        plain = {
            k: getattr(self, k)
            for k in ("rows", "cols", "line_s", "first_sample_s", "range_sampling_hz", "wavelength_m", "platform", "polarisation")
        }
        return {
            **plain,
            "first_line_utc": self.first_line_utc.isoformat(),
            "orbit": self.arc.to_json(),
            "bursts": [
                {"id": b.meta.id, "outer": asdict(b.outer), "inner": asdict(b.inner), "meta": b.meta.to_json()}
                for b in self.bursts
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        bursts = tuple(
            GridBurst(BurstMeta.from_json(b["meta"]), Window(**b["outer"]), Window(**b["inner"])) for b in value["bursts"]
        )
        plain = {k: v for k, v in value.items() if k not in ("bursts", "orbit", "first_line_utc")}
        return cls(
            **plain,
            first_line_utc=datetime.fromisoformat(value["first_line_utc"]),
            arc=OrbitArc.from_json(value["orbit"]),
            bursts=bursts,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read `grid.json` of a master's satsar product; DataError where it is not there or of another layout."""
        path = directory / FILE_NAME
        try:
            return cls.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: expected the master's frame grid: {error!r}; run the master's satsar stage again"
            ) from error


def make_grid(bursts: Sequence[BurstMeta], arc: OrbitArc, platform: str, polarisation: str) -> FrameGrid:
    """Lay the master's bursts on one grid.

    Raises
    ------
    DataError
        The bursts do not share one grid of lines and samples.
    """
    first = bursts[0]
    line_s, sampling_hz = first.line_s, first.range_sampling_hz
    times = [b.line_time_s(arc.epoch_utc) for b in bursts]
    start_s, near_s = min(times), min(b.first_sample_s for b in bursts)
    outers = []
    for burst, time in zip(bursts, times, strict=True):
        row, col = (time - start_s) / line_s, (burst.first_sample_s - near_s) * sampling_hz
        if max(abs(row - round(row)), abs(col - round(col))) > MAX_FRACTION_PX:
            raise DataError(
                f"burst {burst.id}: lies {row - round(row):+.3f} lines and {col - round(col):+.3f} samples "
                f"off the grid of the other bursts, expected within {MAX_FRACTION_PX}"
            )
        outers.append(Window(round(row), round(col), burst.lines, burst.samples))
    return FrameGrid(
        rows=max(w.end_row for w in outers),
        cols=max(w.end_col for w in outers),
        first_line_utc=arc.epoch_utc + timedelta(seconds=start_s),
        line_s=line_s,
        first_sample_s=near_s,
        range_sampling_hz=sampling_hz,
        wavelength_m=first.wavelength_m,
        arc=arc,
        platform=platform,
        polarisation=polarisation,
        bursts=tuple(GridBurst(m, o, i) for m, o, i in zip(bursts, outers, _inner(bursts, outers), strict=True)),
    )


def _inner(bursts: Sequence[BurstMeta], outers: Sequence[Window]) -> list[Window]:
    """Each burst's own part: cut half-way through the overlap with the burst before, after, left and right."""
    left, right = _swath_cuts(bursts, outers)
    result = []
    for index, (burst, outer) in enumerate(zip(bursts, outers, strict=True)):
        peers = [o for k, o in enumerate(outers) if k != index and bursts[k].swath == burst.swath]
        before = [o.end_row for o in peers if o.row < outer.row]
        after = [o.row for o in peers if o.row > outer.row]
        top = max([outer.row, *(_middle(outer.row, end) for end in before if end > outer.row)])
        bottom = min([outer.end_row, *(_middle(start, outer.end_row) for start in after if start < outer.end_row)])
        band = Window(top, left[burst.swath], bottom - top, right[burst.swath] - left[burst.swath])
        result.append(outer.intersect(band))
    return result


def _swath_cuts(bursts: Sequence[BurstMeta], outers: Sequence[Window]) -> tuple[dict[str, int], dict[str, int]]:
    """First column of each swath, and one past its last."""
    swaths = sorted({b.swath for b in bursts})
    mine = {s: [o for b, o in zip(bursts, outers, strict=True) if b.swath == s] for s in swaths}
    left = {s: min(o.col for o in mine[s]) for s in swaths}
    right = {s: max(o.end_col for o in mine[s]) for s in swaths}
    for near, far in pairwise(swaths):
        end, start = min(o.end_col for o in mine[near]), max(o.col for o in mine[far])
        if start < end:
            left[far] = right[near] = _middle(start, end)
    return left, right


def _middle(start: int, end: int) -> int:
    return (start + end) // 2
