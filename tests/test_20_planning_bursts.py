"""Matching of bursts, and what a date that lacks some is good for."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.domain import Burst, Frame
from satdaemon.errors import RequestError
from satdaemon.planning import along_track, anx_difference, anx_matches, coverage, match_bursts
from satdaemon.planning.bursts import ORBIT_DS


def square(lon: float, lat: float, size: float = 1.0) -> tuple[tuple[float, float], ...]:
    return ((lon, lat), (lon + size, lat), (lon + size, lat + size), (lon, lat + size))


def burst(anx: float, swath: str = "IW1", track: int = 132, **more) -> Burst:
    wrapped = round(anx % ORBIT_DS)
    return Burst(f"{track}_{wrapped}_{swath}", track, "A", wrapped, swath, **more)


def frame(*bursts: Burst) -> Frame:
    return Frame("132A_TEST", 132, "A", bursts)


def test_ids_that_differ_by_up_to_three_match_and_neighbours_do_not() -> None:
    wanted = [burst(8566 + 27.58 * i) for i in range(4)]
    for shift in (-3, -1, 0, 1, 3):
        found = [burst(b.anx + shift) for b in wanted]
        assert match_bursts(wanted, found) == {w.id: f.id for w, f in zip(wanted, found, strict=True)}
    assert match_bursts(wanted, [burst(b.anx + 4) for b in wanted]) == {}


def test_swath_and_track_must_agree() -> None:
    assert not anx_matches(burst(8600), burst(8600, "IW2"))
    assert not anx_matches(burst(8600), burst(8600, track=131))


@pytest.mark.parametrize(("one", "other", "difference"), [(0, 59245, 0.714), (59244, 1, -2.714), (10, 7, 3)])
def test_times_wrap_at_one_orbit(one: float, other: float, difference: float) -> None:
    assert anx_difference(one, other) == pytest.approx(difference, abs=1e-3)


def test_a_burst_on_the_node_matches_across_the_step_of_the_track_number() -> None:
    assert anx_matches(burst(59245, track=174), burst(0, track=175))
    assert anx_matches(burst(0, track=1), burst(59245, track=175))
    assert not anx_matches(burst(59245, track=175), burst(0, track=174))


def test_a_wrong_anx_time_is_found_out_by_the_footprint() -> None:
    wanted = burst(8603, footprint=square(10, 50))
    assert match_bursts([wanted], [burst(8603, footprint=square(40, -20))]) == {}
    assert match_bursts([wanted], [burst(8604, footprint=square(10.05, 50.02))]) != {}
    # A tenth in common is what neighbours have.
    assert match_bursts([wanted], [burst(8603, footprint=square(10, 50.9))]) == {}


def test_footprints_across_the_180th_meridian() -> None:
    wanted = burst(8603, footprint=((179.5, 0), (-179.5, 0), (-179.5, 1), (179.5, 1)))
    found = burst(8603, footprint=((179.6, 0), (-179.4, 0), (-179.4, 1), (179.6, 1)))
    assert match_bursts([wanted], [found]) == {wanted.id: found.id}
    opposite = burst(8603, footprint=((-0.5, 0), (0.5, 0), (0.5, 1), (-0.5, 1)))
    assert match_bursts([wanted], [opposite]) == match_bursts([opposite], [wanted]) == {}


def test_an_equal_esa_id_wins_over_a_time_that_is_off() -> None:
    wanted = burst(8603, esa_id=281000, footprint=square(10, 50))
    found = burst(8650, esa_id=281000, footprint=square(10, 50))
    assert match_bursts([wanted], [found]) == {wanted.id: found.id}
    assert match_bursts([wanted], [replace(found, footprint=square(60, 10))]) == {}
    assert match_bursts([wanted], [replace(found, swath="IW2")]) == {}


def test_of_several_the_nearest_and_none_twice() -> None:
    assert match_bursts([burst(100)], [burst(98), burst(101)]) == {"132_100_IW1": "132_101_IW1"}
    got = match_bursts([burst(100), burst(102)], [burst(101)])
    assert got == {"132_100_IW1": "132_101_IW1"}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 59245), st.integers(2, 9), st.lists(st.integers(-3, 3), min_size=27, max_size=27), st.randoms())
def test_any_jitter_anywhere_on_the_orbit(start: int, count: int, jitter: list[int], random) -> None:
    swaths = ("IW1", "IW2", "IW3")
    wanted = [burst(start + 27.58 * i, s) for i in range(count) for s in swaths]
    found = [burst(start + 27.58 * i + jitter[3 * i + k] * 0.8, s) for i in range(count) for k, s in enumerate(swaths)]
    expected = {w.id: f.id for w, f in zip(wanted, found, strict=True)}
    random.shuffle(found)
    assert match_bursts(wanted, found) == expected


@given(st.integers(0, 59245), st.integers(1, 12), st.randoms())
def test_order_along_the_track_across_the_node(start: int, count: int, random) -> None:
    bursts = [burst(start + 27.58 * i) for i in range(count)]
    shuffled = list(bursts)
    random.shuffle(shuffled)
    assert along_track(shuffled) == bursts


NINE = [burst(100 + 27.58 * i, s) for s in ("IW1", "IW2", "IW3") for i in range(3)]


def test_all_present() -> None:
    got = coverage(frame(*NINE), [b.id for b in NINE], 1.0)
    assert (got.usable, got.missing, got.share) == (True, (), 1.0)
    assert got.reason == "all 9 bursts present"


@pytest.mark.parametrize("place", [0, 2])
def test_a_burst_lacking_at_the_end_of_a_swath_is_no_obstacle(place: int) -> None:
    got = coverage(frame(*NINE), [b.id for i, b in enumerate(NINE) if i != place], 0.8)
    assert got.usable and got.missing == (NINE[place].id,)
    assert f"8 of 9 bursts (89%) present, burst {NINE[place].id} missing at a swath's end" in got.reason


def test_an_interior_burst_lacking_makes_it_unusable_whatever_the_share() -> None:
    got = coverage(frame(*NINE), [b.id for i, b in enumerate(NINE) if i != 4], 0.1)
    assert not got.usable
    assert got.reason.startswith(f"burst {NINE[4].id} missing in the interior")


def test_too_small_a_share_says_what_is_asked_for() -> None:
    got = coverage(frame(*NINE), [b.id for i, b in enumerate(NINE) if i % 3], 0.8)
    assert not got.usable
    assert "67%" in got.reason and "expected at least 80% (min_coverage)" in got.reason


def test_exactly_the_smallest_share_is_enough() -> None:
    ten = [burst(100 + 27.58 * i) for i in range(10)]
    assert coverage(frame(*ten), [b.id for b in ten[2:]], 0.8).usable


def test_a_whole_swath_lacking_is_interior_only_between_others() -> None:
    ids = {s: [b.id for b in NINE if b.swath == s] for s in ("IW1", "IW2", "IW3")}
    assert not coverage(frame(*NINE), ids["IW1"] + ids["IW3"], 0.5).usable
    assert coverage(frame(*NINE), ids["IW1"] + ids["IW2"], 0.5).usable


def test_none_present_and_foreign_ids() -> None:
    assert coverage(frame(*NINE), [], 0.5).reason == "none of the frame's 9 bursts is present"
    with pytest.raises(RequestError, match="expected ids of its own bursts, got burst 132_1_IW1"):
        coverage(frame(*NINE), ["132_1_IW1"], 0.5)
    with pytest.raises(RequestError, match="at least one burst"):
        coverage(frame(), [], 0.5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 59245), st.integers(1, 8), st.sets(st.integers(0, 7)))
def test_usable_exactly_where_what_is_left_is_in_one_piece(start: int, count: int, lacking: set[int]) -> None:
    bursts = [burst(start + 27.58 * i) for i in range(count)]
    places = [i for i in range(count) if i not in lacking]
    got = coverage(frame(*bursts), [bursts[i].id for i in places], 0.01)
    in_one_piece = bool(places) and places[-1] - places[0] == len(places) - 1
    assert got.usable == in_one_piece
