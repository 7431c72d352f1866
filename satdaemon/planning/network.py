"""Which pairs of dates become interferograms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import TypeVar

from satdaemon.config import NetworkSettings
from satdaemon.domain import Pair
from satdaemon.errors import RequestError

YEAR_DAYS = 365
_Item = TypeVar("_Item")


def network(
    dates: Iterable[date],
    existing: Collection[Pair],
    settings: NetworkSettings,
    excluded: Collection[Pair] = (),
) -> frozenset[Pair]:
    """Every pair that a frame owes, given its usable dates and the pairs that it already has.

    1. Existing pairs between usable dates stay, always.
    2. Each date is paired with its `previous` earlier neighbours, none further than `max_days` (0: no limit),
       and with at most `annual_pairs` earlier dates nearest to one year before, within `annual_tolerance_days`.
    3. Where that leaves the dates in several parts, the shortest pairs join them (`max_days` does not bind them).

    So a new date, at the end or late in the middle, adds only pairs of its own; when a date becomes unusable
    its pairs go and its neighbours get the ones they would have had without it; when it returns so do its
    pairs. The result depends on the sets only, not on their order.

    `excluded` are pairs that never will be made (left out by an operator, or failed for good): they are not
    in the result and join nothing. Where they leave no way to connect, `components` tells.
    """
    days = sorted(set(dates))
    left_out = {_checked(p) for p in excluded}
    usable = set(days)
    kept = {_checked(p) for p in existing if p[0] in usable and p[1] in usable}
    pairs = (kept | _rule(days, settings)) - left_out
    return frozenset(pairs | _bridges(days, pairs, left_out))


def own_pairs(day: date, days: Sequence[date], settings: NetworkSettings) -> set[Pair]:
    """Pairs of `day` with dates before it by the rule. `days` sorted."""
    earlier = [d for d in days if d < day]
    near = earlier[-settings.previous :]
    if settings.max_days:
        near = [d for d in near if (day - d).days <= settings.max_days]
    year_ago = day - timedelta(days=YEAR_DAYS)
    about = [d for d in earlier if abs((d - year_ago).days) <= settings.annual_tolerance_days]
    about.sort(key=lambda d: (abs((d - year_ago).days), d))
    return {Pair(d, day) for d in [*near, *about[: settings.annual_pairs]]}


def components(dates: Iterable[date], pairs: Iterable[Pair]) -> list[frozenset[date]]:
    """The parts into which pairs tie the dates, the one with the earliest date first. One part: connected."""
    roots = {day: day for day in dates}
    for pair in pairs:
        if pair.date1 in roots and pair.date2 in roots:
            roots[_root(roots, pair.date2)] = _root(roots, pair.date1)
    parts: dict[date, set[date]] = {}
    for day in roots:
        parts.setdefault(_root(roots, day), set()).add(day)
    return sorted((frozenset(part) for part in parts.values()), key=min)


def joining(parts: Sequence[frozenset[date]], left_out: Iterable[Pair]) -> list[Pair]:
    """Of the pairs that were left out those that would tie two of the parts together, shortest first."""
    part_of = {day: place for place, part in enumerate(parts) for day in part}
    ties = [p for p in left_out if p.date1 in part_of and p.date2 in part_of and part_of[p.date1] != part_of[p.date2]]
    return sorted(ties, key=lambda p: ((p.date2 - p.date1).days, p))


def _rule(days: Sequence[date], settings: NetworkSettings) -> set[Pair]:
    return {pair for day in days for pair in own_pairs(day, days, settings)}


def _bridges(days: Sequence[date], pairs: Iterable[Pair], left_out: Collection[Pair]) -> set[Pair]:
    parts = components(days, pairs)
    part_of = {day: place for place, part in enumerate(parts) for day in part}
    bridges: set[Pair] = set()
    if len(parts) < 2:
        return bridges
    roots = {place: place for place in range(len(parts))}
    for pair in sorted((Pair(*p) for p in combinations(days, 2)), key=lambda p: ((p.date2 - p.date1).days, p)):
        one, other = _root(roots, part_of[pair.date1]), _root(roots, part_of[pair.date2])
        if one != other and pair not in left_out:
            bridges.add(pair)
            roots[other] = one
            if len(bridges) == len(parts) - 1:
                break
    return bridges


def _root(roots: dict[_Item, _Item], item: _Item) -> _Item:
    while roots[item] != item:
        roots[item] = roots[roots[item]]
        item = roots[item]
    return item


def _checked(pair: tuple[date, date]) -> Pair:
    if not pair[0] < pair[1]:
        raise RequestError(f"pair: expected the earlier date first, got {pair[0]} and {pair[1]}")
    return Pair(*pair)
