"""What a change of a frame would do is exactly what it does, and asking changes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from frames_made import FRAME, add_file, bursts, ifg, make_frame, master_date, plan, run_all, step
from sqlalchemy import select
from sqlalchemy.orm import Session

from satdaemon.db import Database, Frame, Ifg, JobEvent, Product, RsarIfg, jobs
from satdaemon.db.effects import Effects
from satdaemon.db.models import Base
from satdaemon.db.store import Store
from satdaemon.db.what_if import FrameChange, change_frame, what_if
from satdaemon.db.within import at_once
from satdaemon.errors import DatabaseUnavailable, NeedsConfirmation, RequestError
from satdaemon.status import ProcStatus, RowKind, Stage


def everything(db: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with db.read_scope() as session:
        tables = Base.metadata.sorted_tables
        return {t.name: sorted((tuple(row) for row in session.execute(select(t))), key=repr) for t in tables}


def titles(effects: Effects, *names: str) -> list[str]:
    """What the effects say will be made, as titles of jobs."""
    found = []
    for name in names or ("make", "redo", "owed"):
        for effect in getattr(effects, name):
            keys = [key.replace("_", "-") for key in effect.keys]
            found += [f"{effect.stage} {FRAME} {key}".removesuffix(" frame") for key in keys]
    return sorted(found)


def pairs(db: Database) -> set[tuple[date, date]]:
    return {(r.date1, r.date2) for r in db.query(RsarIfg, frame_id=FRAME)}


def new_date(db: Database, dates: list[date]) -> date:
    day = dates[-1] + timedelta(days=12)
    add_file(db, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), bursts())
    return day


def test_asking_changes_nothing(database: Database) -> None:
    dates = make_frame(database, 6)
    run_all(database, product=True)
    new_date(database, dates)
    before = everything(database)
    secondary = [d for d in dates if d != master_date(database)]
    for change in (
        FrameChange(),
        FrameChange(master=secondary[0]),
        FrameChange({"previous": 5, "min_coverage": 0.5}, exclude=((secondary[1], None),), reason="snow"),
        FrameChange({"start_date": dates[1], "end_date": dates[4]}),
    ):
        what_if(database, FRAME, change)
        assert everything(database) == before
    with pytest.raises(NeedsConfirmation):
        change_frame(database, FRAME, FrameChange(master=secondary[0]), who="ada")
    assert everything(database) == before


def test_of_a_frame_that_is_off_and_has_nothing_all_is_told(database: Database) -> None:
    dates = make_frame(database, 4, on=False)
    found = what_if(database, FRAME)
    assert not found.effects.make and len(titles(found.effects, "owed")) == 4 * 3 + 6 * 2 + 3
    assert any("switched off" in note for note in found.notes)
    assert not database.query(Frame)[0].processing
    assert {e.cpu_h for e in found.effects.owed} == {None}, "nothing is known of costs yet"
    new_date(database, dates)
    assert len(titles(what_if(database, FRAME).effects, "make")) == 3 + 3 * 2


def test_a_new_date_makes_exactly_what_was_told(database: Database) -> None:
    dates = make_frame(database, 5)
    run_all(database, product=True)
    day = new_date(database, dates)
    told = what_if(database, FRAME)
    assert told.dates.added == [day] and not told.effects.loses_work
    assert [e.keys for e in told.effects.make if e.stage is Stage.SATSAR] == [(f"{day:%Y%m%d}",)]
    assert {e.stage for e in told.effects.redo} == {Stage.TIMESERIES, Stage.INGEST}
    for effect in [*told.effects.make, *told.effects.redo]:
        assert effect.bytes == 10 * len(effect.keys) and effect.cpu_h == pytest.approx(len(effect.keys) / 3600)
    database.update_procdates(FRAME)
    assert sorted(run_all(database, product=True)) == titles(told.effects)


@pytest.mark.parametrize(
    "columns", [{"previous": 5}, {"previous": 1, "annual_pairs": 0}, {"max_days": 12}, {"start_date": date(2023, 1, 13)}]
)
def test_settings_of_the_network_do_what_was_told(database: Database, columns: dict[str, Any]) -> None:
    make_frame(database, 7)
    for _ in range(4):
        step(database, product=True)
    change = FrameChange(columns)
    told = what_if(database, FRAME, change)
    done = change_frame(database, FRAME, change, who="ada", confirm=True)
    assert done.effects == told.effects
    assert sorted(run_all(database, product=True)) == titles(told.effects)
    again = change_frame(database, FRAME, change, who="ada", confirm=True)
    assert again.effects == Effects()


def test_fewer_pairs_are_asked_for_and_those_made_stay(database: Database) -> None:
    dates = make_frame(database, 6)
    plan(database)
    made = (dates[0], dates[3])
    with database.session_scope() as session:
        row = session.scalars(select(RsarIfg).where(RsarIfg.date1 == made[0], RsarIfg.date2 == made[1])).one()
        row.proc_status = int(ProcStatus.RUNNING)
        session.flush()
        row.proc_status, row.proc_stage = int(ProcStatus.DONE), 2
    told = change_frame(database, FRAME, FrameChange({"previous": 1, "annual_pairs": 0}), who="ada")
    assert pairs(database) == {*pairwise(dates), made}
    assert len(next(e for e in told.effects.cancel if e.kind is RowKind.RSAR_IFG).keys) == 12 - 6
    wide = change_frame(database, FRAME, FrameChange({"previous": None, "annual_pairs": None}), who="ada")
    assert len(pairs(database)) == 12 and len(wide.effects.make[0].keys) == 12 - 6
    (frame,) = database.query(Frame)
    assert frame.previous is None


def test_a_range_that_shrinks_and_grows_again_gives_everything_back(database: Database) -> None:
    dates = make_frame(database, 8)
    whole = pairs(database)
    narrow = change_frame(database, FRAME, FrameChange({"start_date": dates[3], "end_date": dates[6]}), who="ada")
    assert any(note.startswith("4 of 8 dates are in the frame's range") for note in narrow.notes)
    assert not narrow.effects.drop and not narrow.effects.make
    made = run_all(database, product=True)
    inside = {*dates[3:7], master_date(database)}
    assert {t.split()[-1] for t in made if t.startswith("satsar")} == {f"{d:%Y%m%d}" for d in inside}
    grown = FrameChange({"start_date": None, "end_date": None})
    told = change_frame(database, FRAME, grown, who="ada")
    assert pairs(database) == whole and not told.effects.loses_work
    assert sorted(run_all(database, product=True)) == titles(told.effects)
    assert sorted({t for t in made if "timeseries" not in t and "ingest" not in t} & set(titles(told.effects))) == []


def test_an_excluded_date_gives_up_its_pairs_and_asks(database: Database) -> None:
    dates = make_frame(database, 6)
    run_all(database, product=True)
    day = next(d for d in dates if d != master_date(database))
    change = FrameChange(exclude=((day, None),), reason="ESA disclaimer")
    with pytest.raises(NeedsConfirmation, match=r"gives up: .*3 coherence .*3 unwrap .*confirm=True") as caught:
        change_frame(database, FRAME, change, who="ada")
    assert isinstance(caught.value.effects, Effects)
    told = change_frame(database, FRAME, change, who="ada", confirm=True)
    assert told.effects == caught.value.effects
    assert ifg(database, day).reason == "ESA disclaimer"
    assert sorted(run_all(database, product=True)) == titles(told.effects) == [f"ingest {FRAME}", f"timeseries {FRAME}"]
    back = change_frame(database, FRAME, FrameChange(include=((day, None),)), who="ada")
    assert sorted(run_all(database, product=True)) == titles(back.effects) == [f"ingest {FRAME}", f"timeseries {FRAME}"]
    assert {r.status for r in [*database.query(RsarIfg), *database.query(Ifg)]} == {ProcStatus.DONE}
    assert {e.who for e in database.query(JobEvent, event="restored")} == {"ada", "network"}


def test_a_coverage_that_is_raised_leaves_dates_out_and_lowered_takes_them_back(database: Database) -> None:
    dates = make_frame(database, 5)
    day = dates[-1] + timedelta(days=12)
    add_file(database, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), bursts()[:5])
    database.update_procdates(FRAME)
    run_all(database, product=True)
    told = change_frame(database, FRAME, FrameChange({"min_coverage": 0.9}), who="ada", confirm=True)
    assert list(told.dates.excluded) == [day] and "min_coverage" in told.dates.excluded[day]
    assert {e.stage for e in told.effects.drop} >= {Stage.SATSAR, Stage.COHERENCE, Stage.UNWRAP}
    run_all(database, product=True)
    back = change_frame(database, FRAME, FrameChange({"min_coverage": 0.8}), who="ada", confirm=True)
    assert back.dates.returned == [day]
    made = run_all(database, product=True)
    assert sorted(made) == titles(back.effects) == [f"ingest {FRAME}", f"timeseries {FRAME}"], "what it has is not made again"


def test_another_master_redoes_exactly_what_was_told(database: Database) -> None:
    dates = make_frame(database, 5)
    run_all(database, product=True)
    day = dates[0]
    told = what_if(database, FRAME, FrameChange(master=day))
    assert told.dates.master == day and told.effects.loses_work
    change_frame(database, FRAME, FrameChange(master=day), who="ada", confirm=True)
    assert sorted(run_all(database, product=True)) == titles(told.effects)
    assert {r.status for r in database.query(Ifg)} == {ProcStatus.DONE}
    keys = {p.key for p in database.query(Product, stage="satsar")}
    assert keys == {f"{d:%Y%m%d}" for d in dates}


def test_all_of_a_change_or_nothing(database: Database) -> None:
    dates = make_frame(database, 5)
    before = everything(database)
    wrong = FrameChange({"previous": 1}, exclude=((dates[0], None), (date(1999, 1, 1), None)), reason="snow")
    with pytest.raises(RequestError, match=r"expected a secondary date 1999-01-01, found none; nearest to 1999-01-01"):
        change_frame(database, FRAME, wrong, who="ada", confirm=True)
    assert everything(database) == before


def test_what_cannot_be_done_says_why(database: Database) -> None:
    dates = make_frame(database, 4)
    master = master_date(database)
    other = next(d for d in dates if d != master)
    for change, words in [
        (FrameChange({"priority": 3}), "expected any of start_date"),
        (FrameChange({"previous": 0}), "previous: .*greater than or equal to 1"),
        (FrameChange({"start_date": dates[2], "end_date": dates[1]}), "a start that is not after the end"),
        (FrameChange(exclude=((other, None),)), "expected a reason"),
        (FrameChange(exclude=((other, None),), include=((other, None),), reason="x"), "got both"),
        (FrameChange(exclude=((master, None),), reason="x"), "it is the master: set another one first"),
        (FrameChange(include=((other, None),)), "expected an excluded row, got .* WAITING"),
        (FrameChange(master=date(1999, 1, 1)), "expected a date of the frame as master"),
    ]:
        with pytest.raises(RequestError, match=words):
            what_if(database, FRAME, change)
        with pytest.raises(RequestError, match=words):
            change_frame(database, FRAME, change, who="ada", confirm=True)
    with pytest.raises(RequestError, match="expected a frame of the database"):
        what_if(database, "132A_NONE")
    change_frame(database, FRAME, FrameChange(exclude=((other, None),), reason="snow"), who="ada")
    with pytest.raises(RequestError, match=f"{other}, which is EXCLUDED: snow; include it first"):
        what_if(database, FRAME, FrameChange(master=other))


def test_a_retired_frame_may_be_asked_about_and_is_not_changed(database: Database) -> None:
    make_frame(database, 3)
    database.update(Frame, {"retired_utc": datetime(2024, 1, 1, tzinfo=UTC)}, id=FRAME)
    found = what_if(database, FRAME, FrameChange({"previous": 1}))
    assert not found.effects.make and any("retired" in note for note in found.notes)
    with pytest.raises(RequestError, match="retired on 2024-01-01; restore it"):
        change_frame(database, FRAME, FrameChange({"previous": 1}), who="ada")


def test_what_running_jobs_hold_is_not_changed(database: Database) -> None:
    dates = make_frame(database, 4)
    plan(database)
    jobs.grant_pass(database)
    other = next(d for d in dates if d != master_date(database))
    with pytest.raises(RequestError, match="expected no running jobs"):
        what_if(database, FRAME, FrameChange(master=other))
    with pytest.raises(RequestError, match="a running job holds it"):
        what_if(database, FRAME, FrameChange(exclude=((other, None),), reason="snow"))


def test_what_may_pass_is_tried_again_as_a_whole_and_not_within(database: Database) -> None:
    outer, inner = 0, 0

    def work(store: Store) -> int:
        nonlocal outer
        outer += 1

        def fails_once(session: Session) -> int:
            nonlocal inner
            inner += 1
            if inner == 1:
                raise DatabaseUnavailable("the database restarted")
            return int(session.scalar(select(1)) or 0)

        return store.write(fails_once)

    assert at_once(database, work) == 1
    assert (outer, inner) == (2, 2)
