"""Frames: made from bursts and polygons, changed, copied, retired, deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import shapely
from frames_made import FRAME, add_file, add_orbit, bursts, days, make_frame, plan, run_all, step
from points_made import show_points, write_points

from satdaemon.db import (
    Burst,
    Database,
    File,
    Frame,
    Ifg,
    Master,
    PendingJob,
    Product,
    RsarIfg,
    RunningJob,
    consistency,
    jobs,
    points,
)
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.frame_choice import by_polygon
from satdaemon.db.frame_edit import edit_bursts, plan_edit
from satdaemon.db.frame_life import clone_frame, delete_frame, restore_frame, retire_frame
from satdaemon.db.frame_settings import edit_notes, edit_settings
from satdaemon.db.frames import make_frame_of_polygon
from satdaemon.db.models.products import LEFT_BEHIND
from satdaemon.db.outline import outline, rolled, unrolled
from satdaemon.db.preview import preview_bursts, preview_frame
from satdaemon.db.regions import read_region
from satdaemon.domain import Burst as BurstValue
from satdaemon.errors import NeedsConfirmation, RequestError
from satdaemon.status import ProcStatus, Stage

IDS = [b.id for b in bursts()]
IW1, IW2 = IDS[:3], IDS[3:]


def region(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    return shapely.box(west, south, east, north)


# From a polygon.


def test_a_polygon_takes_the_bursts_that_it_needs_and_no_more(database: Database) -> None:
    insert_bursts(database, bursts())
    with database.read_scope() as session:
        # Bursts are 0.2 degrees high, one every 0.18: the middle one shows all of this by itself.
        assert by_polygon(session, region(-1.9, 52.185, -1.5, 52.375)).ids == [IW1[1]]
        # Parts that the neighbours show too are not worth a burst.
        assert by_polygon(session, region(-1.9, 52.19, -1.5, 52.379)).ids == [IW1[1]]
        # Swaths overlap by 0.05 degrees.
        assert by_polygon(session, region(-1.9, 52.05, -1.5, 52.3)).ids == IW1[:2]
        both = by_polygon(session, region(-1.5, 52.05, -0.5, 52.5))
    assert sorted(both.ids) == sorted(IDS) and both.covered == pytest.approx(1) and both.warnings == ()


def test_a_polygon_with_a_hole_in_the_middle_leaves_no_gap_in_a_swath(database: Database) -> None:
    insert_bursts(database, bursts(5, ("IW1",)))
    two = shapely.union_all([region(-1.9, 52.02, -1.5, 52.1), region(-1.9, 52.8, -1.5, 52.9)])
    with database.read_scope() as session:
        assert by_polygon(session, two).ids == [b.id for b in bursts(5, ("IW1",))]


def test_a_polygon_that_several_tracks_show_is_asked_about(database: Database) -> None:
    insert_bursts(database, [*bursts(), *bursts(1, ("IW1",), track=30)])
    place = region(-1.9, 52.05, -1.5, 52.3)
    with database.read_scope() as session:
        with pytest.raises(RequestError, match=r"say which .*132 A \(2 bursts, 100% of it\), 30 A \(1 bursts, 60% of it\)"):
            by_polygon(session, place)
        part = by_polygon(session, place, 30, "A")
        assert len(part.ids) == 1 and "show 60.0% of the polygon" in part.warnings[0] and "132 A" in part.warnings[0]
        with pytest.raises(RequestError, match="no burst of track 132, pass D of the database lies there; tracks there: 132 A"):
            by_polygon(session, place, 132, "D")
        with pytest.raises(RequestError, match="none of any track there"):
            by_polygon(session, region(40, 10, 41, 11), 132)
    with pytest.raises(RequestError, match="its id says track 132, pass A; got track 30, pass A"):
        make_frame_of_polygon(database, place, "132A_HERE", track=30)
    report = make_frame_of_polygon(database, place, "132A_HERE")
    assert list(report.bursts) == IW1[:2]
    assert database.query(Frame, id="132A_HERE")[0].geometry.covers(place)


def test_an_empty_catalogue_says_how_to_fill_it(database: Database) -> None:
    with database.read_scope() as session, pytest.raises(RequestError, match="init-database --burst-map"):
        by_polygon(session, region(0, 0, 1, 1))
    with pytest.raises(RequestError, match="init-database --burst-map"):
        database.make_new_frame_using_burstlist(IDS, FRAME)


def test_two_rows_of_one_burst_are_taken_once(database: Database) -> None:
    one = bursts(1, ("IW1",))[0]
    with_id = BurstValue("132_8568_IW1", 132, "A", 8568, "IW1", 281690, one.footprint)
    insert_bursts(database, [one, with_id])
    with database.read_scope() as session:
        assert by_polygon(session, region(-1.9, 52.05, -1.5, 52.15)).ids == ["132_8568_IW1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("somewhere", "expected a file, or WKT"),
        ("POINT (1 2)", "expected a polygon, got a Point"),
        ("POLYGON EMPTY", "an empty shape"),
        ("POLYGON ((52 -200, 53 -200, 53 -199, 52 -200))", "longitude first"),
        ("POLYGON ((0 0, 1 1, 2 2, 0 0))", "with an area"),
    ],
)
def test_what_is_no_polygon(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_region(text)


def test_polygons_of_files_also_in_other_coordinates(tmp_path: Path) -> None:
    import pyogrio

    place = region(-2.1, 52.3, -1.6, 52.7)
    projected = shapely.box(500_000, 5_800_000, 510_000, 5_810_000)  # UTM 30N: three degrees west of Greenwich
    for name, shape, crs in [("a.geojson", place, "EPSG:4326"), ("b.gpkg", projected, "EPSG:32630")]:
        geometry = shapely.to_wkb([shape])
        pyogrio.raw.write(tmp_path / name, geometry, [], [], geometry_type="Polygon", crs=crs)
    assert read_region(tmp_path / "a.geojson").equals(place)
    west, south, east, _ = read_region(str(tmp_path / "b.gpkg")).bounds
    assert (
        west == pytest.approx(-3, abs=1e-3) and east == pytest.approx(-2.85, abs=0.01) and south == pytest.approx(52.35, abs=0.01)
    )
    (tmp_path / "c.txt").write_text("nothing")
    with pytest.raises(RequestError, match="a vector file that GDAL reads"):
        read_region(tmp_path / "c.txt")
    assert read_region(place.wkt).equals(place)
    assert read_region("POLYGON ((179 0, 181 0, 181 1, 179 1, 179 0))").equals(
        shapely.union_all([region(179, 0, 180, 1), region(-180, 0, -179, 1)])
    )


def test_frames_across_the_180th_meridian(database: Database) -> None:
    def burst(number: int, west: float) -> BurstValue:
        south, anx = 50 + 0.18 * number, 8566 + round(27.58 * number)
        corners = tuple(
            ((lon + 180) % 360 - 180, lat) for lon, lat in region(west, south, west + 1, south + 0.2).exterior.coords[:-1]
        )
        return BurstValue(f"1_{anx}_IW1", 1, "A", anx, "IW1", None, corners)

    made = [burst(0, 179.4), burst(1, 179.2), burst(2, -180.9)]
    insert_bursts(database, made)
    far = burst(0, 10.0)
    insert_bursts(database, [BurstValue("2_8566_IW1", 2, "A", 8566, "IW1", None, far.footprint)])
    with database.read_scope() as session:
        choice = by_polygon(session, read_region("POLYGON ((179.5 50.05, 180.1 50.05, 180.1 50.5, 179.5 50.5, 179.5 50.05))"))
        assert choice.ids == [b.id for b in made] and choice.covered == pytest.approx(1)
        assert by_polygon(session, region(10.1, 50.05, 10.9, 50.15)).track == 2
    database.make_new_frame_using_burstlist(choice.ids, "001A_DATELINE")
    (frame,) = database.query(Frame)
    west, _, east, _ = frame.geometry.bounds
    assert (west, east) == (-180, 180) and 0.5 < frame.geometry.area < 0.65
    wide = shapely.Polygon(made[0].footprint)
    assert unrolled(wide).bounds[2] == pytest.approx(180.4) and rolled(unrolled(wide)).area == pytest.approx(0.2)
    assert outline([None]) is None


# Warnings.


def test_odd_sets_of_bursts_are_told(database: Database) -> None:
    insert_bursts(database, bursts(4, ("IW1", "IW2", "IW3")))
    ids = [b.id for b in bursts(4, ("IW1", "IW2", "IW3"))]
    make = database.make_new_frame_using_burstlist
    assert make(ids, "132A_ALL").warnings == ()
    assert make([ids[0], ids[8]], "132A_TWO").warnings[0].startswith("IW2 is left out between IW1 and IW3")
    assert make([ids[0], ids[8]], "132A_THREE").warnings[-1] == "the bursts fall into 2 parts that do not touch"
    (gap,) = (w for w in make([ids[0], ids[3]], "132A_GAP").warnings if "missing" in w)
    assert gap == f"IW1: 2 burst(s) missing between {ids[0]} and {ids[3]}"
    with pytest.raises(RequestError, match=r"unknown ones: 132_8400_IW1 \(the nearest to 132_8400_IW1 is 132_8566_IW1\)"):
        make(["132_8400_IW1"], "132A_NO")
    for name in ("132A", "132X_A", "132A_a", "132A_A B", "999A_X", "000A_X", "132A_X\n", "../132A_X"):
        with pytest.raises(RequestError, match="frame id: expected"):
            make(ids, name)


# Preview.


def make_files(db: Database, shown: list[list[BurstValue]]) -> list:
    found = days(len(shown))
    for day, some in zip(found, shown, strict=True):
        add_file(db, datetime(day.year, day.month, day.day, 6, 14, tzinfo=UTC), some)
        add_orbit(db, day)
    return found


def test_a_preview_says_what_each_date_has_and_what_a_drop_would_gain(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    no_last = [b for b in every if b.id not in (IW1[2], IW2[2])]
    no_middle = [b for b in every if b.id != IW1[1]]
    made = make_files(database, [every, no_last, no_last, no_middle])
    found = preview_bursts(database, IDS, min_coverage=1.0)
    assert [day.date for day in found.dates] == made
    assert [day.usable for day in found.dates] == [True, False, False, False]
    assert (found.usable, found.complete, len(found.bursts)) == (1, 1, 6)
    assert set(found.dates[1].present) == set(IDS) - {IW1[2], IW2[2]} and found.dates[1].share == pytest.approx(2 / 3)
    assert "missing in the interior" in found.dates[3].reason
    best = found.drops[0]
    assert set(best.bursts) == {IW1[2], IW2[2]} and (best.usable, best.gain, best.complete, best.gap) == (3, 2, 3, False)
    middle = next(d for d in found.drops if d.bursts == (IW1[1],))
    assert middle.gap and middle.gain == 1
    looser = preview_bursts(database, IDS, min_coverage=0.6)
    assert looser.usable == 3 and looser.dates[1].usable
    assert database.query(Frame) == []
    with pytest.raises(RequestError, match="expected a share"):
        preview_bursts(database, IDS, min_coverage=1.5)
    with pytest.raises(RequestError, match="at least one burst"):
        preview_bursts(database, [])


def test_a_preview_agrees_with_what_the_frame_then_has(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    make_files(database, [every, every[:5], every[:3], every, every])
    before = preview_bursts(database, IDS)
    database.make_new_frame_using_burstlist(IDS, FRAME)
    report = database.update_procdates(FRAME)
    assert [d.date for d in before.dates] == report.dates
    assert {d.date for d in before.dates if not d.usable} == set(report.excluded)
    assert preview_frame(database, FRAME) == before
    fewer = preview_frame(database, FRAME, drop=IW2)
    assert fewer.usable == 5 and [b.id for b in fewer.bursts] == IW1
    with pytest.raises(RequestError, match="bursts of the frame to drop"):
        preview_frame(database, FRAME, drop=["132_1_IW1"])
    with pytest.raises(RequestError, match="at least one burst to be left"):
        preview_frame(database, FRAME, drop=IDS)


# Edit.


def test_other_bursts_mean_new_images_and_nothing_is_lost_without_asking(database: Database) -> None:
    made = make_frame(database, 4)
    more = bursts(4)
    insert_bursts(database, more)
    run_all(database, product=True)
    new = next(b.id for b in more if b.id not in IDS and b.swath == "IW1")
    before = {(p.stage, p.key) for p in database.query(Product)}
    with pytest.raises(
        NeedsConfirmation, match=r"add 132_.*_IW1: usable dates 4 -> 4; made again: 4 slc .*4 satsar .*1 ingest"
    ) as caught:
        edit_bursts(database, FRAME, add=[new])
    assert caught.value.effects == plan_edit(database, FRAME, add=[new])
    assert "the master" in caught.value.effects.warnings[0] and "lacks" in caught.value.effects.warnings[0]
    assert {(p.stage, p.key) for p in database.query(Product)} == before
    plan_, report = edit_bursts(database, FRAME, add=[new], drop=[IW2[0]], confirm=True)
    assert plan_.added == (new,) and plan_.dropped == (IW2[0],) and report.dates == made
    (frame,) = database.query(Frame)
    assert {b.id for b in frame.bursts} == (set(IDS) | {new}) - {IW2[0]}
    assert frame.geometry.equals(outline(b.geometry for b in frame.bursts))
    assert {p.stage for p in database.query(Product) if LEFT_BEHIND not in p.inputs} == {"download"}
    assert plan_edit(database, FRAME, drop=[IW2[1]]).redo == ()
    for row in (*database.query(Ifg), *database.query(Master)):
        assert (row.stage, row.status) == (Stage.SLC, ProcStatus.WAITING)
    assert {(row.stage, row.status) for row in database.query(RsarIfg)} == {(Stage.COHERENCE, ProcStatus.WAITING)}
    assert consistency.check(database).rows == []  # what stands on disk is no news
    titles = run_all(database, product=True)
    assert not [t for t in titles if t.startswith("download")]
    assert sum(t.startswith("slc") for t in titles) == 4
    assert not [p for p in database.query(Product) if LEFT_BEHIND in p.inputs]
    assert {(p.stage, p.key) for p in database.query(Product)} == before


def test_files_follow_the_bursts_of_a_frame(database: Database) -> None:
    every = bursts()
    insert_bursts(database, every)
    first, second, both = make_files(database, [every[:3], every[3:], every])
    database.make_new_frame_using_burstlist(IW1, FRAME)
    database.update_procdates(FRAME)
    assert {f.date for f in database.query(Frame)[0].files} == {first, both}
    plan_, report = edit_bursts(database, FRAME, add=IW2, drop=IW1)
    assert plan_.redo == () and {f.date for f in database.query(Frame)[0].files} == {second, both}
    assert report.dates == [second, both]
    with pytest.raises(RequestError, match="none that changes it"):
        edit_bursts(database, FRAME, add=IW2)
    with pytest.raises(RequestError, match="expected bursts of the frame to drop, got 132_8566_IW1"):
        edit_bursts(database, FRAME, drop=IW1[:1])
    with pytest.raises(RequestError, match="got both of"):
        edit_bursts(database, FRAME, add=[IW2[0]], drop=[IW2[0]])
    insert_bursts(database, bursts(1, ("IW1",), track=95))
    with pytest.raises(RequestError, match="bursts of track 132 only"):
        edit_bursts(database, FRAME, add=["95_8566_IW1"])
    shifted, _ = edit_bursts(database, FRAME, drop=["132_8577_IW2"])
    assert shifted.dropped == ("132_8575_IW2",) and "taken as" in shifted.warnings[0]


def test_bursts_are_not_changed_under_a_running_job(database: Database) -> None:
    make_frame(database, 3)
    plan(database)
    jobs.grant_pass(database)
    with pytest.raises(RequestError, match="expected no running jobs"):
        edit_bursts(database, FRAME, drop=[IW1[0]], confirm=True)
    assert len(database.query(Frame)[0].bursts) == 6


def test_notes_and_settings(database: Database) -> None:
    make_frame(database, 4)
    run_all(database, product=True)
    edit_notes(database, FRAME, "  landslide east of the A5 ")
    assert database.query(Frame)[0].notes == "landslide east of the A5"
    redo = edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": "7"}})
    assert redo[0].stage is Stage.SATSAR and redo[0].products == 4
    assert database.query(Frame)[0].stage_settings == {"satsar": {"esd_cell_lines": 7}}
    assert edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": 7}}) == ()
    for values, message in [
        ({"satsar": {"colour": 1}}, r"keys of \[SATSAR\] .*got colour"),
        ({"satsar": {"cpu": 4}}, "got cpu"),
        ({"sadsar": {}}, "expected a stage"),
        ({"satsar": {"esd_cell_lines": 0}}, "greater than or equal to 1"),
    ]:
        with pytest.raises(RequestError, match=message):
            edit_settings(database, FRAME, values)
    edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": None}})
    assert database.query(Frame)[0].stage_settings == {}


# Clone, retire, delete.


def test_a_clone_has_bursts_and_settings_and_is_off(database: Database) -> None:
    make_frame(database, 3)
    database.update(Frame, {"previous": 2, "priority": 7, "do_ingest": False, "notes": "n"}, id=FRAME)
    edit_settings(database, FRAME, {"satsar": {"esd_cell_lines": 7}})
    report = clone_frame(database, FRAME, "132A_COPY_TWO")
    assert report.files == 3 and sorted(report.bursts) == sorted(IDS)
    (copy,) = database.query(Frame, id="132A_COPY_TWO")
    assert (copy.previous, copy.priority, copy.do_ingest, copy.notes, copy.processing) == (2, 7, False, "n", False)
    assert copy.stage_settings == {"satsar": {"esd_cell_lines": 7}}
    assert database.query(Ifg, frame_id=copy.id) == []
    assert len(database.update_procdates(copy.id).dates) == 3
    for new_id, message in [(FRAME, "exists already"), ("95A_X", "frame id"), ("095A_X", "bursts of track 95 only")]:
        with pytest.raises(RequestError, match=message):
            clone_frame(database, FRAME, new_id)
    with pytest.raises(RequestError, match="found none"):
        clone_frame(database, "132A_NONE", "132A_OTHER")


def test_a_retired_frame_keeps_all_and_does_nothing_until_it_is_back(database: Database) -> None:
    make_frame(database, 4)
    step(database)
    assert plan(database).ready > 0
    rows = len(database.query(Ifg))
    pending, running = retire_frame(database, FRAME, who="somebody")
    assert pending > 0 and running == 0
    assert database.query(PendingJob) == [] and len(database.query(Ifg)) == rows
    assert plan(database).ready == 0 and jobs.grant_pass(database) == []
    with pytest.raises(RequestError, match="retired already"):
        retire_frame(database, FRAME)
    assert restore_frame(database, FRAME) is True
    with pytest.raises(RequestError, match="one in service"):
        restore_frame(database, FRAME)
    assert plan(database).ready == pending


def test_running_jobs_of_a_frame_to_be_retired_are_asked_about(database: Database) -> None:
    make_frame(database, 4)
    plan(database)
    granted = len(jobs.grant_pass(database))
    with pytest.raises(NeedsConfirmation, match=f"{granted} jobs are running: download on .*say whether"):
        retire_frame(database, FRAME)
    assert database.query(Frame)[0].retired_utc is None
    assert retire_frame(database, FRAME, running="let_end")[1] == granted
    assert all(job.cancel_by is None for job in database.query(RunningJob))
    restore_frame(database, FRAME)
    retire_frame(database, FRAME, running="cancel", who="somebody")
    assert {job.cancel_by for job in database.query(RunningJob)} == {"somebody"}


def test_deleting_a_frame_says_what_goes_and_asks(database: Database) -> None:
    make_frame(database, 3)
    plan(database)
    with pytest.raises(NeedsConfirmation, match=r"deleting it loses 3 pending and 0 failed jobs"):
        delete_frame(database, FRAME)
    jobs.grant_pass(database)
    with pytest.raises(RequestError, match="expected no running jobs"):
        delete_frame(database, FRAME, confirm=True)
    for job in database.query(RunningJob):
        jobs.cancel(database, job_id=job.job_id, who="me", hold=False)
    assert len(database.query(Frame)) == 1


def test_a_deleted_frame_takes_rows_and_leaves_files(database: Database) -> None:
    make_frame(database, 3)
    run_all(database, product=True)
    path = Path(database.query(Product)[0].path)
    with pytest.raises(NeedsConfirmation, match=r"the record of products: 3 download .*retiring loses nothing"):
        delete_frame(database, FRAME)
    gone = delete_frame(database, FRAME, confirm=True)
    assert gone.products[0].products == 3 and path.is_dir()
    assert database.query(Frame) == database.query(Ifg) == database.query(Product) == []
    assert len(database.query(File)) == 3 and len(database.query(Burst)) == 6
    insert_bursts(database, bursts())
    database.make_new_frame_using_burstlist(IDS, "132A_EMPTY")
    assert str(delete_frame(database, "132A_EMPTY")) == ""


def test_points_go_with_their_frame(database: Database, tmp_path: Path) -> None:
    insert_bursts(database, bursts())
    for frame_id in (FRAME, "132A_OTHER"):
        database.make_new_frame_using_burstlist(IDS, frame_id)
        write_points(tmp_path / frame_id, 40, 5)
        show_points(database, frame_id, tmp_path / frame_id)
    with pytest.raises(NeedsConfirmation, match="deleting it loses 40 points"):
        delete_frame(database, FRAME)
    delete_frame(database, FRAME, confirm=True)
    assert points.versions(database, FRAME) == [] and len(points.versions(database, "132A_OTHER")) == 1
