"""Frames and previews as tables, and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.table import Table

from satdaemon.status import LedgerState, Stage

if TYPE_CHECKING:
    from satdaemon.db.frame_overview import FrameOverview
    from satdaemon.db.preview import Preview, PreviewDate

_SWATHS = ("IW1", "IW2", "IW3")
MOST_DROPS = 12


def plain(value: Any) -> Any:
    """A dataclass as a value that JSON can hold: dates as text."""
    if isinstance(value, dict):
        return {(k.value if isinstance(k, Enum) else k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, date):
        return value.isoformat()
    return plain(asdict(value)) if hasattr(value, "__dataclass_fields__") else value


def frames_table(found: Iterable[FrameOverview]) -> Table:
    """One line a frame."""
    table = Table("frame", "bursts", "is", "priority", "master", "dates", "newest", "coregistered to", "pairs")
    for one in found:
        out = f" ({one.dates_out} out)" if one.dates_out else ""
        table.add_row(
            one.id, str(one.bursts), one.state, str(one.priority), _day(one.master), f"{one.dates}{out}", _day(one.last_date),
            _day(one.last_done), str(one.pairs),
        )  # fmt: skip
    return table


def facts_table(one: FrameOverview, bursts: Sequence[str]) -> Table:
    """What a frame is and how it is to be processed."""
    table = Table.grid(padding=(0, 2))
    since = f" since {one.retired}" if one.retired else ""
    rows = [
        ("frame", f"{one.id}: track {one.track}, pass {one.direction}, {one.state}{since}, priority {one.priority}"),
        *((swath, ", ".join(b for b in bursts if b.endswith(swath)) or "-") for swath in _SWATHS),
        ("stages on", ", ".join(one.stages_on) or "none"),
        ("updates", "yes" if one.update else "no: initial processing only"),
        ("reprocess", "yes: what is stale is made again" if one.reprocess else "no"),
        ("range", f"{one.start_date or 'open'} to {one.end_date or 'open'}"),
        ("own settings", ", ".join(f"{name} = {value}" for name, value in one.settings.items()) or "none"),
        ("master", _day(one.master)),
        ("dates", f"{one.dates}, of these {one.dates_out} out; {_day(one.first_date)} to {_day(one.last_date)}"),
        ("pairs", str(one.pairs)),
        ("notes", one.notes or ""),
    ]
    for name, text in rows:
        table.add_row(name, text)
    return table


def counts_table(one: FrameOverview) -> Table:
    """Rows a stage and state."""
    table = Table("stage", *(state.value for state in LedgerState))
    for stage in Stage:
        counts = one.counts.get(stage, {})
        table.add_row(stage.value, *(str(counts.get(state, "")) for state in LedgerState))
    return table


def incidence_table(found: Preview, *, every_date: bool) -> Table:
    """Which bursts dates have, swath by swath in the order of acquisition: `#` present, `.` missing."""
    table = Table("dates", "first", "last", *_swaths(found), "share", "bperp (m)", "usable", "why not")
    groups: dict[tuple[Any, ...], list[PreviewDate]] = {}
    for day in found.dates:
        key = (day.date,) if every_date else (day.present, day.usable, "" if day.usable else day.reason)
        groups.setdefault(key, []).append(day)
    order = list(groups.values()) if every_date else sorted(groups.values(), key=len, reverse=True)
    for days in order:
        one = days[0]
        table.add_row(
            str(len(days)), _day(days[0].date), _day(days[-1].date), *_pattern(found, one), f"{one.share:.0%}",
            _baselines(days), "yes" if one.usable else "no", "" if one.usable else one.reason,
        )  # fmt: skip
    return table


def drops_table(found: Preview) -> Table:
    """What doing without bursts would gain, the most first."""
    table = Table("without", "usable dates", "gain", "with every burst", "")
    for drop in [d for d in found.drops if d.gain > 0 or d.complete > found.complete][:MOST_DROPS]:
        gap = "leaves a gap" if drop.gap else ""
        table.add_row(", ".join(drop.bursts), str(drop.usable), f"{drop.gain:+d}", str(drop.complete), gap)
    return table


def preview_json(found: Preview) -> dict[str, Any]:
    """A preview as JSON."""
    value: dict[str, Any] = plain(found)
    value["bursts"] = [burst.id for burst in found.bursts]
    return {**value, "usable": found.usable, "complete": found.complete}


def _swaths(found: Preview) -> list[str]:
    return [swath for swath in _SWATHS if any(b.swath == swath for b in found.bursts)]


def _pattern(found: Preview, day: PreviewDate) -> list[str]:
    present = set(day.present)
    return ["".join("#" if b.id in present else "." for b in found.bursts if b.swath == swath) for swath in _swaths(found)]


def _baselines(days: Sequence[PreviewDate]) -> str:
    known = sorted(day.bperp_m for day in days if day.bperp_m is not None)
    if not known:
        return ""
    return f"{known[0]:.0f}" if len(days) == 1 else f"{known[0]:.0f} .. {known[-1]:.0f}"


def _day(day: date | None) -> str:
    return "-" if day is None else day.isoformat()
