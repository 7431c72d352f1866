"""The archives' search by the real clients, against stand-ins that misbehave."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest
from archive_stand_ins import OVER_THE_SQUARE, catalogue, item, series, shelf_of, stand_in
from product_zips import SQUARE, START

from satdaemon.archive.area import Area
from satdaemon.archive.asf import AsfCatalogue
from satdaemon.archive.cdse import CdseCatalogue
from satdaemon.domain import Burst, Frame
from satdaemon.errors import ArchiveError, ConfigError, RequestError
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Faults, Trouble
from satdaemon.simulator.archives.umm import umm_of

BOTH = pytest.mark.parametrize("archive", ["asf", "cdse"])
HERE = Area.of_wkt(OVER_THE_SQUARE, 71, "D")


def names(found) -> list[str]:
    return [each.scene.id for each in found.listed]


@BOTH
def test_what_is_listed_is_what_the_archive_has(archive: str) -> None:
    one = item(md5="AB" * 16)
    with stand_in(archive, one) as server:
        (listed,) = catalogue(archive, server.base).search(HERE).listed
    scene = listed.scene
    assert (scene.id, scene.platform, scene.absolute_orbit, scene.track) == (one.name, "S1A", 46693, 71)
    assert (scene.start_utc, scene.stop_utc, scene.orbit_direction) == (one.start_utc, one.stop_utc, "D")
    assert (scene.size, scene.checksum, scene.path) == (4_000_000_000, "md5:" + "ab" * 16, None)
    assert listed.footprint == SQUARE and listed.published_utc == one.published_utc
    assert scene.proc_utc == (one.proc_utc if archive == "cdse" else None), "NASA's catalogue does not know it"
    assert scene.url.startswith(server.base)


@BOTH
def test_only_what_is_asked_for(archive: str) -> None:
    wanted = item()
    others = [
        item(START + timedelta(days=1), track=20, crc="0001"),
        item(START + timedelta(days=2), direction="A", crc="0002"),
        item(START + timedelta(days=3), footprint=tuple((lon + 40, lat) for lon, lat in SQUARE), crc="0003"),
    ]
    with stand_in(archive, wanted, *others) as server:
        client = catalogue(archive, server.base)
        assert names(client.search(HERE)) == [wanted.name]
        assert len(client.search(Area.of_wkt(OVER_THE_SQUARE)).listed) == 3
        assert server.tally.of("search") == 2


@BOTH
def test_times_of_sensing_and_of_becoming_known(archive: str) -> None:
    items = series(6)
    late = replace(items[1], published_utc=items[5].published_utc + timedelta(days=900))
    with stand_in(archive, items[0], late, *items[2:]) as server:
        client = catalogue(archive, server.base)
        within = replace(HERE, start_utc=items[2].start_utc - timedelta(hours=1), stop_utc=items[4].start_utc)
        assert names(client.search(within)) == [each.name for each in items[2:5]]
        since = replace(HERE, since_utc=items[5].published_utc - timedelta(hours=1))
        assert names(client.search(since)) == [late.name, items[5].name], "an old acquisition that is new in the archive"


@BOTH
@pytest.mark.parametrize("duplicates", [False, True])
def test_pages(archive: str, duplicates: bool) -> None:
    items = series(30)
    with stand_in(archive, *items, duplicates=duplicates) as server:
        found = catalogue(archive, server.base, page=7).search(HERE)
        assert names(found) == [each.name for each in items], "each once, none lost"
        assert (found.duplicates > 0) == duplicates
        assert found.requests == server.tally.of("search") <= 5 + duplicates


@BOTH
def test_a_page_that_is_exactly_full_costs_no_further_request(archive: str) -> None:
    with stand_in(archive, *series(14)) as server:
        assert len(catalogue(archive, server.base, page=7).search(HERE).listed) == 14
        assert server.tally.of("search") == 2


@BOTH
def test_both_products_of_a_reissue_are_listed_and_a_later_one_appears(archive: str) -> None:
    first = item()
    again = item(crc="FFFF", proc_utc=START + timedelta(days=30), published_utc=START + timedelta(days=31))
    with stand_in(archive, first, again) as server:
        server.shelf.withhold(again.name, 2)
        client = catalogue(archive, server.base)
        counts = [len(client.search(HERE).listed) for _ in range(4)]
    assert counts == [1, 1, 2, 2]


@BOTH
def test_across_the_180th_meridian(archive: str) -> None:
    fiji = ((179.0, -18.0), (-179.0, -18.0), (-179.0, -16.0), (179.0, -16.0))
    east, west = item(footprint=fiji), item(crc="0001", footprint=tuple(((lon - 8) % 360 - 360, lat) for lon, lat in fiji))
    burst = Burst("071_1_IW1", 71, "D", 1, "IW1", None, ((179.5, -17.5), (-179.5, -17.5), (-179.5, -17.0), (179.5, -17.0)))
    with stand_in(archive, east, west) as server:
        found = catalogue(archive, server.base).search(Area.of_frames([Frame("071D_FIJI", 71, "D", (burst,))]))
        assert names(found) == [east.name]
        assert server.tally.of("status 400") == 0


@BOTH
def test_a_day_of_a_thousand_frames_is_a_few_requests(archive: str) -> None:
    frames = []
    for k in range(1000):
        lon, lat, track = -170 + 8.6 * (k % 40), -70 + 5.5 * (k // 40), 1 + k % 175
        square = ((lon, lat), (lon + 2, lat), (lon + 2, lat + 1.5), (lon, lat + 1.5))
        burst = Burst(f"{track:03d}_{k}_IW1", track, "AD"[k % 2], k, "IW1", None, square)
        frames.append(Frame(f"{track:03d}{'AD'[k % 2]}_F{k}", track, "AD"[k % 2], (burst,)))
    day = [
        item(
            START + timedelta(seconds=28 * k),
            crc=f"{k:04X}",
            track=(f := frames[k % 1000]).track,
            direction=f.orbit_direction,
            footprint=tuple((lon + 0.5 + 180 * (k >= 1000) * (lat < 0), lat) for lon, lat in f.bursts[0].footprint),
        )
        for k in range(2000)
    ]
    area = Area.of_frames(frames, since_utc=START)
    with stand_in(archive, *day) as server:
        found = catalogue(archive, server.base, timeout_s=30).search(area)
        assert server.tally.of("search") <= 4
    assert {name for each in found.listed[:1000] for name in area.shown(each.scene, each.footprint)} == {f.id for f in frames}
    assert 1000 <= len(found.listed) < 2000, "what shows no frame is left out"


PASSING = [
    Fault.BROKEN,
    Trouble(Fault.THROTTLED, retry_after_s=0.02),
    Trouble(Fault.THROTTLED, retry_after_s=None),
    Fault.HTML,
    Trouble(Fault.SILENT, seconds=0.05),
    Trouble(Fault.BODY, body=b'{"value": [{"Name": "S1A'),
    Trouble(Fault.BODY, body=b""),
]


@BOTH
@pytest.mark.parametrize("trouble", PASSING, ids=range(len(PASSING)))
def test_what_may_pass_is_asked_again(archive: str, trouble: Trouble | Fault) -> None:
    faults = Faults()
    faults.expect("search", trouble, trouble)
    with stand_in(archive, *series(3), faults=faults) as server:
        found = catalogue(archive, server.base).search(HERE)
        assert len(found.listed) == 3 and found.requests == server.tally.of("search") == 3


@BOTH
@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (Fault.BROKEN, "got HTTP 500; try again later"),
        (Trouble(Fault.THROTTLED, retry_after_s=0.01), "got HTTP 429; try again later"),
        (Fault.HTML, "got a page of HTML; try again later"),
        (Trouble(Fault.BODY, body=b"{" * 9), "got what cannot be read as JSON"),
        (Trouble(Fault.BODY, body=b"[" * 100_000), "got what cannot be read as JSON"),
        (Trouble(Fault.SILENT, seconds=0.9), r"got no answer within 0\.3 s|got RemoteProtocolError"),
    ],
    ids=["500", "429", "html", "cut", "nested", "silent"],
)
def test_what_does_not_pass_is_an_archive_error_after_three_requests(archive: str, trouble, expected: str) -> None:
    faults = Faults()
    faults.expect("search", *[trouble] * 9)
    with stand_in(archive, faults=faults) as server:
        with pytest.raises(ArchiveError, match=expected) as caught:
            catalogue(archive, server.base, timeout_s=0.3).search(HERE)
        assert server.tally.of("search") == 3
    assert str(caught.value).startswith(f"{archive} (127.0.0.1:") and "POLYGON" not in str(caught.value)


@BOTH
@pytest.mark.parametrize("fault", [Fault.UNAUTHORISED, Fault.FORBIDDEN])
def test_a_refusal_is_not_asked_again(archive: str, fault: Fault) -> None:
    faults = Faults()
    faults.expect("search", fault)
    with stand_in(archive, *series(1), faults=faults) as server:
        with pytest.raises(ArchiveError, match=f"got HTTP {fault.value}; is the address right"):
            catalogue(archive, server.base).search(HERE)
        assert server.tally.of("search") == 1


@BOTH
def test_a_long_wait_is_told_and_not_waited(archive: str) -> None:
    faults = Faults()
    faults.expect("search", Trouble(Fault.THROTTLED, retry_after_s=900))
    with stand_in(archive, faults=faults) as server:
        with pytest.raises(ArchiveError, match="HTTP 429") as caught:
            catalogue(archive, server.base).search(HERE)
        assert (caught.value.retry_after_s, server.tally.of("search")) == (900, 1)


@BOTH
def test_nobody_there(archive: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ArchiveError, match="expected search results, got ConnectError"):
            catalogue(archive, base).search(HERE)


@BOTH
@pytest.mark.parametrize(
    "base", ["", "ftp://host", "host", "https://user:secret@host", "https://", "https://host:x", "http://[::"]
)
def test_an_address_that_is_none_and_no_login_in_it(archive: str, base: str) -> None:
    with pytest.raises(ConfigError, match=f"{archive}: expected an address such as https://host") as caught:
        catalogue(archive, base)
    assert "secret" not in str(caught.value)


@BOTH
def test_a_question_that_the_archive_refuses(archive: str) -> None:
    with stand_in(archive) as server:
        with pytest.raises(RequestError, match=r"got HTTP 400: .*; change what is asked for"):
            catalogue(archive, server.base, page=5000).search(HERE)
        with pytest.raises(RequestError, match="that is the whole archive"):
            catalogue(archive, server.base).search(Area())
        assert server.tally.of("search") == 1


def body(archive: str, entries: object, **more: object) -> Trouble:
    document = {"items": entries, "hits": 10} if archive == "asf" else {"value": entries}
    return Trouble(Fault.BODY, body=json.dumps({**document, **more}).encode())


ODD_ENTRIES = [None, 7, "S1A", [], {}, {"umm": None, "meta": 3}, {"Name": 5, "Id": []}, {"umm": {"Platforms": "x"}, "meta": {}}]


@BOTH
def test_entries_of_no_shape_are_skipped_and_counted(archive: str) -> None:
    faults = Faults()
    faults.expect("search", body(archive, ODD_ENTRIES))
    with stand_in(archive, faults=faults) as server:
        found = catalogue(archive, server.base).search(HERE)
    assert found.listed == () and sum(found.skipped.values()) == len(ODD_ENTRIES)


@BOTH
@pytest.mark.parametrize("document", [[], 5, None, {}, {"items": {}, "value": {}}, {"items": [], "hits": "x", "value": 3}])
def test_a_document_of_another_shape(archive: str, document: object) -> None:
    faults = Faults()
    faults.expect("search", Trouble(Fault.BODY, body=json.dumps(document).encode()))
    with (
        stand_in(archive, faults=faults) as server,
        pytest.raises(ArchiveError, match="expected pages of products, got a document without a list"),
    ):
        catalogue(archive, server.base).search(HERE)


@BOTH
def test_an_answer_that_is_too_big(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satdaemon.archive.web.MOST_BYTES", 1 << 20)
    faults = Faults()
    faults.expect("search", Trouble(Fault.BODY, body=b'"' + b"x" * (2 << 20) + b'"'))
    with stand_in(archive, faults=faults) as server:
        with pytest.raises(ArchiveError, match="got more than 1 MB; narrow the search"):
            catalogue(archive, server.base).search(HERE)
        assert server.tally.of("search") == 1


@pytest.mark.parametrize("hits", [0, 3, 10**12])
def test_an_announcement_that_is_not_kept(hits: int) -> None:
    """asf-search itself would ask for ever, or end too early."""
    with AsfStandIn(shelf_of(*series(3))) as server:
        items = umm_of(server.shelf.items(), server.base)
        server.faults.expect("search", *[body("asf", items, hits=hits)] * 50)
        assert len(AsfCatalogue(server.base, pause_s=0.01).search(HERE).listed) == 3
        assert server.tally.of("search") == 1


def test_more_than_can_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satdaemon.archive.asf_pages.MOST_PAGES", 4)
    with AsfStandIn(shelf_of(*series(30))) as server:
        with pytest.raises(RequestError, match="asf: expected at most 28 products, got 30; narrow the times or the area"):
            AsfCatalogue(server.base, page=7).search(HERE)
        assert server.tally.of("search") == 1


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("{base}/odata/v1/Products?$skip=1", "a next page that was there before"),
        ("http://127.0.0.1:9/odata/v1/Products?$skip=1", "a next page at another place"),
        ("https://evil.example/odata/v1/Products?$skip=1", "a next page at another place"),
        ("http://user@{host}/odata/v1/Products?$skip=1", "a next page at another place"),
        ("{base}/elsewhere?$skip=1", "a next page at another place"),
        ("//[", "a next page without an address"),
        (5, "a next page without an address"),
    ],
)
def test_next_links_that_lead_nowhere(link: object, expected: str) -> None:
    with CdseStandIn(shelf_of()) as server:
        link = link.format(base=server.base, host=server.base[7:]) if isinstance(link, str) else link
        server.faults.expect("search", *[body("cdse", [{}], **{"@odata.nextLink": link})] * 50)
        with pytest.raises(ArchiveError, match=expected):
            CdseCatalogue(server.base, pause_s=0.01).search(HERE)
        assert server.tally.of("search") <= 2


def test_next_links_without_end_and_more_than_the_catalogue_counts() -> None:
    with CdseStandIn(shelf_of()) as server:
        links = [f"{server.base}/odata/v1/Products?$page={k}" for k in range(50)]
        server.faults.expect("search", *[body("cdse", [{}], **{"@odata.nextLink": link}) for link in links])
        with pytest.raises(ArchiveError, match="pages without end"):
            CdseCatalogue(server.base, pause_s=0.01).search(HERE)
        assert server.tally.of("search") < 30
    with CdseStandIn(shelf_of()) as server:
        link = f"{server.base}/odata/v1/Products?$skip=11000"
        server.faults.expect("search", body("cdse", [{}], **{"@odata.nextLink": link}))
        with pytest.raises(RequestError, match="expected at most 11000 products, got more"):
            CdseCatalogue(server.base, pause_s=0.01).search(HERE)


def test_no_login_is_sent_from_netrc_nor_reports_to_anybody(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for archive in ("asf", "cdse"):
        with stand_in(archive, item()) as server:
            seen: list[str | None] = []
            answer = server._main._server.answer
            server._main._server.answer = lambda call, a=answer, s=seen: (s.append(call.headers.get("authorization")), a(call))[1]
            catalogue(archive, server.base).search(HERE)
            assert seen == [None]
    asf_search = import_module("asf_search")
    assert asf_search.REPORT_ERRORS is False
