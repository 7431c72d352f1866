"""Which orbit file an acquisition uses.

A precise orbit (POEORB) that covers [start - T - 1 min, stop + 1 min] (T: one orbit, so that the ascending node
is inside); else one restituted orbit (RESORB) that does; else two that join; else the acquisition waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from satdaemon.archive.eof import STEP_S, OrbitFile, StateVectors, hermite_m, read_eof
from satdaemon.domain import ORBIT_S
from satdaemon.errors import CorruptProduct, NotReady

MARGIN = timedelta(minutes=1)
LEAD = timedelta(seconds=ORBIT_S) + MARGIN
"""Before the acquisition; `MARGIN` after it."""
POEORB_AFTER = timedelta(days=20)
"""ESA publishes the precise orbit about so long after the acquisition."""
JOIN_M = 1.0
"""Two restituted orbits (5 cm each) that differ by more where they overlap are not of one orbit determination."""


@dataclass(frozen=True, slots=True)
class OrbitChoice:
    """The files to use, earliest first."""

    paths: tuple[Path, ...]
    kind: str
    """POEORB or RESORB."""
    notes: tuple[str, ...] = ()
    """Files that would have been preferred but are damaged, each with what is wrong."""


def scan(orbit_dir: Path) -> tuple[OrbitFile, ...]:
    """Every POEORB and RESORB file below a directory, by name alone, sorted. Half-written files are not seen.

    Raises NotReady where there is no such directory (a disk not mounted).
    """
    if not orbit_dir.is_dir():
        raise NotReady(f"orbit files: expected a directory at {orbit_dir} (orbit_path), found none; mount or make it")
    try:
        found = [file for path in orbit_dir.rglob("*.EOF") if (file := OrbitFile.from_name(path)) is not None]
    except OSError as error:
        raise NotReady(f"orbit files: {orbit_dir} (orbit_path) cannot be read: {error}") from error
    return tuple(sorted(found, key=lambda f: (f.platform, f.start_utc, f.created_utc, f.path)))


def needed_interval(start_utc: datetime, stop_utc: datetime) -> tuple[datetime, datetime]:
    """What an orbit must cover for an acquisition: one orbit before it, a minute on both sides."""
    return _aware(start_utc) - LEAD, _aware(stop_utc) + MARGIN


def has_precise(files: Iterable[OrbitFile], platform: str, start_utc: datetime, stop_utc: datetime) -> bool:
    """True where a POEORB covers the acquisition, judged by name; cheap enough for each date of a stack."""
    first, last = needed_interval(start_utc, stop_utc)
    return any(f.kind == "POEORB" and f.platform == platform and f.covers(first, last) for f in files)


def choose(
    orbit_dir: Path,
    platform: str,
    start_utc: datetime,
    stop_utc: datetime,
    *,
    accept_resorb: bool = True,
    retry_after_s: float = 3600.0,
) -> OrbitChoice:
    """Choose, open and check the orbit of an acquisition.

    Damaged files are passed over (and named in `notes`). Of several that cover it the one created last is
    taken. Raises NotReady, with what is missing and when it may be expected, where nothing serves.
    """
    files = [f for f in scan(orbit_dir) if f.platform == platform]
    first, last = needed_interval(start_utc, stop_utc)
    notes: list[str] = []
    for file in newest(f for f in files if f.kind == "POEORB" and f.covers(first, last)):
        if _read(file, first, last, notes) is not None:
            return OrbitChoice((file.path,), "POEORB", tuple(notes))
    restituted = [f for f in files if f.kind == "RESORB" and f.stop_utc >= first and f.start_utc <= last]
    if accept_resorb:
        for file in newest(f for f in restituted if f.covers(first, last)):
            if _read(file, first, last, notes) is not None:
                return OrbitChoice((file.path,), "RESORB", tuple(notes))
        for one, other in joining(restituted, first, last, _aware(start_utc), _aware(stop_utc)):
            if _joins(one, other, first, last, notes):
                return OrbitChoice((one.path, other.path), "RESORB", tuple(notes))
    reason = _reason(orbit_dir, platform, first, last, _aware(start_utc), restituted, accept_resorb, notes)
    raise NotReady(reason, retry_after_s=retry_after_s)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def newest(files: Iterable[OrbitFile]) -> list[OrbitFile]:
    """The file created last first: of several that serve, that one is taken."""
    return sorted(files, key=lambda f: (f.created_utc, f.path.name), reverse=True)


def _read(file: OrbitFile, first: datetime, last: datetime, notes: list[str]) -> StateVectors | None:
    """The content, or None with a note where the file is damaged or does not envelop the interval."""
    try:
        state = read_eof(file)
    except (CorruptProduct, OSError) as error:
        notes.append(str(error))
        return None
    begin, end = state.span_utc
    slack = timedelta(seconds=2 * STEP_S)
    if begin > first + slack or end < last - slack:
        notes.append(f"{file.path}: expected state vectors from {_short(first)} to {_short(last)}, got {begin} to {end}")
        return None
    return state


def joining(
    files: Sequence[OrbitFile], first: datetime, last: datetime, start: datetime, stop: datetime
) -> Iterator[tuple[OrbitFile, OrbitFile]]:
    """Pairs that together cover the interval; those first of which one alone holds the whole acquisition."""
    pairs = [
        (one, other)
        for one in files
        for other in files
        if one.start_utc <= first and last <= other.stop_utc and one.start_utc < other.start_utc <= one.stop_utc
    ]

    def worth(pair: tuple[OrbitFile, OrbitFile]) -> tuple[bool, datetime, datetime]:
        whole = any(f.covers(start - MARGIN, stop + MARGIN) for f in pair)
        return whole, pair[1].created_utc, pair[0].created_utc

    yield from sorted(pairs, key=worth, reverse=True)


def _joins(one: OrbitFile, other: OrbitFile, first: datetime, last: datetime, notes: list[str]) -> bool:
    early = _read(one, first, one.stop_utc, notes)
    late = _read(other, other.start_utc, last, notes)
    if early is None or late is None:
        return False
    shift_s = (late.epoch_utc - early.epoch_utc).total_seconds()
    inside = (early.times_s >= shift_s) & (early.times_s <= shift_s + late.times_s[-1])
    if not inside.any():
        notes.append(f"{one.path.name} and {other.path.name}: expected state vectors that overlap, got none")
        return False
    there_m = hermite_m(late, early.times_s[inside] - shift_s)
    apart_m = float(np.max(np.linalg.norm(there_m - early.positions_m[inside], axis=1)))
    if apart_m > JOIN_M:
        notes.append(f"{one.path.name} and {other.path.name}: expected orbits within {JOIN_M:g} m, got {apart_m:.1f} m")
        return False
    return True


def _reason(
    orbit_dir: Path,
    platform: str,
    first: datetime,
    last: datetime,
    start: datetime,
    restituted: Sequence[OrbitFile],
    accept_resorb: bool,
    notes: Sequence[str],
) -> str:
    parts = [f"waits for an orbit of {platform} from {_short(first)} to {_short(last)}: no precise orbit (POEORB)"]
    if restituted and not accept_resorb:
        parts[0] += f"; {restituted[-1].path.name} is there, but restituted orbits are not accepted (accept_resorb = no)"
    elif restituted:
        spans = ", ".join(f"{_short(f.start_utc)} to {_short(f.stop_utc)}" for f in restituted[-3:])
        parts[0] += f", and the restituted orbits (RESORB) there do not cover it ({spans})"
    else:
        parts[0] += " and no restituted one (RESORB)"
    parts[0] += f" in {orbit_dir}"
    parts.append(f"A precise orbit is expected about {start + POEORB_AFTER:%Y-%m-%d}")
    parts += [f"Passed over: {note}" for note in notes]
    return ". ".join(parts)


def _short(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
