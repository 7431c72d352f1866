"""The network of pairs: its rule on small examples, its promises on any dates."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.config import NetworkSettings
from satdaemon.domain import Pair
from satdaemon.errors import RequestError
from satdaemon.planning import components, network

DAY0 = date(2020, 1, 1)
DEFAULT = NetworkSettings()


def days(*offsets: int) -> list[date]:
    return [DAY0 + timedelta(days=o) for o in offsets]


def pair(one: int, other: int) -> Pair:
    return Pair(DAY0 + timedelta(days=one), DAY0 + timedelta(days=other))


def pairs(*offsets: tuple[int, int]) -> frozenset[Pair]:
    return frozenset(pair(*o) for o in offsets)


offsets = st.integers(0, 1500)
date_sets = st.sets(offsets, min_size=0, max_size=25).map(lambda s: days(*s))
rules = st.builds(
    NetworkSettings,
    previous=st.integers(1, 4),
    annual_pairs=st.integers(0, 3),
    annual_tolerance_days=st.integers(1, 60),
    max_days=st.sampled_from([0, 12, 48, 200]),
)


def test_each_date_with_its_previous_three() -> None:
    got = network(days(0, 12, 24, 36, 48), (), DEFAULT)
    assert got == pairs((0, 12), (0, 24), (12, 24), (0, 36), (12, 36), (24, 36), (12, 48), (24, 48), (36, 48))


def test_annual_pairs_are_the_two_nearest_to_one_year_within_the_tolerance() -> None:
    rule = NetworkSettings(previous=1, annual_pairs=2, annual_tolerance_days=30)
    got = network(days(0, 10, 20, 34, 36, 400), (), rule)
    long = {p for p in got if (p.date2 - p.date1).days > 300}
    # One year before 400 is 35; 34 and 36 are a day off, 20 would be the third, 0 and 36-400 the short rule's.
    assert long == pairs((34, 400), (36, 400))
    assert pair(4, 400) not in network(days(4, 399, 400), (), rule), "396 days is beyond the tolerance"
    assert pair(5, 400) in network(days(5, 399, 400), (), rule), "395 days is just within it"


def test_max_days_binds_short_pairs_but_not_bridges() -> None:
    rule = NetworkSettings(previous=3, annual_pairs=0, max_days=24)
    got = network(days(0, 12, 100, 112), (), rule)
    assert got == pairs((0, 12), (100, 112), (12, 100))


def test_a_late_date_in_the_middle_adds_only_pairs_of_its_own() -> None:
    before = network(days(0, 12, 36, 48, 60), (), DEFAULT)
    after = network(days(0, 12, 24, 36, 48, 60), before, DEFAULT)
    assert before < after
    assert after - before == pairs((0, 24), (12, 24), (24, 36), (24, 48), (24, 60))


def test_a_date_that_fails_takes_its_pairs_with_it_and_its_sides_are_joined() -> None:
    rule = NetworkSettings(previous=1, annual_pairs=0)
    whole = network(days(0, 12, 24), (), rule)
    without = network(days(0, 24), whole, rule)
    assert without == pairs((0, 24))
    # On its return nothing that was made meanwhile goes.
    assert network(days(0, 12, 24), whole | without, rule) == pairs((0, 12), (12, 24), (0, 24))


def test_an_excluded_pair_joins_nothing_and_is_not_owed() -> None:
    rule = NetworkSettings(previous=1, annual_pairs=0)
    got = network(days(0, 12, 24), pairs((0, 12)), rule, excluded=pairs((0, 12)))
    assert got == pairs((12, 24), (0, 24))
    alone = network(days(0, 12), (), rule, excluded=pairs((0, 12)))
    assert alone == frozenset()
    assert len(components(days(0, 12), alone)) == 2


def test_wider_settings_add_pairs_and_narrower_ones_take_none_away() -> None:
    stack = days(*range(0, 120, 12))
    narrow = network(stack, (), NetworkSettings(previous=2))
    wide = network(stack, narrow, NetworkSettings(previous=4))
    assert wide == network(stack, (), NetworkSettings(previous=4))
    assert network(stack, wide, NetworkSettings(previous=2)) == wide


@pytest.mark.parametrize("offsets_given", [(), (7,)])
def test_no_pair_of_less_than_two_dates(offsets_given: tuple[int, ...]) -> None:
    assert network(days(*offsets_given), (), DEFAULT) == frozenset()


def test_a_pair_in_the_wrong_order_is_refused() -> None:
    with pytest.raises(RequestError, match="expected the earlier date first, got 2020-01-13 and 2020-01-01"):
        network(days(0, 12), [pair(12, 0)], DEFAULT)


@settings(max_examples=60, deadline=None)
@given(date_sets, rules)
def test_always_connected(stack: list[date], rule: NetworkSettings) -> None:
    assert len(components(stack, network(stack, (), rule))) == min(len(stack), 1)


@settings(max_examples=60, deadline=None)
@given(date_sets, rules, st.randoms())
def test_order_and_repetition_of_dates_play_no_part(stack: list[date], rule: NetworkSettings, random) -> None:
    shuffled = [*stack, *stack[:3]]
    random.shuffle(shuffled)
    assert network(shuffled, (), rule) == network(stack, (), rule)


@settings(max_examples=80, deadline=None)
@given(date_sets, offsets, rules)
def test_a_new_date_anywhere_adds_only_its_own_pairs(stack: list[date], offset: int, rule: NetworkSettings) -> None:
    new = DAY0 + timedelta(days=offset)
    before = network([d for d in stack if d != new], (), rule)
    after = network([*stack, new], before, rule)
    assert before <= after
    assert all(new in p for p in after - before)


@settings(max_examples=60, deadline=None)
@given(date_sets, rules)
def test_planning_again_changes_nothing(stack: list[date], rule: NetworkSettings) -> None:
    once = network(stack, (), rule)
    assert network(stack, once, rule) == once


@settings(max_examples=60, deadline=None)
@given(date_sets, rules, st.data())
def test_dates_that_come_and_go(stack: list[date], rule: NetworkSettings, data) -> None:
    known: frozenset[Pair] = frozenset()
    for _ in range(4):
        usable = data.draw(st.lists(st.sampled_from(stack), unique=True)) if stack else []
        owed = network(usable, known, rule)
        assert {p for p in known if set(p) <= set(usable)} <= owed, "an existing pair between usable dates goes"
        assert all(set(p) <= set(usable) for p in owed)
        assert len(components(usable, owed)) == min(len(usable), 1)
        known |= owed


@settings(max_examples=60, deadline=None)
@given(date_sets, rules)
def test_no_date_has_more_pairs_than_the_rule_gives(stack: list[date], rule: NetworkSettings) -> None:
    owed = network(stack, (), rule)
    by_rule = rule.previous + rule.annual_pairs
    parts_joined = len(components(stack, _without_bridges(stack, owed, rule))) - 1 if stack else 0
    assert len(owed) <= len(stack) * by_rule + parts_joined
    if rule.max_days == 0:
        assert all(1 <= sum(p.date2 == day for p in owed) <= by_rule for day in sorted(stack)[1:])


def _without_bridges(stack: list[date], owed: frozenset[Pair], rule: NetworkSettings) -> set[Pair]:
    """Pairs that either rule explains: short enough, or near one year."""
    year = range(365 - rule.annual_tolerance_days, 365 + rule.annual_tolerance_days + 1)
    short = rule.max_days or 10_000
    return {p for p in owed if (p.date2 - p.date1).days <= short or (p.date2 - p.date1).days in year}


@settings(max_examples=60, deadline=None)
@given(date_sets)
def test_bridges_are_the_shortest_pairs(stack: list[date]) -> None:
    rule = NetworkSettings(previous=1, annual_pairs=0, max_days=1)
    ordered = sorted(stack)
    assert network(stack, (), rule) == {Pair(a, b) for a, b in pairwise(ordered)}
