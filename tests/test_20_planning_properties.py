"""Promises of the planning rules that must hold for any frame: network, master, bursts, valid files."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from satdaemon.config import NetworkSettings
from satdaemon.domain import Burst, Pair, Scene
from satdaemon.errors import NotReady, RequestError
from satdaemon.planning import (
    MasterCandidate,
    anx_matches,
    choose_master,
    components,
    joining,
    match_bursts,
    network,
    newest_products,
    same_acquisition,
    split_dates,
)
from satdaemon.planning.bursts import ORBIT_DS

DAY0 = date(2016, 1, 1)
stacks = st.sets(st.integers(0, 1200), max_size=18).map(lambda s: sorted(DAY0 + timedelta(days=d) for d in s))
rules = st.builds(
    NetworkSettings,
    previous=st.integers(1, 4),
    annual_pairs=st.integers(0, 2),
    annual_tolerance_days=st.integers(1, 40),
    max_days=st.sampled_from([0, 12, 60]),
)


def some_pairs(data: st.DataObject, stack: list[date]) -> frozenset[Pair]:
    every = [Pair(*p) for p in combinations(stack, 2)]
    return frozenset(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else frozenset()


@settings(max_examples=80, deadline=None)
@given(stacks, rules, st.data())
def test_with_any_pairs_left_out_it_is_as_connected_as_it_can_be(stack: list[date], rule: NetworkSettings, data) -> None:
    never = some_pairs(data, stack)
    owed = network(stack, (), rule, never)
    assert not owed & never
    allowed = {Pair(*p) for p in combinations(stack, 2)} - never
    assert components(stack, owed) == components(stack, allowed)
    parts = components(stack, owed)
    ties = joining(parts, never)
    assert bool(ties) == (len(parts) > 1)
    for tie in ties[:3]:
        assert len(components(stack, network(stack, owed, rule, never - {tie}))) < len(parts), "it would join two parts"


@settings(max_examples=60, deadline=None)
@given(stacks, rules, st.data())
def test_what_exists_stays_and_nothing_else_comes_but_the_rule_and_bridges(
    stack: list[date], rule: NetworkSettings, data
) -> None:
    present = some_pairs(data, stack)
    alone, with_present = network(stack, (), rule), network(stack, present, rule)
    assert present <= with_present
    assert with_present - present <= alone, "pairs that are there never call for others"


@settings(max_examples=60, deadline=None)
@given(stacks, rules, st.integers(0, 3000))
def test_moved_in_time_as_a_whole_it_is_the_same_network(stack: list[date], rule: NetworkSettings, by: int) -> None:
    shift = timedelta(days=by)
    assert network([d + shift for d in stack], (), rule) == {
        Pair(p.date1 + shift, p.date2 + shift) for p in network(stack, (), rule)
    }


def test_five_hundred_dates_in_a_moment_and_connected() -> None:
    stack = [DAY0 + timedelta(days=6 * i + (400 if i > 250 else 0)) for i in range(500)]
    got = network(stack, (), NetworkSettings(max_days=24))
    assert len(components(stack, got)) == 1
    assert sum((p.date2 - p.date1).days > 24 for p in got) <= 2 * 500 + 1


candidates = st.builds(
    MasterCandidate,
    st.integers(0, 700).map(lambda d: DAY0 + timedelta(days=d)),
    st.sampled_from([5, 6, 6, 6]),
    st.just(6),
    st.sampled_from([True, True, True, False]),
    st.floats(-300, 300) | st.none(),
)
candidate_lists = st.lists(candidates, min_size=1, max_size=15, unique_by=lambda c: c.date)


@settings(max_examples=80, deadline=None)
@given(candidate_lists, st.integers(0, 900), st.integers(0, 100))
def test_a_master_is_whole_precise_and_old_enough(stack: list[MasterCandidate], now: int, after: int) -> None:
    today = DAY0 + timedelta(days=now)
    eligible = {c.date for c in stack if c.has_poeorb and c.bursts_present == 6 and (today - c.date).days >= after}
    try:
        choice = choose_master(stack, today, reference_after_days=after)
    except NotReady:
        assert not eligible
        return
    assert choice.date in eligible


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=15, unique=True))
def test_of_equal_dates_none_is_nearer_to_all_others(offsets: list[int]) -> None:
    days = [DAY0 + timedelta(days=d) for d in offsets]
    chosen = choose_master([MasterCandidate(d, 6, 6, True) for d in days], date(2030, 1, 1)).date

    def sum_days(day: date) -> int:
        return sum(abs((day - other).days) for other in days)

    assert sum_days(chosen) == min(map(sum_days, days))
    assert chosen == min(d for d in days if sum_days(d) == sum_days(chosen))


@settings(max_examples=60, deadline=None)
@given(candidate_lists, st.data())
def test_the_users_date_wins_where_it_is_one(stack: list[MasterCandidate], data) -> None:
    wish = data.draw(st.sampled_from(stack)).date
    assert choose_master(stack, date(2030, 1, 1), user_date=wish).date == wish
    with pytest.raises(RequestError, match="expected a date of the frame"):
        choose_master(stack, date(2030, 1, 1), user_date=date(1999, 1, 1))


bursts = st.builds(
    lambda anx, swath, track, jitter: Burst(
        f"{track}_{anx}_{swath}_{jitter}", track, "A", (anx * 28 + jitter) % round(ORBIT_DS), swath
    ),
    st.integers(0, 2100),
    st.sampled_from(["IW1", "IW2", "IW3"]),
    st.sampled_from([1, 132, 133, 175]),
    st.integers(-3, 3),
)
burst_lists = st.lists(bursts, max_size=12, unique_by=lambda b: b.id)


@settings(max_examples=80, deadline=None)
@given(burst_lists, burst_lists, st.randoms())
def test_matching_is_one_to_one_whole_and_blind_to_order(wanted: list[Burst], found: list[Burst], random) -> None:
    got = match_bursts(wanted, found)
    mine, theirs = {b.id: b for b in wanted}, {b.id: b for b in found}
    assert len(set(got.values())) == len(got)
    assert all(anx_matches(mine[w], theirs[f]) for w, f in got.items())
    lonely = [(w, f) for w in wanted for f in found if anx_matches(w, f) and w.id not in got and f.id not in got.values()]
    assert lonely == [], "two that fit and are both free are matched"
    shuffled = (list(wanted), list(found))
    for some in shuffled:
        random.shuffle(some)
    assert match_bursts(*shuffled) == got


@settings(max_examples=60, deadline=None)
@given(burst_lists)
def test_every_set_of_bursts_matches_itself(some: list[Burst]) -> None:
    assume(all(not anx_matches(a, b) for a, b in combinations(some, 2)))
    assert match_bursts(some, some) == {b.id: b.id for b in some}


def scene(day: int, second: int, proc: int, platform: str, crc: int) -> Scene:
    start = datetime(2023, 1, 1, 23, 59, 40, tzinfo=UTC) + timedelta(days=day, seconds=second)
    stop = start + timedelta(seconds=27)
    name = f"{platform}_IW_SLC__1SDV_{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}_{day:06d}_0598D3_{crc:04X}"
    made = start + timedelta(days=proc)
    return Scene(name, start.date(), start, stop, platform, day, 132, "A", made, f"file:///{name}.zip")


scenes = st.lists(
    st.builds(
        scene,
        st.integers(0, 4).map(lambda k: 12 * k),
        st.sampled_from([0, 1, 25, 26, 50]),
        st.integers(0, 900),
        st.sampled_from(["S1A", "S1C"]),
        st.integers(0, 9),
    ),
    max_size=14,
    unique_by=lambda s: s.id,
)


@settings(max_examples=80, deadline=None)
@given(scenes)
def test_of_each_acquisition_the_newest_stays_and_each_left_out_one_has_a_newer(made: list[Scene]) -> None:
    kept = newest_products(made)
    assert not any(same_acquisition(a, b) for a, b in combinations(kept, 2))
    for gone in [s for s in made if s not in kept]:
        assert any(same_acquisition(gone, k) and (k.proc_utc, k.id) > (gone.proc_utc, gone.id) for k in kept)
    assert newest_products(kept) == kept


@settings(max_examples=80, deadline=None)
@given(scenes, st.randoms())
def test_a_pass_is_never_split_and_dates_hold_one_satellite(made: list[Scene], random) -> None:
    valid = newest_products(made)
    dates = split_dates(valid)
    shuffled = list(valid)
    random.shuffle(shuffled)
    assert {day: set(some) for day, some in split_dates(shuffled).items()} == {day: set(some) for day, some in dates.items()}
    assert list(dates) == sorted(dates)
    for day, some in dates.items():
        assert len({s.platform for s in some}) == 1
        assert day == min(s.start_utc for s in some).date()
    pass_of = [{(s.platform, s.absolute_orbit) for s in some} for some in dates.values()]
    assert all(len(p) == 1 for p in pass_of) and len({next(iter(p)) for p in pass_of}) == len(pass_of)
