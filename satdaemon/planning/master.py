"""Which date of a frame all the others are coregistered to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from satdaemon.errors import NotReady, RequestError


@dataclass(frozen=True, slots=True)
class MasterCandidate:
    """One date of the stack, as far as the choice of the master needs it."""

    date: date
    bursts_present: int
    bursts_total: int
    has_poeorb: bool
    bperp_m: float | None = None
    """Perpendicular baseline to any one date that is the same for all candidates, metres."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen date, and why, for the operator."""

    date: date
    reason: str


def choose_master(
    candidates: Sequence[MasterCandidate],
    today: date,
    *,
    reference_after_days: int = 0,
    user_date: date | None = None,
) -> Choice:
    """The date nearest to the middle of the stack in time and perpendicular baseline.

    Eligible are dates with all bursts of the frame, with a precise orbit, and at least `reference_after_days`
    old. Of these the one wins whose summed distance to all dates of the stack is least (the medoid); times
    count relative to the stack's span, baselines likewise where all eligible dates have one. Equal sums: the earliest
    date. The order of `candidates` plays no part. `user_date` wins over the rule if it is a date of the stack.

    Raises NotReady where no date is eligible yet (saying what is lacking), RequestError where `user_date` is
    not a date of the stack or a date occurs twice.
    """
    stack = sorted(candidates, key=lambda c: c.date)
    if len({c.date for c in stack}) != len(stack):
        raise RequestError("choice of the master: expected each date once, got one twice")
    if user_date is not None:
        return _users_choice(stack, user_date)
    eligible = [c for c in stack if _is_eligible(c, today, reference_after_days)]
    if not eligible:
        raise NotReady(_why_none(stack, today, reference_after_days))
    lacking = [c.date for c in eligible if c.bperp_m is None]
    with_bperp = not lacking
    best = min(eligible, key=lambda c: (round(_distance(c, stack, with_bperp), 12), c.date))
    used = "time and perpendicular baseline"
    if lacking:
        used = f"time alone (perpendicular baselines of {_named(lacking)} are not known)"
    reason = (
        f"nearest to the middle of {len(stack)} dates in {used}; "
        f"{len(eligible)} of them have all {best.bursts_total} bursts and a precise orbit"
    )
    return Choice(best.date, reason)


def _users_choice(stack: Sequence[MasterCandidate], day: date) -> Choice:
    for candidate in stack:
        if candidate.date == day:
            lacks = candidate.bursts_total - candidate.bursts_present
            notes = [f"lacks {lacks} of {candidate.bursts_total} bursts"] if lacks > 0 else []
            notes += [] if candidate.has_poeorb else ["has no precise orbit yet"]
            return Choice(day, "chosen by the user" + (f"; note that it {' and '.join(notes)}" if notes else ""))
    known = f"{stack[0].date} .. {stack[-1].date} ({len(stack)} dates)" if stack else "none"
    raise RequestError(f"master {day}: expected a date of the frame, got one without data; dates known: {known}")


def _is_eligible(candidate: MasterCandidate, today: date, reference_after_days: int) -> bool:
    old_enough = candidate.date <= today - timedelta(days=reference_after_days)
    return candidate.has_poeorb and _is_complete(candidate) and old_enough


def _is_complete(candidate: MasterCandidate) -> bool:
    return candidate.bursts_total > 0 and candidate.bursts_present >= candidate.bursts_total


def _distance(one: MasterCandidate, stack: Sequence[MasterCandidate], with_bperp: bool) -> float:
    span_days = max((stack[-1].date - stack[0].date).days, 1)
    total = sum(abs((one.date - other.date).days) for other in stack) / span_days
    if with_bperp and one.bperp_m is not None:
        known = [c.bperp_m for c in stack if c.bperp_m is not None]
        spread_m = max(max(known) - min(known), 1e-6)
        # Scaled to the whole stack, so that dates without a baseline do not make this part count less.
        total += sum(abs(one.bperp_m - bperp_m) for bperp_m in known) / spread_m * len(stack) / len(known)
    return total


def _named(days: Sequence[date]) -> str:
    return f"{len(days)} dates, {days[0]} .. {days[-1]}," if len(days) > 2 else " and ".join(map(str, days))


def _why_none(stack: Sequence[MasterCandidate], today: date, reference_after_days: int) -> str:
    if not stack:
        return "no master can be chosen: the frame has no dates with data yet"
    complete = [c for c in stack if _is_complete(c)]
    precise = [c for c in complete if c.has_poeorb]
    if not complete:
        best = max(stack, key=lambda c: (c.bursts_present, c.date))
        found = f"the best of {len(stack)} dates, {best.date}, has {best.bursts_present} of {best.bursts_total}"
        return f"no master can be chosen: expected a date with all bursts of the frame; {found}"
    if not precise:
        return (
            f"no master can be chosen: {len(complete)} of {len(stack)} dates have all bursts, but none has a precise "
            "orbit (POEORB) yet; one appears about 20 days after the acquisition"
        )
    return (
        f"no master can be chosen: expected a date at least {reference_after_days} days old on {today} "
        f"(reference_after_days), the oldest that would do is {precise[0].date}"
    )
