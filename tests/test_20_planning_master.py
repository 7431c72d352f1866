"""The choice of the master date."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.errors import NotReady, RequestError
from satdaemon.planning import MasterCandidate, choose_master

TODAY = date(2023, 6, 1)
DAY0 = date(2022, 1, 1)


def candidate(offset: int, present: int = 6, poeorb: bool = True, bperp_m: float | None = None) -> MasterCandidate:
    return MasterCandidate(DAY0 + timedelta(days=offset), present, 6, poeorb, bperp_m)


def test_the_middle_date_wins() -> None:
    choice = choose_master([candidate(12 * i) for i in range(7)], TODAY)
    assert choice.date == DAY0 + timedelta(days=36)
    every = "perpendicular baselines of 7 dates, 2022-01-01 .. 2022-03-14, are not known"
    assert f"7 dates in time alone ({every})" in choice.reason


def test_incomplete_dates_and_dates_without_a_precise_orbit_are_passed_over() -> None:
    stack = [candidate(0), candidate(12, present=5), candidate(24, poeorb=False), candidate(36), candidate(48)]
    assert choose_master(stack, TODAY).date == DAY0 + timedelta(days=36)


def test_a_far_baseline_loses_to_a_near_one() -> None:
    stack = [candidate(0, bperp_m=0), candidate(12, bperp_m=5), candidate(24, bperp_m=180), candidate(36, bperp_m=2)]
    assert choose_master(stack, TODAY).date == DAY0 + timedelta(days=12)


def test_one_unknown_baseline_leaves_time_alone() -> None:
    stack = [candidate(0, bperp_m=0), candidate(12, bperp_m=500), candidate(24)]
    choice = choose_master(stack, TODAY)
    assert choice.date == DAY0 + timedelta(days=12)
    assert "in time alone (perpendicular baselines of 2022-01-25 are not known)" in choice.reason


def test_dates_must_be_old_enough() -> None:
    stack = [candidate(12 * i) for i in range(5)]
    today = DAY0 + timedelta(days=48)
    assert choose_master(stack, today, reference_after_days=40).date == DAY0
    with pytest.raises(NotReady, match="at least 100 days old"):
        choose_master(stack, today, reference_after_days=100)


def test_the_users_choice_wins_and_says_what_it_lacks() -> None:
    stack = [candidate(0), candidate(12), candidate(24, present=4, poeorb=False)]
    choice = choose_master(stack, TODAY, user_date=DAY0 + timedelta(days=24))
    assert choice.date == DAY0 + timedelta(days=24)
    assert choice.reason == "chosen by the user; note that it lacks 2 of 6 bursts and has no precise orbit yet"
    with pytest.raises(RequestError, match="expected a date of the frame, got one without data"):
        choose_master(stack, TODAY, user_date=date(1999, 1, 1))


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ([], "the frame has no dates with data yet"),
        ([candidate(0, present=5), candidate(12, present=4)], "the best of 2 dates, 2022-01-01, has 5 of 6"),
        ([candidate(0, poeorb=False)], "none has a precise orbit"),
    ],
)
def test_no_choice_yet_says_what_is_lacking(stack: list[MasterCandidate], words: str) -> None:
    with pytest.raises(NotReady, match=words):
        choose_master(stack, TODAY)


def test_a_date_twice_is_refused() -> None:
    with pytest.raises(RequestError, match="each date once"):
        choose_master([candidate(0), candidate(0)], TODAY)


candidates = st.builds(
    candidate,
    st.integers(0, 400),
    st.sampled_from([5, 6, 6, 6]),
    st.sampled_from([True, True, False]),
    st.one_of(st.none(), st.floats(-200, 200)),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(candidates, max_size=12, unique_by=lambda c: c.date), st.randoms())
def test_only_eligible_dates_whatever_the_order(stack: list[MasterCandidate], random) -> None:
    eligible = {c.date for c in stack if c.has_poeorb and c.bursts_present == 6}
    if not eligible:
        with pytest.raises(NotReady):
            choose_master(stack, TODAY)
        return
    shuffled = list(stack)
    random.shuffle(shuffled)
    choice = choose_master(stack, TODAY)
    assert choice == choose_master(shuffled, TODAY)
    assert choice.date in eligible
