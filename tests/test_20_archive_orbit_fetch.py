"""Orbit files from a bucket on loopback: which are fetched, when, and what of them is believed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from archive_stand_ins import host
from orbit_files import START, STOP, minutes, precise, restituted, write_orbit
from pydantic import ValidationError

from satdaemon.archive import orbit_fetch, orbits
from satdaemon.archive.orbit_bucket import OrbitBucket
from satdaemon.archive.orbit_offers import archives_of
from satdaemon.config import ArchiveSettings, DownloadSettings
from satdaemon.errors import ArchiveError, ConfigError, NotReady
from satdaemon.simulator.archives import CdseStandIn, Fault, Faults, OrbitStandIn, Shelf, Trouble

OLD, YOUNG = START + timedelta(days=40), START + timedelta(days=3)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("orbits", "bucket"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def bucket(folder: Path) -> Iterator[OrbitStandIn]:
    with OrbitStandIn(folder / "bucket") as server:
        yield server


def client(server: OrbitStandIn | str, **more) -> OrbitBucket:
    base = server if isinstance(server, str) else server.base
    return OrbitBucket(base, **{"pause_s": 0.01, "timeout_s": 2.0, **more})


def choose(folder: Path, *servers: OrbitStandIn | str, now=OLD, **more) -> orbits.OrbitChoice:
    return orbit_fetch.choose(folder / "orbits", [client(server) for server in servers], "S1A", START, STOP, now=now, **more)


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


def test_a_precise_orbit_is_fetched_in_two_requests_and_used_again(folder: Path, bucket: OrbitStandIn) -> None:
    wanted = precise(folder / "bucket")
    restituted(folder / "bucket", 105, 30)
    for _ in range(2):
        choice = choose(folder, bucket)
        assert choice == orbits.OrbitChoice((folder / "orbits" / wanted.name,), "POEORB")
    assert choice.paths[0].read_bytes() == wanted.read_bytes()
    assert names(folder / "orbits") == [wanted.name]
    assert bucket.tally.kinds() == {"bytes": wanted.stat().st_size, "data": 1, "search": 1, "status 200": 2}


def test_a_restituted_one_while_there_is_no_precise_one(folder: Path, bucket: OrbitStandIn) -> None:
    wanted = restituted(folder / "bucket", 105, 30, created=STOP + minutes(40))
    assert choose(folder, bucket, now=YOUNG).paths == (folder / "orbits" / wanted.name,)
    assert bucket.tally.of("search") == 1, "a precise orbit of three days ago cannot be there yet"
    found = choose(folder, bucket)
    assert found.kind == "RESORB" and found.notes == ()
    wanted = precise(folder / "bucket")
    assert choose(folder, bucket).paths == (folder / "orbits" / wanted.name,), "the precise one as soon as it is there"


def test_two_restituted_ones_that_join_of_which_one_is_here(folder: Path, bucket: OrbitStandIn) -> None:
    restituted(folder / "bucket", 150, -40, created=STOP + minutes(1))
    early = restituted(folder / "orbits", 150, 0.2)
    late = restituted(folder / "bucket", 60, 100, created=STOP + minutes(140))
    assert choose(folder, bucket, now=YOUNG).paths == (early, folder / "orbits" / late.name)
    assert names(folder / "orbits") == sorted([early.name, late.name])


def test_restituted_ones_are_left_where_they_are_not_accepted(folder: Path, bucket: OrbitStandIn) -> None:
    restituted(folder / "bucket", 105, 30, created=STOP + minutes(40))
    with pytest.raises(NotReady, match=r"Nor has aws .* one that serves"):
        choose(folder, bucket, accept_resorb=False)
    before = bucket.tally.of("search")
    with pytest.raises(NotReady) as caught:
        choose(folder, bucket, accept_resorb=False, now=YOUNG)
    assert "Nor has" not in str(caught.value) and bucket.tally.of("search") == before, "nothing is asked for in vain"
    assert names(folder / "orbits") == []


def many(folder: Path, count: int, *, first: int = -30, size: int = 1) -> None:
    """Names, without content, of precise orbits a day apart, published 20 days later."""
    for k in range(first, first + count):
        day = START.replace(hour=0, minute=0, second=0) + k * DAY
        begin, end, made = day - timedelta(seconds=3618), day + timedelta(hours=25), day + timedelta(days=20, hours=12)
        stamp = [f"{t:%Y%m%dT%H%M%S}" for t in (made, begin, end)]
        (folder / f"S1A_OPER_AUX_POEORB_OPOD_{stamp[0]}_V{stamp[1]}_{stamp[2]}.EOF").write_bytes(b"x" * size)


def test_one_small_page_of_a_large_bucket_serves_and_an_orbit_made_anew_is_found(folder: Path, bucket: OrbitStandIn) -> None:
    many(folder / "bucket", 2400)
    wanted = precise(folder / "bucket", created=STOP + timedelta(days=20, hours=23))
    offers = client(bucket).offers("POEORB", "S1A", [orbits.needed_interval(START, STOP)])
    assert wanted.name in {offer.name for offer in offers} and bucket.tally.of("search") == 1
    wanted.unlink()
    for path in (folder / "bucket").glob("*_V2023010[78]*"):
        path.unlink()
    wanted = precise(folder / "bucket", created=STOP + timedelta(days=1500))
    offers = client(bucket).offers("POEORB", "S1A", [orbits.needed_interval(START, STOP)])
    assert {offer.name for offer in offers} == {wanted.name}
    assert bucket.tally.of("search") == 1 + 3, "100 names, then 1,000 at a time to the end"


def test_the_orbits_of_a_year_in_one_request_a_satellite(folder: Path, bucket: OrbitStandIn) -> None:
    many(folder / "bucket", 365, first=0)
    wanted = [orbits.needed_interval(START + k * DAY, STOP + k * DAY) for k in range(0, 365, 12)]
    found = orbit_fetch.fetch_precise(folder / "orbits", [client(bucket)], {"S1A": wanted, "S1B": wanted})
    assert bucket.tally.of("search") == 2
    assert found.fetched == [] and len(found.said) == len(wanted), "each is an `x`, which is said once"
    assert names(folder / "orbits") == []


DAMAGE = {
    "an empty file": lambda text: "",
    "a complete XML document": lambda text: text[: len(text) // 2],
    "an orbit of S1A as its name says, got one of S1B": lambda text: text.replace("Sentinel-1A", "Sentinel-1B"),
    "Validity_Start": lambda text: text.replace("<Validity_Start>UTC=2023", "<Validity_Start>UTC=2021"),
    "one that cannot be read": lambda text: "Service unavailable",
}


@pytest.mark.parametrize("words", DAMAGE)
def test_what_is_not_the_orbit_is_never_seen_in_the_directory(folder: Path, bucket: OrbitStandIn, words: str) -> None:
    precise(folder / "bucket", edit=DAMAGE[words], created=STOP + timedelta(days=22))
    with pytest.raises(NotReady) as caught:
        choose(folder, bucket)
    message = str(caught.value)
    assert words in message and "it was not kept" in message and ".part" not in message
    assert names(folder / "orbits") == []
    good = precise(folder / "bucket", created=STOP + timedelta(days=21))
    choice = choose(folder, bucket)
    assert choice.paths == (folder / "orbits" / good.name,) and words in choice.notes[0]


def test_a_damaged_file_of_the_directory_is_fetched_anew(folder: Path, bucket: OrbitStandIn) -> None:
    wanted = precise(folder / "bucket")
    (folder / "orbits" / wanted.name).write_text("half")
    assert choose(folder, bucket).kind == "POEORB"
    assert (folder / "orbits" / wanted.name).read_bytes() == wanted.read_bytes()


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.BROKEN, Fault.HTML, Trouble(Fault.THROTTLED, retry_after_s=0.05)])
def test_a_fault_that_passes(folder: Path, bucket: OrbitStandIn, fault: Fault | Trouble) -> None:
    wanted = precise(folder / "bucket")
    bucket.faults.expect("search", *([fault] if fault is not Fault.CUT else []))
    bucket.faults.expect("data/", fault)
    assert choose(folder, bucket).paths == (folder / "orbits" / wanted.name,)


def test_a_wrong_length_is_told(folder: Path, bucket: OrbitStandIn) -> None:
    precise(folder / "bucket")
    bucket.faults.expect("data/", Fault.LENGTH)
    with pytest.raises(NotReady, match=r"expected S1A_OPER_AUX_POEORB_.* of \d+ bytes, got \d+ bytes"):
        choose(folder, bucket)
    assert names(folder / "orbits") == []


SICK = {
    "broken": (Trouble(Fault.BROKEN), "HTTP 500"),
    "closed": (Trouble(Fault.FORBIDDEN), "HTTP 403"),
    "html": (Trouble(Fault.HTML), "a page of HTML"),
    "no listing": (Trouble(Fault.BODY, body=b"<Error/>", content_type="application/xml"), "another document"),
    "no xml": (Trouble(Fault.BODY, body=b"{}", content_type="application/json"), "a listing in XML"),
    "bomb": (Trouble(Fault.BODY, body=b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', content_type="application/xml"), "in XML"),
    "silent": (Trouble(Fault.SILENT, seconds=3.0), "no answer within 0.3 s"),
    "throttled": (Trouble(Fault.THROTTLED, retry_after_s=7200), "HTTP 429"),
}


@pytest.mark.parametrize("name", SICK)
def test_an_archive_that_does_not_answer_makes_the_date_wait_and_says_why(folder: Path, name: str) -> None:
    trouble, words = SICK[name]
    with OrbitStandIn(folder / "bucket", Faults(share=1.0, kinds=[trouble], most=99, where=["search"])) as server:
        precise(folder / "bucket")
        sick = client(server, timeout_s=0.3)
        with pytest.raises(NotReady) as caught:
            orbit_fetch.choose(folder / "orbits", [sick], "S1A", START, STOP, now=OLD, retry_after_s=900)
        assert str(caught.value).startswith("waits for an orbit of S1A") and words in str(caught.value)
        assert caught.value.retry_after_s == (7200 if name == "throttled" else 900)
        if name == "no listing":
            restituted(folder / "orbits", 105, 30)
            choice = orbit_fetch.choose(folder / "orbits", [sick], "S1A", START, STOP, now=OLD)
            assert choice.kind == "RESORB" and words in choice.notes[0], "what is here serves until then"


def test_the_next_archive_is_asked_where_one_is_down(folder: Path, bucket: OrbitStandIn) -> None:
    wanted = precise(folder / "bucket")
    choice = choose(folder, "http://127.0.0.1:9", bucket)
    assert choice.paths == (folder / "orbits" / wanted.name,)
    assert len(choice.notes) == 1 and "127.0.0.1:9" in choice.notes[0]


def test_jobs_that_want_one_orbit_fetch_it_once(folder: Path, bucket: OrbitStandIn) -> None:
    wanted = precise(folder / "bucket")
    bucket.faults.expect("data/", Trouble(Fault.SLOW, bytes_per_s=wanted.stat().st_size / 0.5))
    found: list[orbits.OrbitChoice] = []
    jobs = [threading.Thread(target=lambda: found.append(choose(folder, bucket))) for _ in range(6)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert {choice.paths for choice in found} == {(folder / "orbits" / wanted.name,)} and len(found) == 6
    assert bucket.tally.of("data") == 1 and names(folder / "orbits") == [wanted.name]


def test_a_directory_that_is_not_there_is_not_made(folder: Path, bucket: OrbitStandIn) -> None:
    precise(folder / "bucket")
    (folder / "orbits").rmdir()
    with pytest.raises(NotReady, match="mount or make it"):
        choose(folder, bucket)
    assert bucket.tally.of("search") == 0 and not (folder / "orbits").exists()


def test_listings_that_go_round_or_never_end(folder: Path) -> None:
    entry = "<Contents><Key>AUX_POEORB/S1A_OPER_AUX_POEORB_{}</Key></Contents>"
    body = f"<ListBucketResult><IsTruncated>true</IsTruncated>{entry.format('OPOD_1')}</ListBucketResult>".encode()
    trouble = Trouble(Fault.BODY, body=body, content_type="application/xml")
    with OrbitStandIn(folder, Faults(share=1.0, kinds=[trouble], most=99, where=["search"])) as server:
        with pytest.raises(ArchiveError, match="expected names after"):
            client(server).offers("POEORB", "S1A", [(START, STOP)])
        assert server.tally.of("search") == 1


def test_archives_of_the_configuration() -> None:
    sites = ArchiveSettings(timeout_s=7)
    bucket, mirror, cdse = archives_of(("aws", "aws http://127.0.0.1:8080/orbits/", "cdse"), sites)
    assert (cdse.name, cdse.base) == ("cdse", "https://catalogue.dataspace.copernicus.eu")
    assert (bucket.base, mirror.base) == ("https://s1-orbits.s3.us-west-2.amazonaws.com", "http://127.0.0.1:8080/orbits")
    assert archives_of((), sites) == ()
    with pytest.raises(ConfigError):
        archives_of(("aws ftp://x",), sites)
    for entry in ("esa", "cdse http://x.org", "aws ftp://x", "aws http://me:secret@x.org"):
        with pytest.raises(ValidationError, match="aws with the http") as caught:
            DownloadSettings(orbit_archives=(entry,))
        assert "secret" not in caught.value.errors()[0]["msg"]


@pytest.fixture
def cdse(folder: Path) -> Iterator[CdseStandIn]:
    with CdseStandIn(Shelf(), orbits=folder / "bucket") as server:
        yield server


LOGIN = {"CDSE_USERNAME": "demo@example.org", "CDSE_PASSWORD": "demo-password"}


def at_cdse(server: CdseStandIn, environment=LOGIN):
    hosts = f"{host(server.base)}, {host(server.download_base)}"
    places = {"cdse_catalogue": server.base, "cdse_login": server.base, "cdse_download": server.base, "cdse_hosts": hosts}
    sites = ArchiveSettings.model_validate({**places, "timeout_s": 2, "pause_s": 0.01})
    return archives_of(("cdse",), sites, {"HOME": "/nonexistent", **environment})


@pytest.mark.parametrize("zipped", [False, True])
def test_copernicus_gives_orbits_with_a_login(folder: Path, cdse: CdseStandIn, zipped: bool) -> None:
    cdse.zipped_orbits = zipped
    wanted = precise(folder / "bucket")
    precise(folder / "bucket", platform="S1B")
    restituted(folder / "bucket", 105, 30)
    choice = orbit_fetch.choose(folder / "orbits", at_cdse(cdse), "S1A", START, STOP, now=OLD)
    assert choice == orbits.OrbitChoice((folder / "orbits" / wanted.name,), "POEORB")
    assert choice.paths[0].read_bytes() == wanted.read_bytes() and names(folder / "orbits") == [wanted.name]
    assert cdse.tally.of("search") == 1 and cdse.tally.of("leak") == 0
    (folder / "other").mkdir()
    assert orbit_fetch.choose(folder / "other", at_cdse(cdse), "S1A", START, STOP, now=YOUNG).kind == "RESORB"


def test_copernicus_without_a_login_says_so_and_its_faults_pass(folder: Path, cdse: CdseStandIn) -> None:
    wanted = precise(folder / "bucket")
    with pytest.raises(NotReady, match="expected credentials, found none"):
        orbit_fetch.choose(folder / "orbits", at_cdse(cdse, {}), "S1A", START, STOP, now=OLD)
    with pytest.raises(NotReady) as caught:
        orbit_fetch.choose(folder / "orbits", at_cdse(cdse, {**LOGIN, "CDSE_PASSWORD": "wrong-one"}), "S1A", START, STOP, now=OLD)
    assert "refused" in str(caught.value) and "wrong-one" not in str(caught.value)
    for fault in (Fault.BROKEN, Fault.CUT, Fault.HTML, Fault.UNAUTHORISED):
        cdse.faults.expect("data/", fault)
        choice = orbit_fetch.choose(folder / "orbits", at_cdse(cdse), "S1A", START, STOP, now=OLD)
        assert choice.paths == (folder / "orbits" / wanted.name,), fault
        choice.paths[0].unlink()
    assert names(folder / "orbits") == []


def test_a_young_orbit_that_starts_after_the_date_is_not_taken(folder: Path, bucket: OrbitStandIn) -> None:
    write_orbit(folder / "bucket", START + minutes(1), STOP + minutes(90), created=STOP + timedelta(days=20))
    with pytest.raises(NotReady):
        choose(folder, bucket)
    assert bucket.tally.of("data") == 0 and names(folder / "orbits") == []
