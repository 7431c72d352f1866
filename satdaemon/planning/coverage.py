"""Is a date that lacks bursts of the frame usable for the rest?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from satdaemon.domain import Burst, Frame, some_of
from satdaemon.errors import RequestError
from satdaemon.planning.bursts import along_track


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a date has of a frame's bursts, and what follows from it."""

    usable: bool
    missing: tuple[str, ...]
    """Frame bursts that the date lacks, in order of acquisition."""
    reason: str
    """A sentence for the operator; for a usable date it says what is lacking, or that nothing is."""
    share: float
    """Bursts present over bursts of the frame."""


def coverage(frame: Frame, present_burst_ids: Collection[str], min_coverage: float) -> Coverage:
    """Apply the rule: bursts lacking at the ends of a swath may be done without, interior ones may not.

    Parameters
    ----------
    present_burst_ids
        Ids **of the frame** (the keys that `match_bursts` gives), not those of the files.
    min_coverage
        Smallest share of the frame's bursts that a usable date has, 0..1.

    Raises RequestError where an id is none of the frame's.
    """
    _check(frame, present_burst_ids)
    present = set(present_burst_ids)
    missing = tuple(b.id for b in along_track(frame.bursts) if b.id not in present)
    share = 1 - len(missing) / len(frame.bursts)
    total = len(frame.bursts)
    if not missing:
        return Coverage(True, (), f"all {total} bursts present", share)
    if not present:
        return Coverage(False, missing, f"none of the frame's {total} bursts is present", share)
    interior = _interior(frame, present)
    if interior:
        reason = f"{_listed(interior)} missing in the interior of the frame; only bursts at a swath's end may be missing"
        return Coverage(False, missing, reason, share)
    what = f"{total - len(missing)} of {total} bursts ({share:.0%}) present, {_listed(missing)} missing at a swath's end"
    if share < min_coverage - 1e-9:
        return Coverage(False, missing, f"{what}; expected at least {min_coverage:.0%} (min_coverage)", share)
    return Coverage(True, missing, what, share)


def _check(frame: Frame, present: Collection[str]) -> None:
    if not frame.bursts:
        raise RequestError(f"frame {frame.id}: expected at least one burst, got none")
    unknown = sorted(set(present) - {b.id for b in frame.bursts})
    if unknown:
        raise RequestError(
            f"frame {frame.id}: expected ids of its own bursts, got {_listed(tuple(unknown))}; "
            "match a file's bursts to the frame's first (match_bursts)"
        )


def _interior(frame: Frame, present: set[str]) -> tuple[str, ...]:
    swaths: dict[str, list[Burst]] = {}
    for burst in along_track(frame.bursts):
        swaths.setdefault(burst.swath, []).append(burst)
    found: list[str] = []
    names = sorted(swaths)
    filled = [name for name in names if any(b.id in present for b in swaths[name])]
    for name in names:
        places = [i for i, b in enumerate(swaths[name]) if b.id in present]
        if places:
            found += [b.id for b in swaths[name][places[0] : places[-1]] if b.id not in present]
        elif filled[0] < name < filled[-1]:
            # A whole swath between two others splits the date into parts that cannot be tied together.
            found += [b.id for b in swaths[name]]
    return tuple(found)


def _listed(ids: tuple[str, ...]) -> str:
    return f"{'burst' if len(ids) == 1 else 'bursts'} {some_of(ids, 6)}"
