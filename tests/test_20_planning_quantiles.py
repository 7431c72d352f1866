"""Quantiles kept in little room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from satdaemon.planning.quantiles import MOST, add, quantile, round_up_gb, size_class

VALUES = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=60)


@given(VALUES, st.floats(0.05, 1.0))
def test_a_quantile_is_not_below_the_true_one_and_at_most_a_bin_above(values: list[float], share: float) -> None:
    counts: dict[str, float] = {}
    for value in values:
        counts = add(counts, value)
    true = next(v for i, v in enumerate(sorted(values), start=1) if i >= share * len(values) - 1e-9)
    found = quantile(counts, share)
    assert found is not None and true * 0.999999 <= found <= true * 2 ** (1 / 8) * 1.000001


def test_what_is_seen_now_decides_in_time() -> None:
    counts: dict[str, float] = {}
    for _ in range(1000):
        counts = add(counts, 1.0)
    assert sum(counts.values()) <= MOST
    for _ in range(int(MOST)):
        counts = add(counts, 64.0)
    assert (quantile(counts, 0.5) or 0.0) >= 64.0


def test_nothing_seen_has_no_quantile_and_zero_counts_as_little() -> None:
    assert quantile({}, 0.5) is None
    assert (quantile(add({}, 0.0), 1.0) or 1.0) < 0.01


@given(st.floats(0.01, 4000))
def test_memory_is_rounded_up_and_not_far(amount_gb: float) -> None:
    assert amount_gb - 1e-6 <= round_up_gb(amount_gb) <= amount_gb + max(0.05, 0.25 * amount_gb)
    assert round_up_gb(round_up_gb(amount_gb)) == round_up_gb(amount_gb)


def test_classes_double() -> None:
    assert [size_class(n) for n in (0, 1, 2, 3, 4, 7, 8, 27, 64)] == [0, 0, 1, 1, 2, 2, 3, 4, 6]
