"""Downloads over HTTP from a server that misbehaves: each fault alone."""

from __future__ import annotations

import hashlib
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from product_zips import damage, make_zip
from unruly_server import Request, Unruly, unruly

from satdaemon.archive import transfer
from satdaemon.archive.connections import Patience
from satdaemon.archive.credentials import Credentials
from satdaemon.archive.logins import PasswordGrant
from satdaemon.archive.mirrors import fetch
from satdaemon.archive.pace import Bandwidth, Pace
from satdaemon.archive.part import Origin, Part, Source, origin_of
from satdaemon.archive.product import scene_of_name
from satdaemon.archive.secrets import Secret
from satdaemon.archive.tokens import FixedToken
from satdaemon.archive.transfer import clear_parts, part_of
from satdaemon.archive.tries import Manner
from satdaemon.domain import Scene
from satdaemon.errors import (
    ArchiveError,
    ConfigError,
    CorruptProduct,
    CredentialsError,
    DiskFull,
    NotInArchive,
    RequestError,
    Throttled,
)

QUICK = Manner(patience=Patience(5, 1.5), pause_first_s=0.01, pause_most_s=0.05, wait_most_s=2.0)


@dataclass
class Place:
    """A product on a server, and a directory to bring it to."""

    site: Unruly
    content: bytes
    scene: Scene
    source: Source
    target: Path
    warned: list[str]

    def fetch(self, source: Source | None = None, manner: Manner = QUICK, **more) -> Scene:
        return fetch([source or self.source], self.scene, self.target.parent, manner=manner, warn=self.warned.append, **more)

    @property
    def part(self) -> Path:
        return part_of(self.target)

    def gets(self) -> list[Request]:
        return [r for r in self.site.seen if r.method == "GET"]

    def arrived(self) -> bool:
        """Whole, and nothing beside it."""
        names = [p.name for p in self.target.parent.iterdir()]
        return names == [self.target.name] and self.target.read_bytes() == self.content

    def left(self) -> list[str]:
        return sorted(p.name for p in self.target.parent.iterdir())


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zip(tmp_path_factory.mktemp("archive"), size=3_000_000)


@pytest.fixture
def place(product: Path, tmp_path: Path) -> Iterator[Place]:
    path, content = product, product.read_bytes()
    scene = scene_of_name(path)
    assert scene is not None
    with unruly() as site:
        name = f"/{path.name}"
        site.files[name] = content
        md5 = f"md5:{hashlib.md5(content).hexdigest()}"
        source = Source("asf", site.url + name, len(content), md5)
        yield Place(site, content, scene, source, tmp_path / "data" / path.name, [])


def half_there(place: Place, size: int, source: Source | None = None, etag: str | None = None) -> None:
    place.target.parent.mkdir(exist_ok=True)
    place.part.write_bytes(b"")
    part = Part(place.part, source or place.source)
    part.note(Origin.of(source or place.source, etag))
    part.write(place.content[:size])
    part.close()


# as it should be


def test_a_file_arrives_by_one_request(place: Place) -> None:
    told: list[float] = []
    got = place.fetch(progress=told.append)
    assert (got.path, got.size, got.checksum, got.url) == (
        place.target, len(place.content), place.source.checksum, place.source.url,
    )  # fmt: skip
    assert place.arrived() and place.warned == []
    (request,) = place.gets()
    assert (request.range, request.authorization, request.status) == ("", "", 200)
    assert told == sorted(told) and told[-1] == 1.0


def test_a_valid_file_that_is_there_costs_no_request(place: Place) -> None:
    first = place.fetch()
    inode = place.target.stat().st_ino
    assert place.fetch() == first and place.target.stat().st_ino == inode and len(place.gets()) == 1
    damage(place.target)
    assert place.fetch() == first and len(place.gets()) == 2


@pytest.mark.parametrize("fault", ["chunked", "slow 0.001", "norange", ""])
@pytest.mark.parametrize("is_known", [True, False])
def test_without_size_or_checksum_the_zip_is_the_proof(place: Place, fault: str, is_known: bool) -> None:
    place.site.faults.append(fault)
    source = place.source if is_known else replace(place.source, size=None, checksum=None)
    got = place.fetch(source)
    assert place.arrived() and got.checksum is not None and got.size == len(place.content)
    assert got.checksum.startswith("md5:" if is_known else "sha256:")


def test_the_pace_is_told(place: Place) -> None:
    place.site.faults.append("slow 0.02")
    paces: list[Pace] = []
    place.fetch(told=paces.append)
    assert len(paces) > 2 and paces[-1].fraction == 1.0 and paces[-1].left_s == 0.0
    middle = paces[len(paces) // 2]
    assert 0 < middle.done_bytes < len(place.content) and middle.bytes_s > 1e6
    assert middle.left_s == pytest.approx((len(place.content) - middle.done_bytes) / middle.bytes_s)
    assert Pace(5, None, 0.0).left_s is None and Pace(5, None, 0.0).fraction == 0.0


def test_a_limit_on_the_bandwidth_holds(place: Place) -> None:
    started = time.monotonic()
    place.fetch(manner=replace(QUICK, bandwidth=Bandwidth(3e6)))
    assert 0.8 <= time.monotonic() - started < 3 and place.arrived()


def test_a_shared_limit_holds_for_all_threads(place: Place, tmp_path: Path) -> None:
    manner = replace(QUICK, bandwidth=Bandwidth(6e6))
    folders = [tmp_path / f"to{n}" for n in range(3)]
    threads = [threading.Thread(target=fetch, args=([place.source], place.scene, f), kwargs={"manner": manner}) for f in folders]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 1.3
    assert all((f / place.target.name).read_bytes() == place.content for f in folders)


def test_memory_is_bounded(place: Place, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "big", size=30_000_000)
    place.site.files["/big.zip"] = path.read_bytes()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fetch([Source("asf", place.site.url + "/big.zip")], place.scene, tmp_path / "data", manner=QUICK)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 26e6


# carried on


@pytest.mark.parametrize("share", ["1", "0.3", "0.999", "65536"])
def test_what_was_cut_is_carried_on_where_it_ended(place: Place, share: str) -> None:
    place.site.faults.append(f"cut {share}")
    place.fetch()
    first, second = place.gets()
    assert place.arrived() and second.range == f"bytes={first.sent}-" and second.status == 206
    assert first.sent + second.sent == len(place.content)
    assert "cut off at byte" in place.warned[0]


def test_many_cuts_cost_one_request_each(place: Place) -> None:
    place.site.faults.extend(["cut 0.2"] * 4)
    place.fetch()
    assert place.arrived() and len(place.gets()) == 5
    assert sum(r.sent for r in place.gets()) == len(place.content)


@pytest.mark.parametrize("size", [1, 1_000_000, -1])
def test_a_part_of_an_earlier_process_is_carried_on(place: Place, size: int) -> None:
    size %= len(place.content)
    half_there(place, size)
    place.fetch()
    (request,) = place.gets()
    assert place.arrived() and request.range == f"bytes={size}-" and request.sent == len(place.content) - size


def test_a_part_that_is_whole_needs_no_request(place: Place) -> None:
    half_there(place, len(place.content))
    place.fetch()
    assert place.arrived() and place.gets() == []


def test_a_part_of_unknown_origin_is_carried_on_only_with_a_checksum(place: Place) -> None:
    for source, resumes in ((place.source, True), (replace(place.source, checksum=None), False)):
        half_there(place, 500_000)
        origin_of(place.part).unlink()
        place.fetch(source)
        assert place.gets()[-1].range == ("bytes=500000-" if resumes else "") and place.arrived()
        place.target.unlink()


def test_a_part_of_a_file_that_has_changed_is_begun_anew(place: Place) -> None:
    unknown = replace(place.source, checksum=None)
    half_there(place, 500_000, unknown, '"of-another-file"')
    place.fetch(unknown)
    (request,) = place.gets()
    assert place.arrived() and (request.range, request.status) == ("bytes=500000-", 200)


def test_a_file_that_changes_without_if_range_is_seen_by_its_etag(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = replace(place.source, checksum=None)
    half_there(place, 500_000, unknown, '"of-another-file"')
    monkeypatch.setattr(Origin, "validator", None)
    monkeypatch.setattr(Part, "_adopt", lambda *_: None)
    place.fetch(unknown)
    assert place.arrived() and [r.status for r in place.gets()] == [206, 200]
    assert "the file has changed" in place.warned[0]


@pytest.mark.parametrize("has_etags", [True, False])
def test_a_server_without_ranges_gives_it_whole(place: Place, has_etags: bool) -> None:
    place.site.has_ranges, place.site.has_etags = False, has_etags
    half_there(place, 500_000)
    place.fetch()
    (request,) = place.gets()
    assert place.arrived() and request.status == 200 and request.sent == len(place.content)


def test_a_part_longer_than_the_file(place: Place) -> None:
    unknown = replace(place.source, size=None)
    half_there(place, len(place.content), unknown)
    place.part.write_bytes(place.content + b"more")
    place.fetch(unknown)
    assert place.arrived() and [r.status for r in place.gets()] == [416, 200]


def test_a_whole_part_of_unknown_size_is_told_by_416(place: Place) -> None:
    unknown = replace(place.source, size=None)
    half_there(place, len(place.content), unknown)
    place.fetch(unknown)
    assert place.arrived() and [r.status for r in place.gets()] == [416]


def test_a_part_with_bad_bytes_is_dropped_and_begun_anew(place: Place) -> None:
    half_there(place, 500_000)
    damage(place.part)
    place.fetch()
    assert place.arrived() and [r.range for r in place.gets()] == ["bytes=500000-", ""]


# bad answers


@pytest.mark.parametrize("fault", ["html", "500", "502", "503", "refused", "stall 0.5", "200", "429 0", "503 0", "429 @1", "302"])
def test_a_fault_that_passes_costs_one_request_more(place: Place, fault: str) -> None:
    place.site.faults.append(fault)
    place.fetch()
    assert place.arrived() and len(place.gets()) == 2
    assert len(place.warned) == 1


@pytest.mark.parametrize("fault", ["html", "500", "refused"])
def test_a_fault_that_stays_is_given_up(place: Place, fault: str) -> None:
    place.site.faults.extend([fault] * 50)
    with pytest.raises(ArchiveError) as caught:
        place.fetch()
    words = {"html": "expected a zip, got text/html", "500": "got 500 Internal Server Error", "refused": "the connection fails"}
    assert words[fault] in str(caught.value) and len(place.gets()) == QUICK.tries
    assert place.left() == []


def test_what_came_before_it_was_given_up_stays(place: Place) -> None:
    place.site.faults.extend(["cut 0.5", *["500"] * 50])
    with pytest.raises(ArchiveError):
        place.fetch()
    assert place.part.stat().st_size == place.gets()[0].sent > 0
    place.site.faults.clear()
    place.fetch()
    assert place.arrived() and place.gets()[-1].sent == len(place.content) - place.gets()[0].sent


@pytest.mark.parametrize("fault", ["damaged", "longer 7", "shorter -7"])
def test_bad_bytes_are_dropped_and_fetched_again(place: Place, fault: str) -> None:
    place.site.faults.append(fault)
    place.fetch()
    assert place.arrived() and [r.range for r in place.gets()] == ["", ""]


@pytest.mark.parametrize("fault", ["damaged", "longer 7", "shorter -7"])
def test_bytes_that_stay_bad_are_the_archives(place: Place, fault: str) -> None:
    place.site.faults.extend([fault] * 50)
    with pytest.raises(CorruptProduct) as caught:
        place.fetch()
    assert str(caught.value).startswith(f"asf: {place.source.url}: expected ") and len(place.gets()) == QUICK.bad_tries
    assert place.left() == []


def test_damage_without_a_checksum_is_found_by_the_zip(place: Place) -> None:
    place.site.faults.append("damaged")
    place.fetch(replace(place.source, checksum=None))
    assert place.arrived() and "expected an intact" in place.warned[0]
    place.target.unlink()
    place.site.faults.extend(["damaged"] * 9)
    with pytest.raises(CorruptProduct, match="expected an intact"):
        place.fetch(replace(place.source, checksum=None))
    assert place.left() == []


def test_a_checksum_that_is_right_for_a_bad_zip(place: Place) -> None:
    content = bytearray(place.content)
    content[1_000_000] ^= 0xFF
    place.site.files[f"/{place.target.name}"] = bytes(content)
    with pytest.raises(CorruptProduct, match=r"asf: http://.*: expected an intact"):
        place.fetch(replace(place.source, checksum=f"md5:{hashlib.md5(content).hexdigest()}"))
    assert len(place.gets()) == 1 and place.left() == []


def test_a_file_that_is_not_there(place: Place) -> None:
    with pytest.raises(NotInArchive, match="got 404 Not Found"):
        place.fetch(replace(place.source, url=place.site.url + "/other.zip"))
    assert len(place.gets()) == 1 and place.left() == []


def test_a_long_wait_gives_the_job_back(place: Place) -> None:
    place.site.faults.extend(["cut 0.5", "429 600"])
    started = time.monotonic()
    with pytest.raises(Throttled) as caught:
        place.fetch()
    assert caught.value.retry_after_s == 600 and time.monotonic() - started < 2 and len(place.gets()) == 2
    assert place.part.stat().st_size > 0
    place.fetch()
    assert place.arrived()


def test_a_date_to_wait_for(place: Place) -> None:
    place.site.faults.append("503 @7200")
    with pytest.raises(Throttled) as caught:
        place.fetch()
    assert caught.value.retry_after_s == pytest.approx(7200, abs=5)


def test_a_short_wait_is_obeyed(place: Place) -> None:
    place.site.faults.append("429 1")
    started = time.monotonic()
    place.fetch()
    assert 1.0 <= time.monotonic() - started < 2 and place.arrived()


def test_a_busy_archive_that_does_not_say_how_long(place: Place) -> None:
    place.site.faults.extend(["429"] * 50)
    with pytest.raises(Throttled) as caught:
        place.fetch()
    assert caught.value.retry_after_s == 300 and len(place.gets()) == QUICK.tries


def test_a_stall_is_seen_and_carried_on(place: Place) -> None:
    place.site.faults.append("stall 0.5")
    started = time.monotonic()
    place.fetch(manner=replace(QUICK, patience=Patience(5, 0.5)))
    assert place.arrived() and 0.5 <= time.monotonic() - started < 3.5
    assert "no byte for 0.5 s" in place.warned[0] and place.gets()[1].status == 206


def test_nobody_listens(place: Place) -> None:
    with pytest.raises(ArchiveError, match="the connection fails"):
        place.fetch(replace(place.source, url="http://127.0.0.1:9/x.zip"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x.org/a", "https:///a", "http://me:pw-12@x.org/a", "http://x y/", "x"]
)
def test_addresses_that_are_none(place: Place, url: str) -> None:
    with pytest.raises(RequestError) as caught:
        place.fetch(replace(place.source, url=url))
    assert "pw-12" not in str(caught.value) and place.left() == []


# logins


def fixed(place: Place, token: str = "fixed-token-1") -> Source:
    tokens = FixedToken(Credentials("asf", "EARTHDATA_TOKEN in the environment", token=Secret(token)), (place.site.host,))
    return replace(place.source, tokens=tokens)


def granted(place: Place, password: str = "right-password") -> Source:
    credentials = Credentials("cdse", "netrc", "me", Secret(password))
    place.site.logins["me"] = "right-password"
    place.site.tokens = set()
    return replace(place.source, archive="cdse", tokens=PasswordGrant(credentials, f"{place.site.url}/token", (place.site.host,)))


def test_a_fixed_token(place: Place) -> None:
    place.site.tokens = {"fixed-token-1"}
    place.fetch(fixed(place))
    assert place.arrived() and place.gets()[0].authorization == "Bearer fixed-token-1"


def test_a_refused_token_is_said_and_not_asked_with_again(place: Place) -> None:
    place.site.tokens = {"another"}
    source = fixed(place)
    for _ in range(5):
        with pytest.raises(CredentialsError, match="EARTHDATA_TOKEN in the environment are refused"):
            place.fetch(source)
    assert len(place.gets()) == 2 and place.left() == []


def test_a_token_that_expires_during_a_download_is_renewed_once(place: Place) -> None:
    source = granted(place)
    place.site.faults.extend(["", "cut 0.5"])
    real = place.site.fault

    def expiring(path: str) -> str:
        if len(place.gets()) == 2:
            place.site.tokens = set()
        return real(path)

    place.site.fault = expiring  # type: ignore[method-assign]
    place.fetch(source)
    assert place.arrived() and [r.status for r in place.gets()] == [200, 401, 206]
    assert [r.form["grant_type"] for r in place.site.seen if r.method == "POST"] == ["password", "refresh_token"]


def test_an_archive_that_takes_no_token_is_asked_twice_not_more(place: Place) -> None:
    source = granted(place)
    place.site.faults.extend(["", "401", "", "401", *["401"] * 9])
    with pytest.raises(CredentialsError, match="and so again; accept the archive's licence"):
        place.fetch(source)
    with pytest.raises(CredentialsError):
        place.fetch(source)
    assert len(place.gets()) == 2 and len(place.site.seen) == 4


def test_a_login_is_asked_for_and_there_is_none(place: Place) -> None:
    place.site.tokens = {"x"}
    with pytest.raises(CredentialsError, match="it asks for a login; expected credentials, got none"):
        place.fetch()


def test_403_speaks_of_licence_and_credentials(place: Place) -> None:
    place.site.tokens = {"fixed-token-1"}
    place.site.faults.extend(["403"] * 9)
    with pytest.raises(CredentialsError) as caught:
        place.fetch(fixed(place))
    assert "got 403 Forbidden" in str(caught.value) and "out of order" in str(caught.value)
    assert "credentials: EARTHDATA_TOKEN in the environment; accept the archive's licence" in str(caught.value)
    assert len(place.gets()) == 2
    place.site.faults.clear()
    place.site.faults.append("403")
    place.fetch(fixed(place))
    assert place.arrived() and len(place.gets()) == 4, "once, it may pass"


# redirects


def test_a_signed_address_elsewhere_never_sees_the_token(place: Place) -> None:
    with unruly() as store:
        store.files = place.site.files
        place.site.tokens = {"fixed-token-1"}
        place.site.signed_at = store.url
        store.faults.append("cut 0.5")
        place.fetch(fixed(place))
        assert place.arrived()
        assert [r.authorization for r in place.gets()] == ["Bearer fixed-token-1"] * 2
        assert [r.authorization for r in store.seen] == ["", ""] and "Signature" in store.seen[0].path
        assert store.seen[1].range == f"bytes={store.seen[0].sent}-"


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_signature_that_has_expired_is_asked_for_again(place: Place, status: str) -> None:
    with unruly() as store:
        store.files = place.site.files
        place.site.tokens = {"fixed-token-1"}
        place.site.signed_at = store.url
        store.faults.append(status)
        place.fetch(fixed(place))
        assert place.arrived() and len(place.gets()) == 2 and len(store.seen) == 2
        assert "Signature" not in "".join(place.warned)


def test_a_page_to_log_in_at_means_that_the_token_is_refused(place: Place) -> None:
    with unruly() as urs:
        urs.faults.extend(["html"] * 2)
        place.site.faults.extend([f"moved {urs.url}/oauth/authorize?client_id=x"] * 2)
        with pytest.raises(CredentialsError, match="are refused"):
            place.fetch(fixed(place))
        assert [r.authorization for r in urs.seen] == ["", ""]


def test_a_401_that_passes(place: Place) -> None:
    place.site.tokens = {"fixed-token-1"}
    place.site.faults.append("401")
    place.fetch(fixed(place))
    assert place.arrived() and [r.status for r in place.gets()] == [401, 200]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("moved /round", "expected the file after at most 10 redirects"),
        ("moved file:///etc/passwd", "leads to a place that is not followed"),
        ("moved ftp://x.org/a", "leads to a place that is not followed"),
        ("moved http://me:pw-12@127.0.0.1/a", "leads to a place that is not followed"),
        ("moved ", "expected to be led on"),
    ],
)
def test_where_no_redirect_is_followed(place: Place, there: str, words: str) -> None:
    place.site.faults.extend([there] * 100)
    with pytest.raises(ArchiveError, match=words) as caught:
        place.fetch(manner=replace(QUICK, tries=1))
    assert "pw-12" not in str(caught.value) and len(place.gets()) <= 11


# disks


def test_no_space_is_said_before_it_starts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = transfer.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskFull, match="no space for it"):
        place.fetch()
    assert place.gets() == [] and place.left() == []


def test_a_directory_that_cannot_be_made(place: Place) -> None:
    place.target.parent.write_text("")
    with pytest.raises(ConfigError, match="expected a directory that can be written"):
        fetch([place.source], place.scene, place.target.parent / "T071", manner=QUICK)
    assert place.gets() == []


def test_leftovers_are_cleared_with_their_notes(place: Place) -> None:
    half_there(place, 1000)
    assert len(place.left()) == 2
    assert len(clear_parts(place.target.parent, -1)) == 2 and place.left() == []


# nothing shows


def test_no_secret_is_in_any_message(place: Place, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    texts: list[str] = []
    with unruly() as store:
        store.files = place.site.files
        for faults in (["401"] * 20, ["403"], ["500"] * 20, ["cut 0.5"] * 20, ["html"] * 20, ["429 900"], ["damaged"] * 20):
            for at in (place.site, store):
                source = granted(place)
                source = replace(source, url=source.url + "?sig=s1gnature-1&token=t0ken-1")
                place.site.signed_at = store.url
                at.faults.extend(["", *faults] if at is place.site else faults)
                try:
                    place.fetch(source, manner=replace(QUICK, tries=2))
                except Exception as error:  # noqa: BLE001
                    texts += [repr(error), *traceback.format_exception(error)]
                place.site.faults.clear()
                store.faults.clear()
                place.target.unlink(missing_ok=True)
                texts += [repr(source), repr(source.tokens), str(vars(source.tokens))]
                texts += [p.read_text(errors="replace")[:2000] for p in place.target.parent.glob(".*.origin.part")]
    shown = "\n".join([*texts, *place.warned, caplog.text, *capfd.readouterr()])
    assert len(place.warned) > 8 and "refused" in shown
    for secret in ("right-password", "access-", "refresh-1", "s1gnature-1", "t0ken-1", "abcdef0123456789"):
        assert secret not in shown, shown[max(shown.index(secret) - 200, 0) : shown.index(secret) + 50]
