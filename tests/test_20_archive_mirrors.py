"""Several archives of one scene, several processes that want it, kills, full disks, and all faults together."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from product_zips import START, make_zip
from unruly_server import Unruly, random_faults, unruly

from satdaemon.archive.connections import Patience
from satdaemon.archive.credentials import Credentials
from satdaemon.archive.logins import PasswordGrant
from satdaemon.archive.mirrors import fetch
from satdaemon.archive.part import Source
from satdaemon.archive.product import scene_of_name
from satdaemon.archive.secrets import Secret
from satdaemon.archive.tokens import FixedToken
from satdaemon.archive.transfer import part_of
from satdaemon.archive.tries import Manner
from satdaemon.archive.verify import check_zip
from satdaemon.domain import Scene
from satdaemon.errors import (
    ArchiveError,
    CorruptProduct,
    CredentialsError,
    DiskFull,
    NotInArchive,
    RequestError,
    Throttled,
    TransientError,
)

QUICK = Manner(patience=Patience(5, 1.5), pause_first_s=0.01, pause_most_s=0.05, wait_most_s=2.0, bad_tries=5)
FORK = multiprocessing.get_context("fork")


class Pair:
    """Two archives with one scene."""

    def __init__(self, path: Path, asf: Unruly, cdse: Unruly, folder: Path) -> None:
        self.content = path.read_bytes()
        scene = scene_of_name(path)
        assert scene is not None
        self.scene, self.asf, self.cdse = scene, asf, cdse
        self.target = folder / path.name
        self.warned: list[str] = []
        for site in (asf, cdse):
            site.files[f"/{path.name}"] = self.content
        md5 = f"md5:{hashlib.md5(self.content).hexdigest()}"
        self.sources = [
            Source(name, f"{site.url}/{path.name}", len(self.content), md5) for name, site in (("asf", asf), ("cdse", cdse))
        ]

    def fetch(self, sources: list[Source] | None = None, manner: Manner = QUICK) -> Scene:
        return fetch(sources or self.sources, self.scene, self.target.parent, manner=manner, warn=self.warned.append)

    def arrived(self) -> bool:
        names = [p.name for p in self.target.parent.iterdir()]
        return names == [self.target.name] and self.target.read_bytes() == self.content


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zip(tmp_path_factory.mktemp("archive"), size=3_000_000)


@pytest.fixture
def pair(product: Path, tmp_path: Path) -> Iterator[Pair]:
    with unruly() as asf, unruly() as cdse:
        yield Pair(product, asf, cdse, tmp_path / "data")


# mirrors


def test_the_first_is_enough(pair: Pair) -> None:
    assert pair.fetch().url == pair.sources[0].url
    assert pair.arrived() and pair.cdse.seen == []


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["500"] * 9, "got 500"),
        (["html"] * 9, "expected a zip, got text/html"),
        (["damaged"] * 9, "expected md5:"),
        (["longer 5"] * 9, "got a file of"),
        (["429 600"], "got 429 Too Many Requests"),
        (["404"], "got 404 Not Found"),
        (["403"] * 2, "got 403 Forbidden"),
        (["401"], "it asks for a login"),
        (["refused"] * 9, "the connection fails"),
    ],
)
def test_the_next_is_tried_and_the_reason_told(pair: Pair, faults: list[str], words: str) -> None:
    pair.asf.faults.extend(faults)
    got = pair.fetch()
    assert pair.arrived() and got.url == pair.sources[1].url and len(pair.cdse.seen) == 1
    assert pair.warned[-1].startswith(f"{pair.scene.id}: ") and pair.asf.url in pair.warned[-1] and words in pair.warned[-1]
    assert pair.warned[-1].endswith("; tried at cdse")


def test_a_refused_login_leaves_the_next(pair: Pair) -> None:
    pair.asf.tokens = set()
    tokens = FixedToken(Credentials("asf", "netrc", token=Secret("expired-token")), (pair.asf.host,))
    pair.fetch([replace(pair.sources[0], tokens=tokens), pair.sources[1]])
    assert pair.arrived() and "expired-token" not in "".join(pair.warned) and len(pair.asf.seen) == 2
    assert pair.cdse.seen[0].authorization == "", "a token is for its archive"


def test_what_is_equal_is_carried_on_from_the_other(pair: Pair) -> None:
    pair.asf.faults.extend(["cut 0.5", *["500"] * 9])
    pair.fetch()
    came = pair.asf.seen[0].sent
    assert pair.arrived() and pair.cdse.seen[0].range == f"bytes={came}-"
    assert came + pair.cdse.seen[0].sent == len(pair.content)


@pytest.mark.parametrize("change", [{"checksum": None}, {"size": None}, {"checksum": "other"}])
def test_what_is_not_known_to_be_equal_is_begun_anew(pair: Pair, change: dict[str, Any]) -> None:
    other = replace(pair.sources[1], **change)
    if change.get("checksum") == "other":
        zipped_anew = make_zip(pair.target.parent.parent / "anew", size=2_000_000)
        pair.content = pair.cdse.files[f"/{pair.target.name}"] = zipped_anew.read_bytes()
        other = replace(other, size=len(pair.content), checksum=f"md5:{hashlib.md5(pair.content).hexdigest()}")
    pair.asf.faults.extend(["cut 0.5", *["500"] * 9])
    pair.fetch([pair.sources[0], other])
    assert pair.arrived() and [r.range for r in pair.cdse.seen] == [""]
    pair.fetch([pair.sources[0], other])
    assert len(pair.cdse.seen) == 1, "any of the archives' files will do"


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("500", "404", ArchiveError),
        ("404", "404", NotInArchive),
        ("404", "damaged", CorruptProduct),
        ("damaged", "401", CredentialsError),
        ("401", "500", ArchiveError),
        ("429 600", "401", Throttled),
        ("429 600", "429 60", Throttled),
    ],
)
def test_where_none_gives_it_the_error_leaves_most_hope(pair: Pair, first: str, second: str, kind: type[Exception]) -> None:
    pair.asf.faults.extend([first] * 9)
    pair.cdse.faults.extend([second] * 9)
    with pytest.raises(kind) as caught:
        pair.fetch()
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.startswith(f"{pair.scene.id}: no archive gives it: (1) asf: ") and "; (2) cdse: " in message
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after_s == (60 if second == "429 60" else 600)
    assert list(pair.target.parent.iterdir()) == []


def test_nowhere_to_look(pair: Pair) -> None:
    with pytest.raises(RequestError, match="expected at least one archive"):
        fetch([], pair.scene, pair.target.parent)


# disks


def test_a_full_disk_is_no_reason_for_another_archive(pair: Pair) -> None:
    pair.target.parent.mkdir()
    part = part_of(pair.target)
    part.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="no space left on its disk") as caught:
        pair.fetch()
    assert not isinstance(caught.value, ArchiveError) and pair.cdse.seen == [] and len(pair.asf.seen) == 1
    assert list(pair.target.parent.iterdir()) == []
    pair.fetch()
    assert pair.arrived()


def _with_file_limit(pair: Pair, results: Any) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    try:
        pair.fetch()
    except TransientError as error:
        results.put((type(error).__name__, str(error)))


def test_a_file_that_may_not_grow(pair: Pair) -> None:
    results = FORK.Queue()
    job = FORK.Process(target=_with_file_limit, args=(pair, results))
    job.start()
    kind, message = results.get(timeout=20)
    job.join(20)
    assert kind == "TransientError" and "cannot be written: [Errno 27]" in message
    assert not pair.target.exists() and pair.cdse.seen == []


# processes


def _fetch(pair: Pair, results: Any) -> None:
    got = pair.fetch()
    results.put((got.checksum, pair.target.stat().st_ino))


def test_several_processes_want_one_file_and_one_transfers(pair: Pair) -> None:
    pair.asf.faults.append("slow 0.01")
    results = FORK.Queue()
    jobs = [FORK.Process(target=_fetch, args=(pair, results)) for _ in range(4)]
    for job in jobs:
        job.start()
    got = {results.get(timeout=30) for _ in jobs}
    for job in jobs:
        job.join(20)
    assert len(got) == 1 and pair.arrived() and len(pair.asf.seen) == 1


CHILD = """
import sys
from pathlib import Path
from satdaemon.archive.mirrors import fetch
from satdaemon.archive.part import Source
from satdaemon.archive.product import scene_of_name
url, size, checksum, folder = sys.argv[1:]
fetch([Source("asf", url, int(size), checksum)], scene_of_name(Path(url.rpartition("/")[2])), Path(folder))
"""


@pytest.mark.faults
def test_killed_at_random_bytes_it_goes_on_from_there(pair: Pair) -> None:
    """Five processes are killed with -9, one after the other; each goes on at the very byte where the last ended."""
    source, part = pair.sources[0], part_of(pair.target)
    command = [sys.executable, "-c", CHILD, source.url, str(source.size), str(source.checksum), str(pair.target.parent)]
    ended = [0]
    for kill in range(5):
        pair.asf.faults.append("slow 0.02")
        child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        until = ended[-1] + 150_001 + 70_003 * kill
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size >= until):
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        ended.append(part.stat().st_size)
        assert ended[-1] >= until and part.read_bytes() == pair.content[: ended[-1]]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, timeout=30)
    assert pair.arrived()
    assert [r.range for r in pair.asf.seen] == ["", *(f"bytes={n}-" for n in ended[1:])]


# everything at once

KINDS = (
    "500", "502", "503 0", "429 0", "429 @0", "html", "refused", "expire", "cut 0.5", "cut 0.9", "cut 0", "stall 0.4",
    "damaged", "longer 9", "shorter -9", "302", "chunked", "norange", "slow 0.001",
)  # fmt: skip
COST_NOTHING = ("chunked", "slow", "norange")


def _work(orders: list[tuple[Source, Scene]], site: tuple[str, str], folder: Path, results: Any) -> None:
    host, login = site
    tokens = PasswordGrant(Credentials("cdse", "netrc", "me", Secret("right-password")), login, (host,), patience=QUICK.patience)
    for source, scene in orders:
        try:
            got = fetch([replace(source, tokens=tokens)], scene, folder, manner=QUICK)
            results.put((scene.id, got.checksum))
        except Exception as error:  # noqa: BLE001 - told to the test
            results.put((scene.id, repr(error)))


@pytest.mark.faults
@pytest.mark.parametrize("seed", [1])
def test_all_faults_at_random_from_several_processes(tmp_path: Path, seed: int) -> None:
    """72 products, each wanted by two of six processes: all arrive intact, none twice, none half, and without a storm."""
    drawn: list[str] = []
    with unruly() as site:
        site.logins["me"] = "right-password"
        site.tokens = set()
        orders = [
            _offer(site, make_zip(tmp_path / "archive", START.replace(hour=k // 24, minute=k % 24), size=150_000))
            for k in range(72)
        ]
        site.at_random = random_faults(seed, 0.6, KINDS, drawn)
        results = FORK.Queue()
        shares = [orders[k::3] for k in range(3)] * 2
        where = (site.host, f"{site.url}/token")
        jobs = [FORK.Process(target=_work, args=(share, where, tmp_path / "data", results)) for share in shares]
        for job in jobs:
            job.start()
        got = [results.get(timeout=60) for _ in range(2 * len(orders))]
        for job in jobs:
            job.join(20)
        assert sorted(got) == sorted((scene.id, source.checksum) for source, scene in orders * 2)
        _all_is_well(site, orders, tmp_path / "data")
        gets = [r for r in site.seen if r.method == "GET"]
        costly = [fault for fault in drawn if fault.partition(" ")[0] not in COST_NOTHING]
        assert len(costly) >= 45 and {f.partition(" ")[0] for f in drawn} >= {"damaged", "cut", "expire", "stall", "html"}
        assert len(orders) <= len(gets) <= len(orders) + len(costly), "one request a product, and one for each fault"
        assert len(site.seen) - len(gets) <= len(jobs) + drawn.count("expire"), "one login a process, and one for each 401"
        tokenless = [r for r in gets if not r.authorization]
        assert tokenless == []


def _offer(site: Unruly, path: Path) -> tuple[Source, Scene]:
    content = path.read_bytes()
    site.files[f"/{path.name}"] = content
    scene = scene_of_name(path)
    assert scene is not None
    return Source("cdse", f"{site.url}/{path.name}", len(content), f"md5:{hashlib.md5(content).hexdigest()}"), scene


def _all_is_well(site: Unruly, orders: list[tuple[Source, Scene]], folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{scene.id}.zip" for _, scene in orders)
    for _, scene in orders:
        path = folder / f"{scene.id}.zip"
        assert path.read_bytes() == site.files[f"/{path.name}"]
        check_zip(path, scene.id)
