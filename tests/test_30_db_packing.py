"""The arithmetic of grants."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from satdaemon.db.jobs.packing import Ask, Budget, Packing, pack
from satdaemon.db.jobs.reservation import Need, Shelf

AMOUNT = st.integers(1, 8).map(float)
NEED = st.tuples(AMOUNT, AMOUNT, AMOUNT)
ASK = st.builds(
    Ask,
    job_id=st.just(0),
    need=NEED,
    priority=st.integers(0, 3),
    frame_id=st.sampled_from("abc"),
    rank=st.integers(0, 2),
    passed_s=st.none() | st.floats(0, 100),
    lasts_s=st.none() | st.floats(1, 100),
    draws=st.lists(st.sampled_from(["slc", "disk"]), unique=True, max_size=2).map(
        lambda names: tuple((name, {"slc": 1.0, "disk": 2.5}[name]) for name in names)
    ),
)
ASKS = st.lists(ASK, max_size=25).map(lambda asks: [replace(ask, job_id=i) for i, ask in enumerate(asks)])
SHELVES = st.lists(NEED, min_size=1, max_size=4)


def shelf(name: str, *size: float, closed: str = "") -> Shelf:
    cpu, memory_gb, disk = size
    return Shelf(name, (cpu, memory_gb, disk), [cpu, memory_gb, disk], closed)


def budgets(slc: float = 3.0, disk: float = 9.0) -> dict[str, Budget]:
    return {
        "slc": Budget(slc, "at most so many slc jobs"),
        "disk": Budget(disk, "no space: needs {need} GB, {left} GB are free", is_blocking=True),
    }


def order(packing: Packing, asks: list[Ask]) -> list[str]:
    frame_of = {ask.job_id: ask.frame_id for ask in asks}
    return [frame_of[job_id] for job_id, _ in packing.given]


@given(ASKS, SHELVES, st.sampled_from([0.0, 50.0, 1000.0]))
@settings(deadline=None)
def test_whatever_is_asked_the_rules_are_kept(asks: list[Ask], sizes: list[Need], after_s: float) -> None:
    shelves, common = [shelf(str(i), *size) for i, size in enumerate(sizes)], budgets()
    packing = pack(asks, shelves, reserve_after_s=after_s, budgets=common)
    given_to = dict(packing.given)
    assert len(given_to) == len(packing.given)
    for s in shelves:  # no machine is given more than it has
        taken = [sum(asks[i].need[k] for i, name in given_to.items() if name == s.name) for k in range(3)]
        assert [a + b for a, b in zip(taken, s.free, strict=True)] == list(s.size) and min(s.free) >= 0
    for name, budget in common.items():  # limits are kept, and what was not used is left
        used = sum(amount for i in given_to for what, amount in asks[i].draws if what == name)
        assert budget.left >= 0 and budget.left + used == budgets()[name].left
    for ask in asks:
        if ask.job_id in given_to:
            assert ask.job_id not in packing.waits and ask.job_id not in packing.stuck
            continue
        said = packing.waits.get(ask.job_id, "") + packing.stuck.get(ask.job_id, "")
        if "no machine is so large" in said:
            assert not any(s.could_hold(ask.need) for s in shelves)
        elif said and "kept free" not in said:
            assert any(name in said or "space" in said for name, _ in ask.draws)
        else:  # no lower one has what it could have had
            for s in shelves:
                lower = [i for i, name in given_to.items() if name == s.name and asks[i].priority < ask.priority]
                room = [f + sum(asks[i].need[k] for i in lower) for k, f in enumerate(s.free)]
                assert s.name in packing.kept or not all(r >= n for r, n in zip(room, ask.need, strict=True))
    again = [shelf(str(i), *size) for i, size in enumerate(sizes)]
    assert pack(asks, again, reserve_after_s=after_s, budgets=budgets()) == packing


@given(st.data(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_big_job_is_not_starved_by_a_stream_of_small_ones(data: st.DataObject, predicted: bool) -> None:
    """However long the stream, the big job starts when what ran at its reservation has ended."""
    size: Need = (8.0, 8.0, 8.0)
    length = st.floats(1.0, 10.0)
    running: list[tuple[float, str, Need, float | None]] = []
    now, number, passed_at, longest = 0.0, 1, None, 10.0
    shelves: list[Shelf] = []
    while now < 300.0:
        running = [r for r in running if r[0] > now]
        shelves = [shelf(name, *size) for name in "ab"]
        for s in shelves:
            for _, name, need, says in running:
                if name == s.name:
                    s.free = [f - n for f, n in zip(s.free, need, strict=True)]
                    s.ends.append((None if says is None else max(says - now, 0.0), need))
        passed_s = None if passed_at is None else now - passed_at
        small = [
            Ask(number + i, (1.0, 1.0, 1.0), frame_id="small", rank=9, lasts_s=data.draw(length) if predicted else None)
            for i in range(20)
        ]
        packing = pack([*small, Ask(0, (8.0, 7.0, 1.0), frame_id="big", passed_s=passed_s)], shelves, reserve_after_s=20.0)
        given_to = dict(packing.given)
        if 0 in given_to:
            return
        if 0 in packing.passed:
            passed_at = now
        for ask in small:
            if ask.job_id in given_to:
                # Predictions are wrong, up to twofold, one way or the other.
                lasts = (ask.lasts_s or data.draw(length)) * data.draw(st.floats(0.5, 2.0))
                running.append((now + lasts, given_to[ask.job_id], ask.need, None if ask.lasts_s is None else now + ask.lasts_s))
        number += 20
        assert passed_at is None or now - passed_at <= 20.0 + 2 * 2 * longest + 2.0, "it starves"
        now += 1.0
    raise AssertionError("it starves")


def test_the_smallest_machine_that_fits_is_taken() -> None:
    shelves = [shelf("large", 8, 32, 100), shelf("small", 2, 4, 100)]
    assert pack([Ask(1, (1, 2, 10))], shelves, reserve_after_s=9).given == [(1, "small")]


def test_a_big_job_that_was_passed_long_ago_gets_a_machine_kept_free() -> None:
    shelves = [shelf("a", 4, 16, 100), shelf("b", 4, 8, 100)]
    shelves[0].take((3, 12, 50), None)
    asks = [Ask(1, (4, 16, 10), passed_s=700), Ask(2, (1, 1, 1)), Ask(3, (1, 1, 1))]
    packing = pack(asks, shelves, reserve_after_s=600)
    assert packing.kept == {"a": 1} and "kept free for it" in packing.waits[1]
    assert packing.given == [(2, "b"), (3, "b")]


def test_a_machine_that_is_kept_free_is_lent_to_what_ends_before() -> None:
    def packed(short_s: float | None) -> list[tuple[int, str]]:
        only = shelf("a", 4, 16, 100)
        only.take((2, 2, 2), 60.0)
        return pack([Ask(1, (4, 16, 10), passed_s=700), Ask(2, (1, 1, 1), lasts_s=short_s)], [only], reserve_after_s=600).given

    assert packed(50.0) == [(2, "a")]
    assert packed(70.0) == packed(None) == []


def test_what_a_kept_machine_can_spare_is_lent_to_anything() -> None:
    only = shelf("a", 4, 16, 100)
    only.take((2, 2, 2), None)
    asks = [Ask(1, (3, 10, 10), passed_s=700), Ask(2, (1, 1, 1)), Ask(3, (1, 1, 1))]
    assert pack(asks, [only], reserve_after_s=600).given == [(2, "a")]


def test_several_big_jobs_keep_several_machines_but_not_all() -> None:
    shelves = [shelf(name, 4, 16, 100) for name in "abcd"]
    for s in shelves:
        s.take((1, 1, 1), None)
    big = [Ask(i, (4, 16, 10), passed_s=700 - i) for i in range(3)]
    packing = pack([*big, Ask(9, (1, 1, 1))], shelves, reserve_after_s=600)
    assert sorted(packing.kept.values()) == [0, 1] and dict(packing.given)[9] not in packing.kept


def test_no_machine_is_kept_free_that_takes_nothing_or_never_suffices() -> None:
    shelves = [shelf("drained", 8, 32, 100, closed="draining"), shelf("a", 4, 16, 100), shelf("small", 1, 1, 100)]
    shelves[1].take((1, 1, 1), None)
    asks = [Ask(1, (8, 32, 10), passed_s=900), Ask(2, (4, 16, 10), passed_s=700), Ask(3, (1, 1, 1))]
    packing = pack(asks, shelves, reserve_after_s=600)
    assert packing.kept == {"a": 2} and "drained (draining)" in packing.stuck[1]
    assert packing.given == [(3, "small")]


def test_a_job_that_waits_for_a_limit_keeps_no_machine_free() -> None:
    asks = [Ask(1, (4, 4, 4), passed_s=900, draws=(("slc", 1.0),)), Ask(2, (1, 1, 1))]
    packing = pack(asks, [shelf("a", 4, 16, 100)], reserve_after_s=600, budgets=budgets(slc=0.0))
    assert packing.kept == {} and packing.waits == {1: "at most so many slc jobs"} and packing.given == [(2, "a")]


def test_a_job_behind_a_blocked_one_still_goes_and_has_passed_it() -> None:
    shelves = [shelf("a", 4, 16, 100)]
    shelves[0].take((3, 12, 50), None)
    packing = pack([Ask(1, (4, 16, 10)), Ask(2, (1, 1, 1)), Ask(3, (2, 1, 1))], shelves, reserve_after_s=600)
    assert packing.given == [(2, "a")] and packing.passed == [1]


def test_what_does_not_fit_on_the_disk_says_so_and_lets_others_go() -> None:
    asks = [Ask(1, (1, 1, 1), priority=5, draws=(("disk", 12.0),)), Ask(2, (1, 1, 1), draws=(("disk", 3.0),))]
    packing = pack(asks, [shelf("a", 4, 16, 100)], reserve_after_s=600, budgets=budgets(disk=3.0))
    assert packing.stuck == {1: "no space: needs 12 GB, 3 GB are free"} and packing.given == [(2, "a")]


def test_frames_of_equal_priority_take_turns() -> None:
    asks = [Ask(i, (1, 1, 1), frame_id="a", rank=9) for i in range(6)] + [Ask(10 + i, (1, 1, 1), frame_id="b") for i in range(6)]
    packing = pack(asks, [shelf("m", 8, 8, 8)], reserve_after_s=600)
    assert order(packing, asks) == list("abababab")
    packing = pack(asks, [shelf("m", 8, 8, 8)], reserve_after_s=600, holds={"a": (3.0, 1.0, 1.0)})
    assert order(packing, asks) == list("bbbababa")


def test_a_higher_priority_takes_all_before_a_lower_one_gets_any() -> None:
    asks = [Ask(1, (1, 1, 1), frame_id="low", rank=9)] + [Ask(10 + i, (1, 1, 1), frame_id="high", priority=1) for i in range(4)]
    assert order(pack(asks, [shelf("m", 4, 8, 8)], reserve_after_s=600), asks) == ["high"] * 4


def test_no_machines_at_all() -> None:
    assert "[PROC_MACHINES]" in pack([Ask(1, (1, 1, 1))], [], reserve_after_s=1).stuck[1]
