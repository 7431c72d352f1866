"""Leaving out and taking back ends where it began: pairs that stood in go, unless their work has begun."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from frames_made import FRAME, add_file, add_orbit, bursts, make_frame, master_date, plan, run_all, step
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from satdaemon.db import Database, Frame, Ifg, JobEvent, PendingJob, Product, RsarIfg, network, rows
from satdaemon.db.store import Store
from satdaemon.db.what_if import FrameChange, change_frame, what_if
from satdaemon.db.within import undone
from satdaemon.domain import Pair

WHO = "the test"


def pairs_of(db: Store, *conditions: object) -> set[Pair]:
    with db.read_scope() as session:
        found = session.execute(select(RsarIfg.date1, RsarIfg.date2).where(RsarIfg.proc_status != 5, *conditions))
        return {Pair(*row) for row in found}


def refresh(db: Store) -> network.NetworkReport:
    return db.write(lambda session: network.refresh(db, session, FRAME))


def chain(db: Database, count: int) -> list[date]:
    """A frame whose dates are each paired with the one before."""
    dates = make_frame(db, count)
    change_frame(db, FRAME, FrameChange({"previous": 1, "annual_pairs": 0}), who=WHO)
    assert pairs_of(db) == {Pair(*p) for p in pairwise(dates)}
    return dates


def test_a_pair_that_stood_in_goes_with_its_job_when_the_date_returns(database: Database) -> None:
    dates = chain(database, 5)
    out = next(d for d in dates[1:-1] if d != master_date(database))
    place = dates.index(out)
    bridge, before = Pair(dates[place - 1], dates[place + 1]), pairs_of(database)
    report = change_frame(database, FRAME, FrameChange(exclude=((out, None),), reason="snow"), who=WHO).dates
    assert report.pairs_added == [bridge] and pairs_of(database, RsarIfg.stand_in) == {bridge}
    plan_back = what_if(database, FRAME, FrameChange(include=((out, None),)))
    assert plan_back.dates.pairs_removed == [bridge]
    assert [e.keys for e in plan_back.effects.cancel] == 2 * [(f"{bridge.date1:%Y%m%d}_{bridge.date2:%Y%m%d}",)]
    assert pairs_of(database) != before, "a question changes nothing"
    (row,) = database.query(RsarIfg, date1=bridge.date1, date2=bridge.date2)
    for _ in range(30):
        if database.query(PendingJob, kind="rsar_ifg", row_id=row.id) or not step_but(database, row.id):
            break
    assert database.query(PendingJob, kind="rsar_ifg", row_id=row.id), "its job waits"
    report = change_frame(database, FRAME, FrameChange(include=((out, None),)), who=WHO, confirm=True).dates
    assert report.pairs_removed == [bridge] and report.warnings == []
    assert pairs_of(database) == before
    assert not database.query(PendingJob, kind="rsar_ifg", row_id=row.id)
    assert refresh(database) == network.NetworkReport(parts=1)


def step_but(db: Database, row_id: int) -> bool:
    """A round of the chain as long as the pair has no job."""
    plan(db, [FRAME])
    return bool(db.query(PendingJob, kind="rsar_ifg", row_id=row_id)) or bool(step(db, product=True))


def test_one_whose_work_has_begun_stays_and_that_is_said(database: Database) -> None:
    dates = chain(database, 5)
    out = next(d for d in dates[1:-1] if d != master_date(database))
    place, before = dates.index(out), pairs_of(database)
    bridge = Pair(dates[place - 1], dates[place + 1])
    change_frame(database, FRAME, FrameChange(exclude=((out, None),), reason="snow"), who=WHO)
    run_all(database, product=True)
    report = change_frame(database, FRAME, FrameChange(include=((out, None),)), who=WHO, confirm=True).dates
    assert report.pairs_removed == [] and pairs_of(database) == before | {bridge}
    assert f"stay, since their work has begun: {bridge.date1} {bridge.date2}" in report.warnings[0]
    assert any("since their work has begun" in str(event.message) for event in database.query(JobEvent, event="network"))
    assert database.update_procdates(FRAME).warnings == [], "said once; from now on it is a pair like any other"
    assert pairs_of(database) == before | {bridge}


def test_pairs_of_a_history_are_not_stand_ins(database: Database) -> None:
    """A date that arrives late in the middle leaves the pair across it; so does leaving another date out and taking it back."""
    early = chain(database, 4)
    late = early[1] + timedelta(days=5)
    add_file(database, datetime(late.year, late.month, late.day, 6, 14, tzinfo=UTC), bursts())
    add_orbit(database, late)
    database.update_procdates(FRAME)
    before = pairs_of(database)
    assert Pair(early[1], early[2]) in before and Pair(early[1], late) in before
    day = next(d for d in early if d != master_date(database))
    for change in (FrameChange(exclude=((day, None),), reason="snow"), FrameChange(include=((day, None),))):
        change_frame(database, FRAME, change, who=WHO)
    assert pairs_of(database) == before


moves = st.lists(st.tuples(st.sampled_from(["date", "date", "pair", "begin"]), st.integers(0, 30)), min_size=1, max_size=7)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), previous=st.integers(1, 2))
@pytest.mark.parametrize("count", [7])
def test_any_order_of_leaving_out_and_taking_back_gives_the_plain_network_and_what_was_begun(
    database: Database, count: int, data: st.DataObject, previous: int
) -> None:
    if not database.query(Frame, id=FRAME):
        make_frame(database, count)
    script = data.draw(moves)

    def tried(store: Store) -> None:
        with store.session_scope() as session:
            session.execute(update(Frame).values(previous=previous, annual_pairs=0))
            network.narrow(store, session, FRAME)
        refresh(store)
        plain, begun = pairs_of(store), set[Pair]()
        with store.read_scope() as session:
            dates = sorted(session.scalars(select(Ifg.date)))
        out: list[tuple[date, date | None]] = []
        for what, number in script:
            if what == "begin":
                waiting = sorted(pairs_of(store, RsarIfg.proc_stage == 1))
                pair = waiting[number % len(waiting)]
                begun.add(pair)
                make(store, pair)
                continue
            row = (dates[number % len(dates)], None) if what == "date" else tuple(sorted(plain)[number % len(plain)])
            toggle(store, row, out)
            refresh(store)
            again = refresh(store)
            assert again == network.NetworkReport(parts=again.parts, warning=again.warning), "nothing is left to do"
        for row in data.draw(st.permutations(out)):
            rows.include(store, FRAME, *row, who=WHO)
            refresh(store)
        assert pairs_of(store) == plain | begun
        assert not pairs_of(store, RsarIfg.stand_in)

    undone(database, tried)


def make(store: Store, pair: Pair) -> None:
    """Coherence and unwrapping of a pair are done, with products: what is begun but left nothing may go."""
    key = f"{pair.date1:%Y%m%d}_{pair.date2:%Y%m%d}"
    facts = {"path": key, "files": 1, "bytes": 1, "checksum": "x", "processor": "x", "processor_version": "1"}
    more = {"fingerprint": "x", "inputs": {}, "job_id": 1, "attempt": 1}
    with store.session_scope() as session:
        row = (RsarIfg.date1 == pair.date1, RsarIfg.date2 == pair.date2)
        session.execute(update(RsarIfg).where(*row).values(proc_stage=2, proc_status=2))
        for stage in ("coherence", "unwrap"):
            session.add(Product(frame_id=FRAME, stage=stage, key=key, kind="rsar_ifg", **facts, **more))


def toggle(store: Store, row: tuple[date, date | None], out: list[tuple[date, date | None]]) -> None:
    if row in out:
        rows.include(store, FRAME, *row, who=WHO)
        out.remove(row)
    else:
        rows.exclude(store, FRAME, *row, reason="snow", who=WHO)
        out.append(row)
