"""What the time from sensing to points went to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satdaemon.planning.latency import ARCHIVE, MILESTONES, ORBIT, Spell, in_words, latency

SENSED = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY = 86400.0


def after(hours: float) -> datetime:
    return SENSED + timedelta(hours=hours)


def test_the_late_part_is_named() -> None:
    moments = {"sensed": SENSED, "published": after(3), "known": after(6), "download": after(70), "slc": after(71)}
    spells = [
        Spell(after(6.5), after(68.5), ORBIT),
        Spell(after(69), after(70), "download running"),
        Spell(after(70.5), after(71), "slc running"),
    ]
    found = latency(moments, spells)
    assert found.parts == {
        "until it was published": 3 * 3600, "until it was found": 3 * 3600, "download queued": 3600, ORBIT: 62 * 3600,
        "download running": 3600, "slc queued": 1800, "slc running": 1800,
    }  # fmt: skip
    assert (found.late_part, found.is_whole) == (ORBIT, False)
    assert str(found) == "3.0 d so far: 2.6 d waiting for the orbit"


def test_milestones_out_of_order_take_no_time_and_unknown_ones_none() -> None:
    found = latency({"sensed": SENSED, "published": after(9), "known": after(6), "ingest": after(10)})
    assert found.parts == {"until it was published": 9 * 3600, "ingest queued": 3600} and found.is_whole
    assert str(latency({"known": SENSED})) == "not known" and latency({"sensed": SENSED}).late_part == ""


@given(
    st.dictionaries(st.sampled_from(MILESTONES[1:]), st.floats(0, 500)),
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500), st.sampled_from((ORBIT, ARCHIVE, "slc running")))),
)
def test_the_parts_add_up(times: dict[str, float], waits: list[tuple[float, float, str]]) -> None:
    moments = {"sensed": SENSED, **{name: after(hours) for name, hours in times.items()}}
    found = latency(moments, [Spell(after(min(a, b)), after(max(a, b)), part) for a, b, part in waits])
    assert found.total_s == pytest.approx(max(times.values(), default=0.0) * 3600, abs=1e-3)
    assert all(seconds > 0 for seconds in found.parts.values())


@pytest.mark.parametrize(("seconds", "words"), [(3.1 * DAY, "3.1 d"), (5400, "1.5 h"), (720, "12 min"), (40, "40 s")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
