"""`satdaemon archive ...` as a user types it, with stand-ins for the archives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive_stand_ins import host
from simulated import small_archive, zip_of
from test_20_archive_sites import LOGINS
from typer.testing import CliRunner

from deployments.doctor.host import of_host
from deployments.doctor.probe import look
from satdaemon.cli import application as cli
from satdaemon.config import Settings, load
from satdaemon.db import Database, File
from satdaemon.db.bursts import insert_bursts
from satdaemon.errors import RequestError
from satdaemon.insar.safe import read_product
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble

FRAME = "132A_FETCH"
Run = Callable[..., str]
Archives = tuple[AsfStandIn, CdseStandIn]


@pytest.fixture
def archives() -> Iterator[Archives]:
    shelf = Shelf(small_archive() / "archive")
    with AsfStandIn(shelf, Faults()) as asf, CdseStandIn(shelf, Faults()) as cdse:
        yield asf, cdse


@pytest.fixture
def run(database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archives: Archives) -> Run:
    for name, value in LOGINS.items():
        monkeypatch.setenv(name, value)
    cli.load_commands("archive")
    asf, cdse = archives
    config = tmp_path / "satdaemon.cfg"
    places = {name: getattr(settings.parameters, name) for name in ("data_path", "processing_path", "orbit_path", "log_path")}
    lines = [f"{name} = {value}" for name, value in {"database": settings.parameters.database, **places}.items()]
    lines += ["[DOWNLOAD]", "archives = asf, cdse", "[ARCHIVES]", "pause_s = 0.01", "timeout_s = 5"]
    lines += [f"asf_search = {asf.base}", f"asf_login = {asf.base}", f"asf_hosts = {host(asf.base)}"]
    lines += [f"cdse_{key} = {cdse.base}" for key in ("catalogue", "login", "download")]
    lines += [f"cdse_hosts = {host(cdse.base)}, {host(cdse.download_base)}"]
    config.write_text("\n".join(["[PARAMETERS]", *lines, ""]))
    product = read_product(zip_of(0))
    insert_bursts(database, product.domain_bursts())
    database.make_new_frame_using_burstlist([burst.id for burst in product.domain_bursts()], FRAME)

    def call(*arguments: object) -> str:
        done = CliRunner().invoke(cli.app, [*map(str, arguments), "-d", str(config)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


def test_search_fill_and_fetch(database: Database, run: Run, archives: Archives, tmp_path: Path) -> None:
    asf, cdse = archives
    count = len(asf.shelf.items())
    shown = json.loads(run("archive", "search", FRAME, "--json"))
    assert len(shown) == count and {tuple(each["archives"]) for each in shown} == {("asf", "cdse")}
    assert sum(each["proc_utc"] is not None for each in shown) >= count - 1, "all but the corrupt zip tell it"
    only = run("archive", "search", FRAME, "--archive", "cdse")
    assert f"{count} scenes (cdse {count})" in only and database.query(File) == []
    dry = run("archive", "fill", FRAME, "--dry-run")
    assert f"{count} new" in dry and "nothing was entered" in dry and database.query(File) == []
    counts = f"{count} scenes (asf {count}, cdse {count})"
    assert f"{FRAME}: {counts}, {count} new, 0 renewed, 0 bad" in run("archive", "fill", "--all")
    assert f"{counts}, 0 new, 0 renewed, 0 bad" in run("archive", "fill", FRAME)
    with pytest.raises(RequestError, match=r"expected FRAME\.\.\. or --all, got neither"):
        run("archive", "fill")
    original = zip_of(0)
    asf.faults.expect("data/", *[Trouble(Fault.HTML)] * 9)
    out = run("archive", "fetch", original.stem, "--to", tmp_path / "there")
    assert (tmp_path / "there" / original.name).read_bytes() == original.read_bytes() and "tried at cdse" in out
    assert "md5:" in out and "MB/s" in out and database.query(File, id=original.stem)[0].state == "remote"
    run("archive", "fetch", original.stem)
    (file,) = database.query(File, id=original.stem)
    assert file.state == "on_disk" and Path(str(file.abspath)).read_bytes() == original.read_bytes()
    assert cdse.sessions.active() == 0
    with pytest.raises(RequestError, match="S1A_nothing: expected scenes of the database, got others; satdaemon archive fill"):
        run("archive", "fetch", "S1A_nothing")


def test_doctor_says_where_logins_are_found(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(tmp_path / "satdaemon.cfg")
    found = {one.check: one for one in of_host("here", look(settings, {}))}
    assert found["here: login of cdse"].found == "found: CDSE_USERNAME and CDSE_PASSWORD in the environment"
    assert not any("demo-password" in str(one) for one in found.values())
    for name in LOGINS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    lacking = {one.check: one for one in of_host("here", look(settings, {}))}
    assert "set EARTHDATA_TOKEN, or EARTHDATA_USERNAME" in lacking["here: login of asf"].found
    assert "archive.md" in str(lacking["here: login of asf"])
