"""A change of any input makes stale exactly what depends on it."""

from __future__ import annotations

import os
import shutil

import pytest
from frames_made import FRAME, add_file, bursts
from sqlalchemy import delete
from sqlalchemy.orm import Session
from stale_frames import (
    CPU_S,
    DATES,
    DONE,
    STALE,
    VERSIONS,
    at,
    begin,
    finish,
    key,
    orbit,
    pairs_of,
    stale_names,
    standing,
    work,
)  # fmt: skip

from satdaemon.config import Settings
from satdaemon.db import Burst, Database, Frame, Ifg, Master, Product, RsarIfg, StaleProduct, jobs, runs, staleness
from satdaemon.db.models import JudgedFrame
from satdaemon.db.planning import plan
from satdaemon.db.staleness import looking
from satdaemon.db.staleness.facts import Facts
from satdaemon.errors import RequestError
from satdaemon.status import ProcStatus, RowKind, Stage

MASTER, LAST, FIRST = DATES[2], DATES[-1], DATES[0]




def mark(db: Database) -> list[staleness.Marked]:
    return staleness.mark(db, processors=VERSIONS)


def with_settings(db: Database, section: str, **values: object) -> Database:
    """The same database, opened with another configuration."""
    changed = getattr(db.settings, section).model_copy(update=values)
    settings: Settings = db.settings.model_copy(update={section: changed})
    return Database(settings)


def test_nothing_changed_marks_nothing_and_looks_at_nothing(db: Database) -> None:
    assert stale_names(db) == set() and len(standing(db)) == 1 + 5 + 9
    plan(db, processors=VERSIONS)
    assert mark(db) == [] and staleness.stale(db) == []
    with db.engine.connect() as connection:
        digests = connection.exec_driver_sql("SELECT count(*) FROM products WHERE judged IS NULL").scalar()
    assert digests == 0, "everything was found up to date, and that is noted"


def test_a_precise_orbit_makes_the_date_and_what_was_made_from_it_stale(db: Database) -> None:
    better = orbit(db, LAST)
    moved = {m.row_id for m in mark(db)}
    assert len(moved) == len(stale_names(db))
    assert stale_names(db) == {key(LAST), *pairs_of(db, LAST), "master"}, "the last date is not in the initial stack"
    rows = standing(db)
    assert rows[key(LAST)] == (STALE, 1)
    assert {rows[pair] for pair in pairs_of(db, LAST)} == {(STALE, 1)}
    (row,) = db.query(Ifg, date=LAST)
    assert "RESORB" in str(row.reason) and better.name in str(row.reason)
    (pair,) = db.query(RsarIfg, date1=DATES[-2], date2=LAST)
    assert str(pair.reason).startswith(f"download {key(LAST)} is stale: ") and better.name in str(pair.reason)
    assert mark(db) == [], "once is enough"
    assert work(db) == [], "products serve, and nothing is made again without leave"


def test_with_leave_exactly_that_is_made_again_each_once(db: Database) -> None:
    orbit(db, LAST)
    db.update(Frame, {"reprocess": True}, id=FRAME)
    pairs = pairs_of(db, LAST)
    done = work(db)
    expected = {f"{stage} {key(LAST)}" for stage in ("download", "slc", "satsar")}
    expected |= {f"{stage} {pair}" for stage in ("coherence", "unwrap") for pair in pairs} | {"timeseries frame", "ingest frame"}
    assert sorted(done) == sorted(expected), "each once"
    assert stale_names(db) == set() and db.query(StaleProduct) == []


def test_a_date_of_the_initial_stack_makes_the_siblings_and_all_pairs_stale(db: Database) -> None:
    neighbour = DATES[1]
    (product,) = db.query(Product, stage="download", key=key(neighbour))
    name = str(product.orbit)
    assert "POEORB" in name
    again = name.replace("_OPOD_2023", "_OPOD_2024")
    folder = db.settings.parameters.orbit_path
    (folder / again).write_text((folder / name).read_text().replace("_OPOD_2023", "_OPOD_2024"))
    mark(db)
    pairs = {n for n in standing(db) if "_" in n}
    assert stale_names(db) == {key(neighbour), "master", *pairs}, "ESA issued the orbit again"
    db.update(Frame, {"reprocess": True}, id=FRAME)
    done = work(db)
    assert sorted(done) == sorted(
        [f"{stage} {key(neighbour)}" for stage in ("download", "slc", "satsar")]
        + ["coherence frame", "timeseries frame", "ingest frame"]
        + [f"{stage} {pair}" for stage in ("coherence", "unwrap") for pair in pairs]
    )
    assert done.index("coherence frame") < min(done.index(f"coherence {pair}") for pair in pairs)


def test_a_damaged_orbit_and_that_of_the_next_day_are_no_better(db: Database) -> None:
    orbit(db, LAST).write_text("cut short")
    assert mark(db) == []
    from datetime import timedelta

    from orbit_files import write_orbit

    first = at(DATES[0])
    folder = db.settings.parameters.orbit_path
    write_orbit(folder, first - timedelta(minutes=105), first + timedelta(minutes=30), created=first + timedelta(days=22))
    assert mark(db) == [], "another validity, as good as the one that was used"


def test_a_reissued_scene_and_one_whose_contents_changed(db: Database) -> None:
    from datetime import timedelta

    newer = add_file(db, at(FIRST), bursts(), crc="CCCC", proc_utc=at(FIRST) + timedelta(days=400))
    db.update_procdates(FRAME)
    mark(db)
    assert stale_names(db) == {key(FIRST), *pairs_of(db, FIRST), "master"}
    (row,) = db.query(Ifg, date=FIRST)
    assert row.stale_from == 1 and newer in str(row.reason)


def test_a_file_of_other_contents_counts_and_another_algorithm_or_a_missing_file_does_not(db: Database) -> None:
    from satdaemon.db import File

    (used,) = db.query(File, date=FIRST)
    db.update(File, {"checksum": "sha256:0123"}, id=used.id)
    db.update(Frame, {"notes": "looked at"}, id=FRAME)
    assert mark(db) == []
    db.update(File, {"checksum": "md5:BBBB"}, id=used.id)
    db.update(Frame, {"notes": "looked at again"}, id=FRAME)
    mark(db)
    assert stale_names(db) == {key(FIRST), *pairs_of(db, FIRST), "master"}
    db.update(File, {"checksum": "md5:AAAA", "state": "missing"}, id=used.id)
    db.update(Frame, {"notes": "and again"}, id=FRAME)
    back = mark(db)
    assert {m.status for m in back} == {DONE} and stale_names(db) == set()


@pytest.mark.parametrize(
    ("section", "values", "rows"),
    [
        ("unwrap", {"max_gap_m": 175.0}, {"pairs": 2, "master": 4}),
        ("coherence", {"threshold": 0.5}, {"pairs": 1, "master": 4}),
        ("coherence", {"max_siblings": 40}, {"pairs": 1, "master": 4}),
        ("timeseries", {"seasonal": False}, {"master": 5}),
        ("ingest", {"min_temporal_coherence": 0.3}, {"master": 6}),
        ("satsar", {"esd_min_coherence": 0.4}, {"dates": 3, "pairs": 1, "master": 4}),
    ],
)
def test_a_changed_setting(db: Database, section: str, values: dict[str, object], rows: dict[str, int]) -> None:
    other = with_settings(db, section, **values)
    mark(other)
    found = {name: place for name, (status, place) in standing(db).items() if status is STALE}
    kinds = {
        "master": {"master"},
        "dates": {n for n in standing(db) if n.isdigit()},
        "pairs": {n for n in standing(db) if "_" in n},
    }
    assert found == {name: place for kind, place in rows.items() for name in kinds[kind]}
    (name,) = values
    reasons = {s.reason for s in db.query(StaleProduct, own=True)}
    assert reasons and all(name in reason for reason in reasons)
    back = mark(db)
    assert len(back) == len(found) and stale_names(db) == set(), "the setting is as it was again"
    assert db.query(StaleProduct) == []
    other.close()


def test_settings_that_play_no_part_change_nothing(db: Database) -> None:
    for section, values in (
        ("coherence", {"cpu": 4.0, "memory_gb": 30.0, "tries": 9, "time_limit_h": 1.0}),
        ("timeseries", {"accept_failed_share": 0.5}),
        ("download", {"transfer": "link", "orbit_retry_s": 5.0}),
        ("parameters", {"log_days": 5.0, "planner_interval_s": 60.0}),
        ("network", {"min_coverage": 0.5, "initial_stack": 5}),
        ("notify", {"level": "error"}),
    ):
        other = with_settings(db, section, **values)
        assert mark(other) == [], section
        assert staleness.outside_digest(other) == staleness.outside_digest(db), section
        other.close()


def test_a_frames_own_setting_given_and_taken_back(db: Database) -> None:
    db.update(Frame, {"stage_settings": {"unwrap": {"max_gap_m": 99.0}}}, id=FRAME)
    mark(db)
    pairs = {n for n in standing(db) if "_" in n}
    assert stale_names(db) == {*pairs, "master"}
    db.update(Frame, {"stage_settings": {}}, id=FRAME)
    mark(db)
    assert stale_names(db) == set()


def test_another_dem_concerns_the_whole_frame_and_a_renamed_one_nothing(db: Database) -> None:
    dem = db.settings.parameters.dem
    assert dem is not None
    renamed = with_settings(db, "parameters", dem=dem.rename(dem.with_name("again.tif")))
    assert mark(renamed) == []
    renamed.settings.parameters.dem.write_bytes(b"other heights")
    mark(renamed)
    rows = standing(db)
    assert stale_names(db) == set(rows)
    assert rows["master"] == (STALE, 3) and {rows[key(d)] for d in DATES if d != MASTER} == {(STALE, 3)}
    renamed.settings.parameters.dem.unlink()
    mark(renamed)
    assert stale_names(db) == set(), "a DEM that cannot be seen is not another one"
    renamed.close()


def test_a_newer_processor_and_not_an_older_one(db: Database) -> None:
    newer = {**VERSIONS, Stage.UNWRAP: ("unwrap", "1.10")}
    staleness.mark(db, [FRAME], newer)
    pairs = {n for n in standing(db) if "_" in n}
    assert stale_names(db) == {*pairs, "master"}
    (row,) = db.query(RsarIfg, date1=DATES[0], date2=DATES[1])
    assert (row.stale_from, row.reason) == (2, "processor unwrap 1.0 became 1.10")
    staleness.mark(db, [FRAME], {**VERSIONS, Stage.UNWRAP: ("unwrap", "0.9")})
    assert stale_names(db) == set()
    assert staleness.outside_digest(db, newer) != staleness.outside_digest(db, VERSIONS)


def test_a_look_that_does_not_compare_programs_leaves_what_is_known_of_them(db: Database) -> None:
    newer = {**VERSIONS, Stage.UNWRAP: ("unwrap", "1.1")}
    assert staleness.mark(db, processors=newer)
    before = {(p.product_id, p.reason, p.since_utc) for p in db.query(StaleProduct)}
    assert before and staleness.mark(db) == []
    assert {(p.product_id, p.reason, p.since_utc) for p in db.query(StaleProduct)} == before
    assert staleness.mark(db, processors=newer) == []


def test_a_stale_date_out_of_range_is_not_said_to_be_made_again_by_itself(db: Database) -> None:
    orbit(db, DATES[-1])
    staleness.mark(db, processors=VERSIONS)
    db.update(Frame, {"reprocess": True}, id=FRAME)
    assert all(row.allowed for row in staleness.stale(db) if row.kind is RowKind.IFG)
    db.update(Frame, {"end_date": DATES[-2]}, id=FRAME)
    assert not any(row.allowed for row in staleness.stale(db) if row.kind is RowKind.IFG)


def test_bursts_of_the_frame(db: Database) -> None:
    from sqlalchemy import delete

    from satdaemon.db.models import frames2bursts

    dropped = db.query(Burst)[0].id
    with db.session_scope() as session:
        session.execute(delete(frames2bursts).where(frames2bursts.c.burst_id == dropped))
    db.update(Frame, {"notes": "a burst less"}, id=FRAME)
    mark(db)
    assert stale_names(db) == set(standing(db))
    assert standing(db)["master"] == (STALE, 2)
    assert dropped in str(db.query(Master)[0].reason)


def test_what_was_not_recorded_is_no_reason(db: Database) -> None:
    from sqlalchemy import update

    with db.session_scope() as session:
        session.execute(update(Product).values(inputs={}, judged=None, orbit=None))
    orbit(db, LAST)
    other = with_settings(db, "unwrap", max_gap_m=99.0)
    assert mark(other) == [] and stale_names(db) == set()
    other.close()


def test_a_new_pair_goes_into_the_series_without_leave_while_others_are_stale(db: Database) -> None:
    orbit(db, LAST)
    mark(db)
    assert standing(db)["master"] == (STALE, 4), "not to be made of the same stale pairs again"
    (pair,) = db.query(RsarIfg, date1=DATES[0], date2=DATES[1])
    from satdaemon.db import rows

    rows.exclude(db, FRAME, DATES[0], DATES[1], reason="fog", who="the test")
    mark(db)
    (row,) = db.query(Master)
    assert row.stale_from == 5 and "left out" in str(row.reason) and pair.date1.strftime("%Y%m%d") in str(row.reason)
    assert work(db) == ["timeseries frame", "ingest frame"]
    assert standing(db)["master"] == (STALE, 4), "the rest still waits for leave"
    assert work(db) == []


def test_a_row_on_its_way_is_made_again_without_leave(db: Database) -> None:
    db.update(Frame, {"do_satsar": False}, id=FRAME)
    with db.session_scope() as session:
        session.query(Ifg).filter(Ifg.date == LAST).update({"proc_stage": 2})
    better = orbit(db, LAST)
    assert sorted(work(db)) == [f"download {key(LAST)}", f"slc {key(LAST)}"]
    (product,) = db.query(Product, stage="download", key=key(LAST))
    assert product.orbit == better.name


def test_a_job_that_began_before_the_change_is_found_when_it_has_ended(db: Database) -> None:
    db.update(Frame, {"reprocess": True, "stage_settings": {"unwrap": {"max_gap_m": 99.0}}}, id=FRAME)
    plan(db, [FRAME], processors=VERSIONS)
    runs.beat_frame(db, FRAME, "the test")
    grants = jobs.grant_pass(db)
    assert grants and {g.job.stage for g in grants} == {Stage.UNWRAP}
    from satdaemon.db import inputs

    for grant in grants:
        assert jobs.start(db, grant.job_id, grant.attempt, pid=1, host="h", log_path=None, flow_run_id=None, task_run_id=None)
        inputs.stage_input(db, grant.job_id, grant.attempt, db.settings.parameters.processing_path / "out")
    running = {grant.job.key for grant in grants}
    db.update(Frame, {"stage_settings": {"unwrap": {"max_gap_m": 88.0}}}, id=FRAME)
    mark(db)
    assert not running & stale_names(db), "a running row is left alone"
    from satdaemon.domain import StageResult, Usage

    for grant in grants:
        place = db.settings.parameters.processing_path / FRAME / "unwrap" / grant.job.key
        assert jobs.finish(db, grant.job_id, grant.attempt, StageResult((), processor="unwrap", processor_version="1.0"),
                           Usage(1, 1, 0.1), place)  # fmt: skip
    mark(db)
    assert running <= stale_names(db)


def test_a_row_that_waits_begins_where_it_has_to(db: Database) -> None:
    db.update(Frame, {"reprocess": True}, id=FRAME)
    orbit(db, LAST)
    with db.session_scope() as session:
        (row,) = session.query(Ifg).filter(Ifg.date == LAST)
        row.proc_status = ProcStatus.WAITING
    moved = [m for m in mark(db) if m.status is ProcStatus.WAITING]
    assert [(m.kind, m.date1, m.stage) for m in moved] == [(RowKind.IFG, LAST, Stage.DOWNLOAD)]
    (row,) = db.query(Ifg, date=LAST)
    assert (row.status, row.proc_stage) == (ProcStatus.WAITING, 1)


def test_a_stage_that_is_off_starts_no_endless_work(db: Database) -> None:
    orbit(db, LAST)
    db.update(Frame, {"reprocess": True, "do_slc": False}, id=FRAME)
    assert work(db) == [f"download {key(LAST)}"]
    assert work(db) == []
    db.update(Frame, {"do_slc": True}, id=FRAME)
    assert f"slc {key(LAST)}" in work(db) and stale_names(db) == set()


def test_made_again_with_the_same_outcome_nothing_else_follows(db: Database) -> None:
    with db.session_scope() as session:
        (row,) = session.query(RsarIfg).filter(RsarIfg.date1 == FIRST, RsarIfg.date2 == DATES[1])
        row.proc_status, row.proc_stage = ProcStatus.WAITING, 1
    pair = f"{key(FIRST)}_{key(DATES[1])}"
    before = {p.key: p.fingerprint for p in db.query(Product, stage="unwrap")}
    assert work(db) == [f"coherence {pair}", f"unwrap {pair}"]
    assert {p.key: p.fingerprint for p in db.query(Product, stage="unwrap")} == before
    assert stale_names(db) == set()


def test_check_says_the_same_and_writes_nothing(db: Database) -> None:
    orbit(db, LAST)
    would = staleness.check(db, processors=VERSIONS)
    assert stale_names(db) == set() and db.query(StaleProduct) == []
    assert staleness.check(db, ["132A_NONE"], VERSIONS) == []
    assert mark(db) == would


def test_the_list_says_since_when_why_and_what_it_costs(db: Database) -> None:
    orbit(db, LAST)
    mark(db)
    found = staleness.stale(db, [FRAME])
    assert [row.kind for row in found] == [RowKind.MASTER, RowKind.IFG, RowKind.RSAR_IFG, RowKind.RSAR_IFG]
    date = found[1]
    assert (date.stage, date.stages) == (Stage.DOWNLOAD, (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR))
    assert date.cpu_h == pytest.approx(sum(CPU_S[stage] for stage in date.stages) / 3600)
    assert date.bytes > 30 and "POEORB" in date.reason and not date.allowed
    (noted,) = db.query(StaleProduct, product_id=db.query(Product, stage="download", key=key(LAST))[0].id)
    assert date.since_utc == noted.since_utc
    db.update(Frame, {"reprocess": True}, id=FRAME)
    mark(db)
    again = staleness.stale(db)
    assert all(row.allowed for row in again) and again[1].since_utc == date.since_utc, "since when stays"
    with pytest.raises(RequestError, match="unknown ones: 132A_NONE"):
        staleness.stale(db, ["132A_NONE"])


def test_what_is_made_again_in_vain_is_not_made_for_ever(db: Database) -> None:
    db.update(Frame, {"reprocess": True}, id=FRAME)
    pairs = {n for n in standing(db) if "_" in n}
    # The planner knows of a newer program than the workers have.
    newer = {**VERSIONS, Stage.UNWRAP: ("unwrap", "1.1")}
    assert sorted(work(db, planner=newer)) == sorted(f"unwrap {pair}" for pair in pairs), "once, and nothing follows"
    (row,) = db.query(RsarIfg, date1=FIRST, date2=DATES[1])
    assert row.status is ProcStatus.DONE_WITH_WARNINGS and "same outcome, though processor unwrap 1.0 became 1.1" in str(
        row.reason
    )
    assert sorted(work(db, newer, planner=newer)) == [], "until there is another reason"
    db.update(Frame, {"stage_settings": {"unwrap": {"max_gap_m": 99.0}}}, id=FRAME)
    assert f"unwrap {min(pairs)}" in work(db, newer, planner=newer)
    assert stale_names(db) == set() and db.query(StaleProduct) == []


def test_what_others_made_stale_stays_so(db: Database) -> None:
    with db.session_scope() as session:
        (row,) = session.query(Ifg).filter(Ifg.date == FIRST)
        row.proc_status, row.stale_from, row.reason = ProcStatus.STALE, 2, "the operator says so"
    mark(db)
    (row,) = db.query(Ifg, date=FIRST)
    assert (row.status, row.stale_from, row.reason) == (ProcStatus.STALE, 2, "the operator says so")


def test_a_retired_frame_and_one_without_products_are_left_alone(db: Database) -> None:
    from datetime import UTC, datetime

    db.update(Frame, {"retired_utc": datetime.now(UTC)}, id=FRAME)
    orbit(db, LAST)
    assert mark(db) == []
    db.make_new_frame_using_burstlist([b.id for b in bursts()], "132A_NEW")
    assert staleness.mark(db, ["132A_NEW"]) == []


def test_the_digest_of_outside_conditions(db: Database) -> None:
    before = staleness.outside_digest(db)
    assert staleness.outside_digest(db) == before
    orbit(db, LAST)
    assert (with_orbit := staleness.outside_digest(db)) != before
    dem = db.settings.parameters.dem
    assert dem is not None
    os.utime(dem, ns=(1, 1))
    assert staleness.outside_digest(db) != with_orbit
    shutil.rmtree(db.settings.parameters.orbit_path)
    assert staleness.outside_digest(db), "a disk that is not mounted is no error here"


def test_finish_is_the_helper_that_real_jobs_resemble(db: Database) -> None:
    db.update(Frame, {"reprocess": True}, id=FRAME)
    orbit(db, LAST)
    plan(db, [FRAME], processors=VERSIONS)
    runs.beat_frame(db, FRAME, "the test")
    (grant,) = jobs.grant_pass(db)
    finish(db, grant)
    (product,) = db.query(Product, stage="download", key=key(LAST))
    assert "POEORB" in str(product.orbit) and not product.restituted


def test_several_look_at_once(db: Database) -> None:
    from concurrent.futures import ThreadPoolExecutor

    orbit(db, LAST)
    databases = [Database(db.settings) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        moved = [change for found in pool.map(mark, databases) for change in found]
    rows = [(change.kind, change.row_id) for change in moved]
    assert len(set(rows)) == len(stale_names(db)) == 4
    assert mark(db) == [] and len(db.query(StaleProduct)) == 3 + 2 * 2 + 2
    for one in databases:
        one.close()


def test_after_each_job_no_more_is_read_than_what_can_depend_on_it_and_nothing_is_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[str] = []
    load = looking.load_facts

    def counted(session: Session, frame_id: str) -> Facts | None:
        whole.append(frame_id)
        return load(session, frame_id)

    begin(database)
    done, looks = 0, 0
    while True:
        plan(database, [FRAME], processors=VERSIONS)
        runs.beat_frame(database, FRAME, "the test")
        grants = jobs.grant_pass(database)
        if not grants:
            break
        for grant in grants:
            finish(database, grant)
            with monkeypatch.context() as patch:
                patch.setattr(looking, "load_facts", counted)
                mark(database)
            done, looks = done + 1, len(whole)
            with database.session_scope() as session:
                session.execute(delete(JudgedFrame))  # so that every product is looked at
            assert staleness.check(database, processors=VERSIONS) == [], grant.job.title
            staleness.mark(database, processors=VERSIONS)
    assert done > 30 and looks < done / 2, f"{looks} of {done} looks read the whole frame"
    assert stale_names(database) == set() and database.query(StaleProduct) == []


def test_a_product_made_again_with_another_outcome_is_noticed_by_what_reads_it(db: Database) -> None:
    mark(db)
    with db.session_scope() as session:
        (row,) = session.query(Ifg).filter(Ifg.date == LAST)
        row.proc_status, row.proc_stage = ProcStatus.WAITING, 2
    plan(db, [FRAME], processors=VERSIONS)
    runs.beat_frame(db, FRAME, "the test")
    (grant,) = jobs.grant_pass(db)
    assert stale_names(db) == set()
    finish(db, grant, {**VERSIONS, Stage.SLC: ("slc", "1.1")})
    with db.session_scope() as session:  # as where a person takes over from here
        (row,) = session.query(Ifg).filter(Ifg.date == LAST)
        row.proc_stage = 3
    mark(db)
    assert {key(LAST), *pairs_of(db, LAST), "master"} <= stale_names(db)
    (noted,) = db.query(StaleProduct, own=True)
    assert noted.reason == f"slc {key(LAST)} made again since"
