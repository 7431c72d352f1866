"""The arithmetic of grants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from satdaemon.db.jobs.packing import Ask, Shelf, pack

AMOUNT = st.integers(1, 8).map(float)
NEED = st.tuples(AMOUNT, AMOUNT, AMOUNT)


def shelf(name: str, *size: float, closed: str = "") -> Shelf:
    cpu, memory_gb, disk = size
    return Shelf(name, (cpu, memory_gb, disk), [cpu, memory_gb, disk], closed)


@given(st.lists(NEED, max_size=20), st.lists(NEED, min_size=1, max_size=4), st.floats(0, 100), st.floats(0, 100))
def test_nothing_is_over_committed_and_nothing_that_fits_is_left(
    needs: list[tuple[float, float, float]], sizes: list[tuple[float, float, float]], waited_s: float, after_s: float
) -> None:
    shelves = [shelf(str(i), *size) for i, size in enumerate(sizes)]
    packing = pack([Ask(i, need, waited_s) for i, need in enumerate(needs)], shelves, reserve_after_s=after_s)
    given_to = dict(packing.given)
    for s in shelves:
        assert min(s.free) >= 0
        taken = [sum(needs[i][k] for i, name in given_to.items() if name == s.name) for k in range(3)]
        assert [a + b for a, b in zip(taken, s.free, strict=True)] == list(s.size)
    for i, need in enumerate(needs):
        if i not in given_to and i not in packing.reasons:
            assert not any(s.holds(need) for s in shelves if s.name != packing.reserved)
        if i in packing.reasons:
            assert not any(s.could_hold(need) for s in shelves)


def test_the_smallest_machine_that_fits_is_taken() -> None:
    shelves = [shelf("large", 8, 32, 100), shelf("small", 2, 4, 100)]
    assert pack([Ask(1, (1, 2, 10), 0)], shelves, reserve_after_s=9).given == [(1, "small")]


def test_a_big_job_that_waits_long_gets_a_machine_kept_free() -> None:
    shelves = [shelf("a", 4, 16, 100), shelf("b", 4, 8, 100)]
    shelves[0].free = [1.0, 4.0, 50.0]
    asks = [Ask(1, (4, 16, 10), 700), Ask(2, (1, 1, 1), 0), Ask(3, (1, 1, 1), 0)]
    packing = pack(asks, shelves, reserve_after_s=600)
    assert packing.reserved == "a"
    assert packing.given == [(2, "b"), (3, "b")]


def test_a_job_behind_a_blocked_one_still_goes() -> None:
    shelves = [shelf("a", 4, 16, 100)]
    shelves[0].free = [1.0, 4.0, 50.0]
    assert pack([Ask(1, (4, 16, 10), 1), Ask(2, (1, 1, 1), 0)], shelves, reserve_after_s=600).given == [(2, "a")]


def test_no_machines_at_all() -> None:
    assert "[PROC_MACHINES]" in pack([Ask(1, (1, 1, 1), 0)], [], reserve_after_s=1).reasons[1]
