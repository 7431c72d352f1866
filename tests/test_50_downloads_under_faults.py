"""Two hundred downloads by the download stage's own way while both archives misbehave, kills at any byte, and no secret shown."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from archive_stand_ins import at_stand_ins, catalogue
from databases import make_settings
from orbit_files import precise
from product_zips import START, make_zip
from sqlalchemy import text

from satdaemon.archive.part import origin_of
from satdaemon.archive.transfer import part_of
from satdaemon.config import Settings
from satdaemon.db import Database, File, init_database
from satdaemon.db.arrived import take
from satdaemon.db.bursts import insert_bursts
from satdaemon.db.scene_rows import scene_of, sources_of
from satdaemon.db.scenes import fill_files
from satdaemon.domain import Burst, Frame, Scene, StageInput
from satdaemon.errors import ArchiveError, SatDaemonError
from satdaemon.joblog import JobContext
from satdaemon.processors.builtin.fetch import fetch_all
from satdaemon.simulator.archives import DOWNLOAD_FAULTS, AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble
from satdaemon.status import RowKind, Stage

FORK = multiprocessing.get_context("fork")
PASSWORDS = {"asf": "Gehe!m/47 11%&=", "cdse": "str3ng:geheim+ü?"}
USERS = {"asf": "demo", "cdse": "demo@example.org"}
INSIDE = ((11.0, 50.9), (11.4, 50.9), (11.4, 51.1), (11.0, 51.1))
FRAME = "071D_MANY"
KINDS = [Trouble(Fault.THROTTLED, retry_after_s=0.05) if kind is Fault.THROTTLED else kind for kind in DOWNLOAD_FAULTS]


class Place:
    """Both archives with one shelf, a database with a frame, and jobs that fetch."""

    def __init__(self, folder: Path, asf: AsfStandIn, cdse: CdseStandIn) -> None:
        self.folder, self.asf, self.cdse = folder, asf, cdse
        self.fills = 0
        base = make_settings(folder, f"sqlite:///{folder / 'satdaemon.sqlite'}")
        download = base.download.model_copy(update={"archives": ("cdse", "asf")})
        self.settings: Settings = at_stand_ins(base.model_copy(update={"download": download}), asf=asf, cdse=cdse)
        self.db: Database = init_database(self.settings)
        self.frame = Frame(FRAME, 71, "D", (Burst("071_5000_IW1", 71, "D", 5000, "IW1", None, INSIDE),))
        insert_bursts(self.db, self.frame.bursts)
        self.db.make_new_frame_using_burstlist(["071_5000_IW1"], FRAME)

    def fill(self) -> int:
        """Search both, page by page, with products that appear on two pages."""
        asked, added = [catalogue("cdse", self.cdse.base, page=40), catalogue("asf", self.asf.base, page=40)], 0
        for _ in range(4):
            self.fills += 1
            try:
                report = fill_files(self.db, FRAME, catalogues=asked)
            except ArchiveError:
                continue
            added += report.added
            if not report.warnings:
                return added
        raise AssertionError("neither archive answered in four searches")

    def scenes(self) -> list[Scene]:
        with self.db.read_scope() as session:
            rows = session.query(File).filter(File.state == "remote").all()
            sources = sources_of(session, self.settings, [row.id for row in rows])
            return [scene_of(row, sources[row.id]) for row in rows]

    def job(self, *scenes: Scene) -> StageInput:
        download, archives = (section.model_dump(mode="json") for section in (self.settings.download, self.settings.archives))
        paths = {"data": self.folder / "data", "orbits": self.folder / "orbit"}
        day = scenes[0].date
        return StageInput(
            1, 1, Stage.DOWNLOAD, RowKind.IFG, self.frame, day, day, None, self.folder / "out", {}, scenes,
            {**download, "sites": archives}, paths,
        )  # fmt: skip

    @property
    def secrets(self) -> list[str]:
        """All that nobody may see, also as addresses write it."""
        plain = [*PASSWORDS.values(), *self.asf.issued, *self.cdse.sessions.issued]
        return [*plain, *(quote(one, safe="") for one in plain), *(quote_plus(one) for one in plain)]

    def shown(self, *more: str) -> str:
        """All that was left behind: every file but zips, the whole database, and `more`."""
        files = [p.read_bytes().decode("utf-8", "replace") for p in self.folder.rglob("*") if p.is_file() and p.suffix != ".zip"]
        with self.db.engine.connect() as connection:
            tables = [row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))]
            dump = [repr(row) for table in tables for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
        return "\n".join([*files, *dump, *more])

    def assert_no_secret(self, *more: str) -> None:
        everything = self.shown(*more)
        assert len(self.secrets) > 6 and not [one for one in self.secrets if one in everything]
        assert re.search(r"Signature=(?!\*\*\*)", everything) is None, "an address that is signed is one too"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, prefix in (("asf", "EARTHDATA"), ("cdse", "CDSE")):
        monkeypatch.setenv(f"{prefix}_USERNAME", USERS[name])
        monkeypatch.setenv(f"{prefix}_PASSWORD", PASSWORDS[name])
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    (tmp_path / "shelf").mkdir()
    (tmp_path / "site").mkdir()
    shelf = Shelf(tmp_path / "shelf")
    users = {name: {USERS[name]: PASSWORDS[name]} for name in USERS}
    with (
        AsfStandIn(shelf, Faults(), users=users["asf"], duplicates=True) as asf,
        CdseStandIn(shelf, Faults(), users=users["cdse"], duplicates=True) as cdse,
    ):
        found = Place(tmp_path / "site", asf, cdse)
        yield found
        found.db.close()


class Quiet:
    """A report that nobody reads."""

    def progress(self, fraction: float, message: str = "") -> None:
        pass

    def warning(self, message: str) -> None:
        pass


def _work(place: Place, scenes: list[Scene], log: Path, results: Any) -> None:
    """One job a scene, tried again as the engine does."""
    with log.open("a") as file, redirect_stdout(file):
        for scene in scenes:
            for attempt in range(4):
                try:
                    (found,) = fetch_all(place.job(scene), Quiet()).scenes
                    results.put((scene.id, str(found.path), found.size, found.checksum, found.url))
                    break
                except SatDaemonError as error:
                    print(f"{type(error).__name__}: {error}")
                    if attempt == 3:
                        results.put((scene.id, repr(error), 0, "", ""))


def _all(place: Place, scenes: list[Scene], round_: int) -> list[tuple[str, str, int, str, str]]:
    results = FORK.Queue()
    logs = [place.folder / f"worker-{round_}-{k}.log" for k in range(4)]
    workers = [FORK.Process(target=_work, args=(place, scenes[k::4], logs[k], results)) for k in range(4)]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=60) for _ in scenes]
    for worker in workers:
        worker.join(20)
    return got


@pytest.mark.faults
@pytest.mark.parametrize("seed", [1])
def test_two_hundred_downloads_while_the_archives_misbehave(place: Place, seed: int) -> None:
    """All arrive intact, none twice, none half, with as few requests as the faults allow; products are reissued meanwhile."""
    shelf = place.folder.parent / "shelf"
    for k in range(185):
        make_zip(shelf, START + timedelta(days=12 * k), orbit=46693 + 175 * k, size=25_000)
    for stand_in in (place.asf, place.cdse):
        stand_in.faults = Faults(seed=seed, share=0.4, kinds=KINDS, most=2, where=("data/", "search"))
    assert place.fill() == 185
    first = place.scenes()
    assert len(first) == 185 and all([s.archive for s in scene.sources] == ["cdse", "asf"] for scene in first)
    got = _all(place, first[:100], 1)
    for k in range(5, 20):  # reissued while others are fetched
        make_zip(shelf, START + timedelta(days=12 * k), orbit=46693 + 175 * k, size=26_000, crc="CAFE")
    assert place.fill() == 15
    got += _all(place, [*first[100:], *(scene for scene in place.scenes() if scene.id.endswith("CAFE"))], 2)
    # all, intact, once
    data = place.folder / "data" / "T071"
    originals = {path.name: path.read_bytes() for path in shelf.glob("*.zip")}
    assert len(originals) == len(got) == len({scene_id for scene_id, *_ in got}) == 200
    assert {path.name: path.read_bytes() for path in data.iterdir()} == originals, "nothing else is left, and nothing half"
    assert [words for _, words, size, *_ in got if not size] == []
    # with the fewest requests
    had = {name: stand_in.faults.had for name, stand_in in (("asf", place.asf), ("cdse", place.cdse))}
    kinds = Counter(key.partition("/")[0] for each in had.values() for key in each)
    assert kinds["data"] > 60 and kinds["search"] >= 1
    asked = place.asf.tally.of("data") + place.cdse.tally.of("data")
    troubles = sum(count for each in had.values() for key, count in each.items() if key.startswith("data/"))
    assert 200 <= asked <= 200 + troubles, f"{asked} requests for 200 products and {troubles} faults"
    assert place.asf.tally.of("leak") == 0 and place.cdse.tally.of("too many transfers") == 0
    assert place.cdse.sessions.active() == 0, "each job ends its session"
    assert place.fills <= 2 + 2 * 2, "a search that was refused is made again"
    for name, stand_in in (("asf", place.asf), ("cdse", place.cdse)):
        assert stand_in.tally.of("search") <= place.fills * (200 // 40 + 1) + had[name].get("search", 0)
    # the database knows, and nobody has seen a secret
    known = {scene.id: scene for scene in place.scenes()}
    take(place.db, [replace(known[i], path=Path(p), size=n, checksum=c, url=u) for i, p, n, c, u in got])
    assert place.scenes() == [] and Counter(f.state for f in place.db.query(File)) == {"on_disk": 200}
    assert place.fill() == 0 and place.scenes() == []
    place.assert_no_secret()


def _child(place: Place, folder: Path, scene: Scene, **environment: str) -> subprocess.Popen[bytes]:
    """The process that a download job is, with its output where the engine keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.json").write_text(json.dumps(replace(place.job(scene), out_dir=folder).to_json()))
    variables = {**os.environ, **JobContext(1, 1, FRAME, "download", folder / "events.jsonl").to_environment(), **environment}
    with (folder / "job.log").open("ab") as log:
        command = [sys.executable, "-m", "satdaemon.runner.child", str(folder / "input.json")]
        return subprocess.Popen(command, env=variables, stdout=log, stderr=log)


@pytest.mark.faults
def test_killed_at_a_random_byte_it_goes_on_from_there_and_shows_no_secret(place: Place) -> None:
    path = make_zip(place.folder.parent / "shelf", size=1_500_000)
    precise(place.folder / "orbit")
    assert place.fill() == 1
    (scene,) = place.scenes()
    part = part_of(place.folder / "data" / "T071" / path.name)
    dice = random.Random(4)
    ended = 0
    for _ in range(3):
        place.cdse.faults.expect("data/", Trouble(Fault.SLOW, bytes_per_s=1e6))
        until = ended + dice.randrange(50_000, 350_000)
        child = _child(place, place.folder / "job", scene)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size >= until):
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        ended = part.stat().st_size
        assert ended >= until and part.read_bytes() == path.read_bytes()[:ended] and origin_of(part).exists()
    before = place.cdse.tally.of("bytes")
    # Sessions of the killed ones are still open: each job leaves one, and the archive allows four.
    assert place.cdse.sessions.active() == 3
    assert _child(place, place.folder / "job", scene).wait(60) == 0
    assert place.cdse.tally.of("bytes") - before == path.stat().st_size - ended, "not a byte twice"
    assert (place.folder / "data" / "T071" / path.name).read_bytes() == path.read_bytes() and not part.exists()
    assert place.asf.tally.of("data") == 0
    (place.folder / "data" / "T071" / path.name).unlink()
    place.cdse.sessions.end_tokens(sessions_too=True)
    # Failures, with what the engine, the database and Prefect get to see of them.
    place.cdse.faults.expect("data/", *[Trouble(Fault.HTML)] * 3, *[Trouble(Fault.FORBIDDEN)] * 9)
    place.asf.faults.expect("data/", *[Trouble(Fault.FORBIDDEN)] * 9)
    assert _child(place, place.folder / "job-2", scene).wait(60) == 1
    wrong = {"CDSE_PASSWORD": "x" + PASSWORDS["cdse"], "EARTHDATA_PASSWORD": "wrong"}
    assert _child(place, place.folder / "job-3", scene, **wrong).wait(60) == 1
    failed = [json.loads((place.folder / name / "result.json").read_text())["failure"] for name in ("job-2", "job-3")]
    assert {each["error_class"] for each in failed} <= {"CredentialsError", "ArchiveError"}
    assert [failed[1][key] for key in ("error_class", "disposition", "retry_after_s")] == ["CredentialsError", "wait", 900]
    assert "CDSE_USERNAME and CDSE_PASSWORD in the environment are refused" in failed[1]["message"]
    place.assert_no_secret(*(json.dumps(each, ensure_ascii=False) for each in failed))
    log = (place.folder / "job-3" / "job.log").read_text()
    assert "refused" in log and "Traceback" in log, "there was something to see"
