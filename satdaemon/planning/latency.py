"""How late a date is, and by what: from sensing to its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

SENSED, PUBLISHED, KNOWN = "sensed", "published", "known"
MILESTONES = (
    SENSED, PUBLISHED, KNOWN, "download", "slc", "satsar", "coherence", "unwrap", "timeseries", "ingest"
)  # fmt: skip
"""In order; from `download` on: when that stage of the date first ended, of its pairs the last."""
ORBIT, ARCHIVE = "waiting for the orbit", "waiting for an archive or a disk"
_OF = {PUBLISHED: "until it was published", KNOWN: "until it was found"}


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a job waited for something, or ran."""

    begin: datetime
    end: datetime
    part: str
    """`ORBIT`, `ARCHIVE`, or `STAGE running`."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one date."""

    moments: Mapping[str, datetime]
    """Of `MILESTONES` those that are reached and known."""
    parts: Mapping[str, float]
    """What the time went to: seconds, in order; they add up to `total_s`."""

    @property
    def total_s(self) -> float:
        """From sensing to the last milestone that is reached."""
        return sum(self.parts.values())

    @property
    def is_whole(self) -> bool:
        """True once the date is in the points."""
        return "ingest" in self.moments

    @property
    def late_part(self) -> str:
        """The part that took longest; empty where nothing is reached."""
        return max(self.parts, key=lambda part: self.parts[part], default="")

    def __str__(self) -> str:
        if not self.parts:
            return "not known"
        end = "" if self.is_whole else " so far"
        return f"{in_words(self.total_s)}{end}: {in_words(self.parts[self.late_part])} {self.late_part}"


def latency(moments: Mapping[str, datetime], spells: Sequence[Spell] = ()) -> Latency:
    """Divide the time between milestones among what took it.

    Each step from one milestone to the next is divided into the spells of waiting and running within it; the rest is
    `STAGE queued`. A milestone that lies before the one before it (a scene that was known before it was listed) takes no time.
    """
    parts: dict[str, float] = {}
    reached = [name for name in MILESTONES if name in moments]
    if SENSED not in moments:
        return Latency(dict(moments), {})
    now = moments[SENSED]
    for name in reached[1:]:
        then = max(moments[name], now)
        if name in _OF:
            _add(parts, _OF[name], (then - now).total_seconds())
        else:
            _divide(parts, name, now, then, spells)
        now = then
    return Latency({name: moments[name] for name in reached}, parts)


def in_words(seconds: float) -> str:
    """`3.1 d`, `4.5 h`, `12 min`, `40 s`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}" if unit != "min" else f"{seconds / size:.0f} min"
    return f"{seconds:.0f} s"


def _divide(parts: dict[str, float], stage: str, begin: datetime, end: datetime, spells: Sequence[Spell]) -> None:
    within = [Spell(max(s.begin, begin), min(s.end, end), s.part) for s in spells if s.begin < end and s.end > begin]
    edges = sorted({begin, end, *(s.begin for s in within), *(s.end for s in within)})
    for first, last in pairwise(edges):
        mine = {s.part for s in within if s.begin <= first and s.end >= last}
        running = f"{stage} running"
        part = next((p for p in (running, ORBIT, ARCHIVE) if p in mine), f"{stage} queued")
        _add(parts, part, (last - first).total_seconds())


def _add(parts: dict[str, float], part: str, seconds: float) -> None:
    if seconds > 0:
        parts[part] = parts.get(part, 0.0) + seconds
