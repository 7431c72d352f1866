"""The archives' stand-ins: what they serve, whom, and how they misbehave."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from product_zips import SQUARE, make_zip, product_name

from satdaemon.archive.product import quick_look
from satdaemon.simulator.archives import DOWNLOAD_FAULTS, AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble
from satdaemon.simulator.archives.catalogue import id_of
from satdaemon.simulator.archives.messages import Call
from satdaemon.simulator.archives.odata import filter_of

TLS = httpx.create_ssl_context()
get, post, head, stream = (partial(each, verify=TLS) for each in (httpx.get, httpx.post, httpx.head, httpx.stream))
LOGIN = {"grant_type": "password", "client_id": "cdse-public", "username": "demo@example.org", "password": "demo-password"}


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return make_zip(tmp_path / "shelf", size=300_000, track=71)


@pytest.fixture
def asf(product: Path) -> Iterator[AsfStandIn]:
    with AsfStandIn(Shelf(product.parent)) as server:
        yield server


@pytest.fixture
def cdse(product: Path) -> Iterator[CdseStandIn]:
    with CdseStandIn(Shelf(product.parent)) as server:
        yield server


def address(server: AsfStandIn, product: Path) -> str:
    return f"{server.base}/SLC/SA/{product.name}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token_of(server: CdseStandIn) -> str:
    return str(post(server.token_url, data=LOGIN).raise_for_status().json()["access_token"])


def value_of(server: CdseStandIn, product: Path, host: str = "") -> str:
    return f"{host or server.download_base}/odata/v1/Products({id_of(product.stem)})/$value"


# the shelf


def test_the_shelf_says_of_a_zip_what_the_archive_reads_in_it(product: Path) -> None:
    (item,) = Shelf(product.parent).items()
    look = quick_look(product)
    assert look is not None
    scene = look.scene
    assert (item.name, item.start_utc, item.stop_utc) == (scene.id, scene.start_utc, scene.stop_utc)
    assert item.proc_utc == scene.proc_utc is not None
    assert (item.track, item.direction, item.platform, item.absolute_orbit) == (71, "D", scene.platform, scene.absolute_orbit)
    assert item.footprint == look.footprint == SQUARE
    assert (item.size, item.md5) == (product.stat().st_size, hashlib.md5(product.read_bytes()).hexdigest())


def test_what_is_put_on_the_shelf_appears_and_what_is_no_product_does_not(product: Path) -> None:
    shelf = Shelf(product.parent)
    assert len(shelf.items()) == 1
    again = make_zip(product.parent / "deeper", crc="FFFF")
    (product.parent / "S1A_notes.zip").write_text("x")
    assert [item.name for item in shelf.items()] == sorted([product.stem, again.stem])
    assert shelf.items()[1].track == 71, "by the orbit, where the manifest does not say"
    os.utime(again, (0, 0))
    assert shelf.find(again.stem).published_utc.year == 1970  # type: ignore[union-attr]


def test_a_zip_that_cannot_be_read_is_offered_as_the_archive_knew_it(product: Path) -> None:
    bad = make_zip(product.parent, crc="0BAD")
    bad.write_bytes(bad.read_bytes()[:2000])
    found = Shelf(product.parent).find(bad.stem)
    assert found is not None and (found.footprint, found.direction, found.size) == (SQUARE, "D", 2000)
    product.unlink()
    assert Shelf(bad.parent).items() == [], "nothing tells where it would be"


# NASA's archive


def test_asf_sends_a_token_on_to_a_signed_address_that_wants_no_login(asf: AsfStandIn, product: Path) -> None:
    first = get(address(asf, product), headers=bearer(asf.issue_token()))
    assert first.status_code == 303 and first.headers["Location"].startswith(asf.store_base)
    second = get(first.headers["Location"])
    assert second.content == product.read_bytes()
    leaky = get(first.headers["Location"], headers=bearer("x"))
    assert (leaky.status_code, asf.tally.of("leak")) == (400, 1)
    assert get(first.headers["Location"].replace("Signature=", "Signature=0")).status_code == 403
    assert asf.tally.by_name("download") == {product.stem: 1} and asf.tally.by_name("data") == {product.stem: 3}


def test_asf_without_a_good_token(asf: AsfStandIn, product: Path) -> None:
    assert get(address(asf, product)).headers["Location"].startswith(f"{asf.base}/oauth/authorize?")
    assert get(address(asf, product), follow_redirects=True).status_code == 401
    assert get(address(asf, product), headers=bearer("made-up")).status_code == 401
    token = asf.issue_token()
    asf.end_tokens()
    assert get(address(asf, product), headers=bearer(token)).status_code == 401


def test_asf_login_by_name_for_a_token_or_a_cookie(asf: AsfStandIn, product: Path) -> None:
    login = f"{asf.base}/api/users/find_or_create_token"
    assert post(login, auth=("demo", "wrong")).status_code == 401
    token = post(login, auth=("demo", "demo-password")).json()["access_token"]
    assert get(address(asf, product), headers=bearer(token)).status_code == 303
    with httpx.Client(verify=TLS, auth=("demo", "demo-password"), follow_redirects=True) as client:
        assert client.get(address(asf, product)).content == product.read_bytes()


def test_asf_signed_addresses_and_tokens_end(product: Path) -> None:
    with AsfStandIn(Shelf(product.parent), token_s=0.2, signed_s=-5) as server:
        token = server.issue_token()
        moved = get(address(server, product), headers=bearer(token)).headers["Location"]
        assert get(moved).status_code == 403
        time.sleep(0.25)
        assert get(address(server, product), headers=bearer(token)).status_code == 401


# Copernicus


def test_cdse_the_catalogues_address_leads_to_the_download_which_wants_the_token(cdse: CdseStandIn, product: Path) -> None:
    moved = get(value_of(cdse, product, cdse.base))
    assert (moved.status_code, moved.headers["Location"]) == (301, value_of(cdse, product))
    assert get(value_of(cdse, product)).status_code == 401
    assert get(value_of(cdse, product), headers=bearer(token_of(cdse))).content == product.read_bytes()
    unknown = value_of(cdse, product).replace(id_of(product.stem), id_of("other"))
    assert get(unknown, headers=bearer(token_of(cdse))).status_code == 404


def test_cdse_tokens_expire_and_are_renewed(product: Path) -> None:
    with CdseStandIn(Shelf(product.parent), token_s=0.3, refresh_s=1.0) as server:
        first = post(server.token_url, data=LOGIN).json()
        assert (first["expires_in"], first["token_type"]) == (0.3, "Bearer")
        time.sleep(0.35)
        assert get(value_of(server, product), headers=bearer(first["access_token"])).status_code == 401
        renewal = {"grant_type": "refresh_token", "client_id": "cdse-public", "refresh_token": first["refresh_token"]}
        second = post(server.token_url, data=renewal).json()
        assert get(value_of(server, product), headers=bearer(second["access_token"])).status_code == 200
        assert post(server.token_url, data=renewal).status_code == 400, "a renewal is good once"
        time.sleep(0.75)
        late = post(server.token_url, data={**renewal, "refresh_token": second["refresh_token"]})
        assert (late.status_code, late.json()["error_description"]) == (400, "Token is not active")
        assert (server.tally.of("token"), server.tally.of("refresh"), server.sessions.active()) == (1, 3, 0)


def test_cdse_refuses_a_wrong_login_and_a_fifth_session(cdse: CdseStandIn) -> None:
    wrong = post(cdse.token_url, data={**LOGIN, "password": "x"})
    assert (wrong.status_code, wrong.json()["error_description"]) == (401, "Invalid user credentials")
    assert post(cdse.token_url, data={**LOGIN, "client_id": "x"}).status_code == 401
    assert post(cdse.token_url, data={"grant_type": "x"}).status_code == 400
    assert [post(cdse.token_url, data=LOGIN).status_code for _ in range(5)] == [200] * 4 + [429]
    assert cdse.tally.of("too many sessions") == 1


def test_cdse_refuses_a_fifth_transfer_at_one_time(cdse: CdseStandIn, product: Path) -> None:
    token = token_of(cdse)
    cdse.faults.expect("data/", *[Trouble(Fault.SLOW, bytes_per_s=4e5)] * 4)
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(get, value_of(cdse, product), headers=bearer(token)) for _ in range(4)]
        until = time.monotonic() + 10
        while cdse.tally.peak("transfers of demo@example.org") < 4 and time.monotonic() < until:
            time.sleep(0.01)
        fifth = get(value_of(cdse, product), headers=bearer(token))
        assert (fifth.status_code, fifth.json()["message"]) == (429, "Max session number exceeded")
        assert [each.result().status_code for each in slow] == [200] * 4
    assert get(value_of(cdse, product), headers=bearer(token)).status_code == 200
    assert cdse.tally.peak("transfers of demo@example.org") == 4


# files


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=1000-", 206, 1000, None),
        ("bytes=-100", 206, -100, None),
        ("bytes=5-99999999", 206, 5, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=9-5", 416, 0, 0),
        ("bytes=-", 200, 0, None),
        ("lines=1-2", 200, 0, None),
    ],
)
def test_ranges(cdse: CdseStandIn, product: Path, asked: str, status: int, first: int, last: int | None) -> None:
    got = get(value_of(cdse, product), headers={**bearer(token_of(cdse)), "Range": asked})
    whole = product.read_bytes()
    assert (got.status_code, got.content) == (status, whole[first:last])
    if status == 206:
        begin = first % len(whole)
        assert got.headers["Content-Range"] == f"bytes {begin}-{begin + len(got.content) - 1}/{len(whole)}"


def test_a_range_of_another_file_is_the_whole(cdse: CdseStandIn, product: Path) -> None:
    headers = {**bearer(token_of(cdse)), "Range": "bytes=10-"}
    tag = get(value_of(cdse, product), headers=headers).headers["ETag"]
    assert get(value_of(cdse, product), headers={**headers, "If-Range": tag}).status_code == 206
    assert get(value_of(cdse, product), headers={**headers, "If-Range": '"other"'}).status_code == 200


def test_head_says_the_length_and_sends_nothing(cdse: CdseStandIn, product: Path) -> None:
    got = head(value_of(cdse, product), headers=bearer(token_of(cdse)))
    assert (got.status_code, int(got.headers["Content-Length"]), got.content) == (200, product.stat().st_size, b"")


@pytest.mark.parametrize("fault", DOWNLOAD_FAULTS)
def test_each_fault_of_a_download(cdse: CdseStandIn, product: Path, fault: Fault) -> None:
    headers = {**bearer(token_of(cdse)), "Range": "bytes=1000-"}
    cdse.faults.expect("data/", Trouble(fault, retry_after_s=3, bytes_per_s=1e6))
    want = product.read_bytes()[1000:]
    start = time.monotonic()
    if fault is Fault.CUT:
        with pytest.raises(httpx.HTTPError):
            get(value_of(cdse, product), headers=headers)
    else:
        got = get(value_of(cdse, product), headers=headers)
        if fault.value.isdigit():
            assert got.status_code == int(fault.value) and got.headers.get("Retry-After") == ("3" if fault == "429" else None)
        elif fault is Fault.HTML:
            assert got.status_code == 200 and got.content.startswith(b"<!DOCTYPE html>")
        elif fault is Fault.LENGTH:
            assert 0 < len(got.content) == int(got.headers["Content-Length"]) < len(want)
        elif fault is Fault.BYTES:
            assert sum(a != b for a, b in zip(got.content, want, strict=True)) == 1
        elif fault is Fault.NO_RANGE:
            assert (got.status_code, got.content) == (200, product.read_bytes())
        else:
            assert fault is Fault.SLOW and got.content == want and time.monotonic() - start > 0.2
    assert get(value_of(cdse, product), headers=headers).content == want, "the next is well"


def test_a_big_file_is_served_without_being_read_into_memory(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    path = make_zip(tmp_path, size=10)
    with path.open("r+b") as file:
        file.truncate(60_000_000)
    make_zip(tmp_path, size=10, crc="0001")
    with CdseStandIn(shelf) as server:
        token = token_of(server)
        with stream("GET", value_of(server, path), headers=bearer(token)) as got:
            assert sum(len(block) for block in got.iter_raw(1 << 20)) == 60_000_000
        assert server.tally.of("bytes") == 60_000_000


def test_the_seeded_plan_is_the_same_whatever_the_order_and_ends() -> None:
    keys = [f"data/{k}" for k in range(200)]

    def plan(order: list[str], seed: int) -> dict[str, list[object]]:
        faults = Faults(seed=seed, share=0.5, most=3)
        had: dict[str, list[object]] = {key: [] for key in keys}
        for _ in range(12):
            for key in order:
                had[key].append(faults.next(key))
        return had

    first = plan(keys, 7)
    assert first == plan(keys[::-1], 7) != plan(keys, 8)
    assert all(sum(trouble is not None for trouble in troubles) <= 3 for troubles in first.values())
    kinds = {trouble.fault for troubles in first.values() for trouble in troubles if trouble is not None}  # type: ignore[attr-defined]
    assert kinds == set(DOWNLOAD_FAULTS)
    assert Faults(share=1.0).next("search") is None, "only what the plan is for"


def test_many_at_once(asf: AsfStandIn, product: Path) -> None:
    token, want = asf.issue_token(), product.read_bytes()

    def fetch(_: int) -> bool:
        return get(address(asf, product), headers=bearer(token), follow_redirects=True).content == want

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(fetch, range(64)))
    assert asf.tally.of("download") == asf.tally.of("data") == 64 and asf.tally.of("leak") == asf.tally.of("error") == 0


def test_a_request_that_is_too_big_and_addresses_that_are_none(asf: AsfStandIn) -> None:
    assert post(f"{asf.base}/search/granules.umm_json", content=b"x" * (5 << 20)).status_code == 413
    for path in ("/", "/SLC/SA/../../etc/passwd", f"/SLC/SA/{product_name(crc='0000')}.zip/x", "/%2e%2e/x"):
        assert get(f"{asf.base}{path}").status_code == 404
    unknown = f"{asf.base}/SLC/SA/{product_name(crc='0000')}.zip"
    assert get(unknown, headers=bearer(asf.issue_token())).status_code == 404


def test_threads_end_with_the_stand_in(product: Path) -> None:
    before = threading.active_count()
    with CdseStandIn(Shelf(product.parent)):
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_a_kept_connection_ends_with_the_stand_in_and_its_port_is_free_again(product: Path) -> None:
    with httpx.Client(verify=TLS) as client:
        with CdseStandIn(Shelf(product.parent)) as server:
            assert client.get(f"{server.base}/odata/v1/Products").status_code == 200
        with pytest.raises(httpx.HTTPError):
            client.get(f"{server.base}/odata/v1/Products")
        with CdseStandIn(Shelf(product.parent), ports=(int(server.base.rpartition(":")[2]), 0)) as again:
            assert again.base == server.base
            assert client.get(f"{server.base}/odata/v1/Products").status_code == 200


# questions


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Name eq 'x'", False),
        ("not Name eq 'x' and (Online eq true or Name eq 'y')", True),
        ("contains(Name,'IW_SLC') and startswith(Name,'S1A') and endswith(Name,'.SAFE')", True),
        ("ContentDate/Start gt 2020-01-01T00:00:00.000Z and ContentDate/End lt 2021-01-01T00:00:00Z", True),
        ("Attributes/OData.CSC.IntegerAttribute/any(a:a/Name eq 'track' and a/OData.CSC.IntegerAttribute/Value ge 71)", True),
        ("Attributes/OData.CSC.IntegerAttribute/any(a:a/Name eq 'track' and a/OData.CSC.IntegerAttribute/Value lt 71)", False),
        ("OData.CSC.Intersects(area=geography'SRID=4326;POLYGON((0 0, 5 0, 5 5, 0 0))')", True),
        ("OData.CSC.Intersects(area=geography'SRID=4326;POLYGON((50 0, 55 0, 55 5, 50 0))')", False),
    ],
)
def test_filters(text: str, holds: bool) -> None:
    record = {
        "Name": "S1A_IW_SLC__x.SAFE",
        "Online": True,
        "ContentDate": {"Start": "2020-06-01T00:00:00.000000Z", "End": "2020-06-01T00:00:27.000000Z"},
        "Attributes": [{"Name": "track", "Value": 71}],
        "footprint": ((1, 1), (2, 1), (2, 2), (1, 2)),
    }
    assert filter_of(text)(record) is holds


@pytest.mark.parametrize(
    "text", ["", "Name", "Name eq 'x' and", "(Name eq 'x'", "Name eq 'x')", "Name eq 'x' 'y'", "and Name eq 'x'"]
)
def test_filters_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid filter"):
        filter_of(text)


@pytest.mark.parametrize(
    "form",
    [
        {"page_size": "3000"},
        {"unheard_of": "1"},
        {"polygon": "0,0,0,5,5,5,5,0,0,0"},
        {"polygon": "0,0,5,0,5,5"},
        {"updated_since": "yesterday"},
        {"bounding_box": "1,2"},
    ],
)
def test_cmr_refuses_what_it_does_not_take(asf: AsfStandIn, form: dict[str, str]) -> None:
    got = post(f"{asf.base}/search/granules.umm_json", data=form)
    assert got.status_code == 400 and got.json()["errors"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("$top", "1001"), ("$skip", "10001"), ("$filter", "x"), ("$orderby", "Name up"), ("$select", "Id")],
)
def test_the_copernicus_catalogue_refuses_what_it_does_not_take(cdse: CdseStandIn, name: str, value: str) -> None:
    got = get(f"{cdse.base}/odata/v1/Products", params={name: value})
    assert got.status_code == 400 and got.json()["detail"]["message"]


def test_an_authorization_that_is_none() -> None:
    assert Call("GET", "/", {"authorization": "Basic x"}).bearer is None
    assert Call("GET", "/", {"authorization": "bearer  t "}).bearer == "t"
