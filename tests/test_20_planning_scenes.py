"""Newest product of an acquisition; the date of a pass."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.domain import Scene
from satdaemon.planning import acquisition, newest_products, same_acquisition, split_dates

T0 = datetime(2023, 1, 8, 13, 52, 49, tzinfo=UTC)


def scene(
    start: datetime = T0,
    seconds: float = 27,
    *,
    crc: str = "BA76",
    proc: datetime | None = None,
    platform: str = "S1A",
    orbit: int = 46693,
) -> Scene:
    stop = start + timedelta(seconds=seconds)
    name = f"{platform}_IW_SLC__1SDV_{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}_{orbit:06d}_0598D3_{crc}"
    return Scene(name, start.date(), start, stop, platform, orbit, 132, "A", proc, f"file:///{name}.zip")


def test_the_first_62_characters_name_the_acquisition() -> None:
    assert acquisition(scene().id) == "S1A_IW_SLC__1SDV_20230108T135249_20230108T135316_046693_0598D3"


def test_the_newest_processing_wins_not_the_last_name() -> None:
    old = scene(crc="FFFF", proc=T0 + timedelta(days=1))
    new = scene(crc="0000", proc=T0 + timedelta(days=300))
    assert newest_products([old, new]) == newest_products([new, old]) == [new]


def test_start_and_stop_may_shift_by_a_second() -> None:
    old = scene(proc=T0)
    new = scene(T0 + timedelta(seconds=1), crc="1111", proc=T0 + timedelta(days=9))
    assert same_acquisition(old, new)
    assert newest_products([old, new]) == [new]


def test_consecutive_slices_other_satellites_and_other_orbits_are_kept_apart() -> None:
    first, second = scene(), scene(T0 + timedelta(seconds=25), crc="2222")
    other = scene(platform="S1B", crc="3333")
    later = scene(T0 + timedelta(days=12), orbit=46868)
    assert newest_products([second, later, first, other]) == [first, other, second, later]


def test_an_unknown_processing_time_counts_as_the_oldest() -> None:
    assert newest_products([scene(crc="FFFF"), scene(crc="0000", proc=T0)])[0].id.endswith("0000")
    assert newest_products([scene(crc="AAAA"), scene(crc="BBBB")])[0].id.endswith("BBBB")


def test_a_resliced_product_replaces_one_whose_bursts_it_all_has() -> None:
    old = scene(proc=T0)
    new = scene(T0 - timedelta(seconds=8), 40, crc="4444", proc=T0 + timedelta(days=99))
    assert len(newest_products([old, new])) == 2
    assert newest_products([old, new], {old.id: ["b1", "b2"], new.id: ["b0", "b1", "b2"]}) == [new]
    assert len(newest_products([old, new], {old.id: ["b1", "b3"], new.id: ["b0", "b1"]})) == 2
    assert len(newest_products([old, new], {new.id: ["b0"]})) == 2, "nothing known of the old one"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12, unique=True), st.randoms())
def test_one_of_each_acquisition_whatever_the_order(made: list[tuple[int, int]], random) -> None:
    scenes = [scene(T0 + timedelta(days=12 * d), crc=f"{k:04X}", proc=T0 + timedelta(days=k)) for d, k in made]
    expected = {d: max(k for e, k in made if e == d) for d, _ in made}
    random.shuffle(scenes)
    got = newest_products(scenes)
    assert [s.id[-4:] for s in got] == [f"{expected[d]:04X}" for d in sorted(expected)]


def test_a_pass_across_midnight_is_one_date() -> None:
    midnight = datetime(2023, 1, 9, tzinfo=UTC)
    first, second = scene(midnight - timedelta(seconds=30)), scene(midnight - timedelta(seconds=5), crc="2222")
    third = scene(midnight + timedelta(seconds=20), crc="3333")
    assert split_dates([third, first, second]) == {date(2023, 1, 8): [first, second, third]}


def test_the_frames_first_burst_gives_the_date_not_the_file() -> None:
    midnight = datetime(2023, 1, 9, tzinfo=UTC)
    only = scene(midnight - timedelta(seconds=10))
    assert list(split_dates([only], {only.id: midnight + timedelta(seconds=2)})) == [date(2023, 1, 9)]


def test_dates_are_sorted_and_passes_of_two_satellites_stand_apart() -> None:
    one, other = scene(T0 + timedelta(days=6), platform="S1B"), scene(T0)
    assert split_dates([one, other]) == {date(2023, 1, 8): [other], date(2023, 1, 14): [one]}


def test_two_passes_on_one_date_keep_the_longer() -> None:
    short = scene(datetime(2023, 1, 9, 0, 0, 1, tzinfo=UTC))
    first = scene(datetime(2023, 1, 9, 23, 59, 0, tzinfo=UTC), platform="S1C")
    second = scene(datetime(2023, 1, 9, 23, 59, 25, tzinfo=UTC), platform="S1C", crc="2222")
    assert split_dates([short, first, second]) == {date(2023, 1, 9): [first, second]}
