"""Looking for new scenes: since when, in how many requests, and what a silent archive changes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from archive_stand_ins import at_stand_ins, item, shelf_of
from product_zips import product_name

from satdaemon.db import Database, File, FileSource, Frame, JobEvent, messages
from satdaemon.db.archive_watch import LookReport, look, silent_since
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.models import ArchiveLook, frames2files
from satdaemon.domain import Burst
from satdaemon.messages import tell_silent_archives
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Item, Shelf, Trouble

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FRAME = "071D_WATCH"
ORBIT_S, INCLINATION = 12 * 86400 / 175, math.radians(98.18)
NODE = datetime(2026, 1, 1, 0, tzinfo=UTC)


def square(lon: float, lat: float, size: float = 1.0) -> tuple[tuple[float, float], ...]:
    corners = [(lon, lat), (lon + size, lat), (lon + size, lat + size), (lon, lat + size)]
    return tuple((round((x + 180) % 360 - 180, 4), round(min(max(y, -85), 85), 4)) for x, y in corners)


def burst(track: int, direction: str, anx: int, corners: tuple[tuple[float, float], ...]) -> Burst:
    return Burst(f"{track}_{anx}_IW1", track, direction, anx, "IW1", None, corners)


def make_frame(db: Database, frame_id: str = FRAME, lon: float = 11.2, lat: float = 50.6) -> None:
    track, direction = int(frame_id[:3]), frame_id[3]
    made = [burst(track, direction, 1000 + 28 * k, square(lon, lat + 0.2 * k, 0.2)) for k in range(2)]
    insert_bursts(db, made)
    db.make_new_frame_using_burstlist([b.id for b in made], frame_id)
    db.update(Frame, {"processing": True}, id=frame_id)


def scene(sensed: datetime, published: datetime | None = None, **more) -> Item:
    return item(sensed, footprint=square(11, 50.5), published_utc=published or sensed + 4 * HOUR, **more)


def use(db: Database, *names: str, **stand_ins) -> Database:
    download = db.settings.download.model_copy(update={"archives": names})
    db.settings = at_stand_ins(db.settings.model_copy(update={"download": download}), **stand_ins)
    return db


def known(db: Database) -> set[str]:
    return {file.id for file in db.query(File)}


def cursor(db: Database, name: str = "cdse") -> ArchiveLook:
    (row,) = db.query(ArchiveLook, archive=name)
    return row


def settled(db: Database) -> None:
    """No frame's whole history is wanted."""
    db.update(Frame, {"searched_utc": NOW}, retired_utc=None)


def test_new_scenes_are_found_once_and_tied_and_the_planner_hears_of_them(database: Database) -> None:
    make_frame(database)
    settled(database)
    old, new = scene(NOW - 30 * DAY, orbit=1), scene(NOW - 5 * HOUR, orbit=176)
    elsewhere = item(NOW - 4 * HOUR, footprint=square(60, 50.5), published_utc=NOW - HOUR, crc="0003")
    with CdseStandIn(shelf_of(old, new, elsewhere)) as server:
        use(database, "cdse", cdse=server)
        report = look(database, now=NOW)
        assert (report.asked, report.frames, report.found, report.added, report.requests) == (("cdse",), 1, 1, 1, 1)
        assert known(database) == {new.name}, "what was published long ago is for the whole history"
        (row,) = database.query(File)
        assert (row.state, row.size) == ("remote", new.size)
        assert database.query(FileSource)[0].published_utc == new.published_utc
        with database.read_scope() as session:
            (tie,) = session.execute(frames2files.select()).all()
        assert (tie.frame_id, tie.file_id) == (FRAME, new.name)
        (event,) = database.query(JobEvent, event="changed", who="watch")
        assert "1 scenes added" in str(event.message)
        assert cursor(database).until_utc == NOW
        assert look(database, now=NOW + HOUR) == LookReport()
        again = look(database, now=NOW + 6 * HOUR)
        assert (again.found, again.added, again.renewed) == (1, 0, 0), "within the overlap"
        assert server.tally.of("search") == 2


def test_what_is_listed_late_or_sensed_long_ago_is_found_by_its_publication(database: Database) -> None:
    make_frame(database)
    settled(database)
    sensed_long_ago = scene(NOW - 400 * DAY, published=NOW + 2 * HOUR, orbit=1)
    late = scene(NOW - 30 * HOUR, published=NOW - 5 * HOUR, orbit=176)
    shelf = shelf_of(sensed_long_ago)
    with CdseStandIn(shelf) as server:
        use(database, "cdse", cdse=server)
        look(database, now=NOW)
        shelf.add(late)
        look(database, now=NOW + 6 * HOUR)
    assert known(database) == {sensed_long_ago.name, late.name}


def test_a_reissued_product_is_entered_beside_the_first_and_counts(database: Database) -> None:
    make_frame(database)
    settled(database)
    sensed = NOW - 40 * DAY
    first = scene(sensed, published=NOW - HOUR, proc_utc=sensed + 3 * HOUR, crc="AAAA")
    again = scene(sensed, published=NOW + 5 * HOUR, proc_utc=NOW + 2 * HOUR, crc="BBBB")
    shelf = shelf_of(first)
    with CdseStandIn(shelf) as server:
        use(database, "cdse", cdse=server)
        look(database, now=NOW)
        database.update_procdates(FRAME)
        shelf.add(again)
        assert look(database, now=NOW + 6 * HOUR).added == 1
        database.update_procdates(FRAME)
    with database.read_scope() as session:
        valid = {row.file_id: row.valid for row in session.execute(frames2files.select())}
    assert valid == {first.name: 0, again.name: 1}


def test_an_archive_that_is_silent_moves_nothing_and_is_told_when_it_lasts(database: Database) -> None:
    make_frame(database)
    settled(database)
    shelf = Shelf()
    with CdseStandIn(shelf) as server, AsfStandIn(Shelf()) as asf:
        use(database, "cdse", "asf", cdse=server, asf=asf)
        look(database, now=NOW)
        shelf.add(scene(NOW + 2 * HOUR))
        server.faults.expect("search", *[Fault.FORBIDDEN] * 3)
        reports = [look(database, now=moment) for moment in (NOW + 7 * HOUR, NOW + 7.25 * HOUR, NOW + 7.75 * HOUR)]
        assert all("HTTP 403" in report.silent["cdse"] for report in reports)
        assert [report.asked for report in reports] == [("cdse", "asf"), ("cdse",), ("cdse",)], "asked again, ever more seldom"
        row = cursor(database)
        assert (row.until_utc, row.failing_utc, row.failures) == (NOW, NOW + 7 * HOUR, 3)
        assert cursor(database, "asf").until_utc == NOW + 7 * HOUR, "the other one is searched"
        assert tell_silent_archives(database, NOW + 8 * HOUR) == []
        assert tell_silent_archives(database, NOW + 13 * HOUR) == ["archive/cdse"]
        assert tell_silent_archives(database, NOW + 13 * HOUR) == [], "once"
        (told,) = [m for m in messages.listing(database) if m.kind == "archive"]
        assert told.title == "archive cdse does not answer" and "HTTP 403" in told.body
        assert known(database) == set()
        report = look(database, now=NOW + 13 * HOUR)
        assert report.silent == {} and len(known(database)) == 1 and silent_since(database) == {}
        assert tell_silent_archives(database, NOW + 13 * HOUR) == []
        assert [m.title for m in messages.listing(database) if m.kind == "archive" and m.level == "info"] == [
            "archive cdse answers again"
        ]


def test_an_archive_that_asks_for_time_gets_it(database: Database) -> None:
    make_frame(database)
    with CdseStandIn(Shelf()) as server:
        server.faults.expect("search", Trouble(Fault.THROTTLED, retry_after_s=7200))
        look(use(database, "cdse", cdse=server), now=NOW)
    assert cursor(database).next_utc == NOW + 2 * HOUR


@pytest.mark.parametrize("name", ["asf", "cdse"])
def test_after_a_long_silence_all_is_searched_in_parts(database: Database, name: str) -> None:
    make_frame(database)
    settled(database)
    items = [scene(NOW + k * DAY, orbit=200 + k) for k in range(9)]
    kind = {"asf": AsfStandIn, "cdse": CdseStandIn}[name]
    shelf = Shelf()
    with kind(shelf) as server:
        use(database, name, **{name: server})
        look(database, now=NOW)
        shelf.add(*items)
        report = look(database, now=NOW + 9 * DAY)
        assert report.added == 9 and report.requests == 5 and known(database) == {one.name for one in items}


def test_the_history_of_a_new_frame_is_searched_and_again_when_it_is_old(database: Database) -> None:
    make_frame(database)
    items = [scene(NOW - 12 * k * DAY, orbit=9000 - 175 * k) for k in range(1, 8)]
    shelf = shelf_of(*items)
    with CdseStandIn(shelf) as server:
        use(database, "cdse", cdse=server)
        report = look(database, now=NOW)
        assert report.whole == [FRAME] and known(database) == {one.name for one in items}
        forgotten = scene(NOW - 300 * DAY, orbit=9999)
        shelf.add(forgotten)
        assert look(database, now=NOW + 6 * HOUR).whole == []
        report = look(database, now=NOW + 121 * DAY)
        assert report.whole == [FRAME] and forgotten.name in known(database)


def test_many_new_frames_are_searched_for_in_turns_and_filled_ones_not_again(database: Database) -> None:
    for k in range(23):
        make_frame(database, f"071D_N{k:02d}", 11.2, 50.6 + 0.5 * k / 23)
    with CdseStandIn(Shelf()) as server:
        use(database, "cdse", cdse=server)
        database.fill_files_table("071D_N07")
        assert len(look(database, now=NOW).whole) == 20
        assert look(database, now=NOW + 0.1 * HOUR) == LookReport()
        report = look(database, now=NOW + 0.25 * HOUR)
        assert len(report.whole) == 2 and "071D_N07" not in report.whole
        assert look(database, now=NOW + 0.6 * HOUR) == LookReport(), "from now on as configured"


def test_frames_that_are_off_or_without_footprints_are_not_searched_for(database: Database) -> None:
    make_frame(database)
    database.update(Frame, {"processing": False}, id=FRAME)
    with CdseStandIn(Shelf()) as server:
        use(database, "cdse", cdse=server)
        assert look(database, now=NOW).requests == 0 and server.tally.of("search") == 0
        never = database.settings.download.model_copy(update={"search_interval_h": 0.0})
        database.settings = database.settings.model_copy(update={"download": never})
        assert look(database, now=NOW) == LookReport()


def under(track: int, seconds: float) -> tuple[float, float]:
    """(lon, lat) below the satellite so long after its node, of a circular orbit of Sentinel-1's inclination."""
    u = 2 * math.pi * seconds / ORBIT_S
    lat = math.asin(math.sin(INCLINATION) * math.sin(u))
    ahead = math.atan2(math.cos(INCLINATION) * math.sin(u), math.cos(u))
    node = -(track - 1) * 360 * 12 / 175
    return node + math.degrees(ahead) - seconds * 360 / 86400, math.degrees(lat)


def earth(count: int) -> list[tuple[str, int, str, float, tuple[tuple[float, float], ...]]]:
    """Frames all over the land's latitudes: (id, track, direction, seconds after the node, footprint)."""
    found = []
    for k in range(count):
        track, ascending = k * 37 % 175 + 1, k % 2 == 0
        fraction = (0.02 + 0.19 * (k * 0.618 % 1)) if ascending else (0.29 + 0.19 * (k * 0.618 % 1))
        lon, lat = under(track, fraction * ORBIT_S)
        name = f"{track:03d}{'A' if ascending else 'D'}_E{k:04d}"
        found.append((name, track, name[3], fraction * ORBIT_S, square(lon, lat, 1.5)))
    return found


def test_a_day_of_a_thousand_frames_costs_at_most_twenty_requests(database: Database) -> None:
    frames = earth(1000)
    made = {name: burst(track, way, round(10 * s) % 59245, place) for name, track, way, s, place in frames}
    insert_bursts(database, list(made.values()))
    with database.session_scope() as session:
        known_bursts = {b.id: b for b in session.query(import_module("satdaemon.db.models").Burst)}
        for number, (name, track, way, *_) in enumerate(frames):
            age = timedelta(days=120 * number / 1000)
            frame = Frame(id=name, track=track, orbit_direction=way, processing=True, searched_utc=NOW - age, stage_settings={})
            frame.bursts.append(known_bursts[made[name].id])
            session.add(frame)
    world: list[Item] = []
    for second in range(0, 86400, 70):  # 1,235 scenes a day, as of two satellites
        track, since = second // int(ORBIT_S) % 175 + 1, second % int(ORBIT_S)
        sensed = NOW - 4 * HOUR + timedelta(seconds=second)
        way = "A" if since < ORBIT_S / 4 or since > 0.75 * ORBIT_S else "D"
        place = square(*under(track, since), 1.5)
        name = product_name(sensed, orbit=60000 + second // int(ORBIT_S))
        published = sensed + 4 * HOUR
        world.append(Item(name, sensed, sensed + timedelta(seconds=27), track, way, place, published, None, 4_000_000_000))
    shown = {name for name, track, way, _, place in frames}
    assert len(shown) == 1000
    shelf = Shelf()
    with CdseStandIn(shelf) as server:
        use(database, "cdse", cdse=server)
        look(database, now=NOW)
        before, reports = server.tally.of("search"), []
        for moment in (NOW + k * 6 * HOUR for k in range(1, 5)):
            shelf.add(*(one for one in world if one.published_utc <= moment))
            reports.append(look(database, now=moment))
        requests = server.tally.of("search") - before
    assert [report.frames for report in reports] == [1000] * 4
    assert [report.warnings for report in reports] == [[]] * 4
    assert sum(report.added for report in reports) > 20, "some of the day's scenes show some of the frames"
    whole = sum(len(report.whole) for report in reports)
    assert 8 <= whole <= 12, "and the history of each frame is searched once in 120 days"
    assert requests <= 20, requests
