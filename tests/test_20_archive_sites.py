"""The archives that a configuration names, at the addresses that it gives them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from archive_stand_ins import OVER_THE_SQUARE, at_stand_ins, item, shelf_of
from product_zips import SQUARE, START, damage, make_zip

from satdaemon.archive import sites
from satdaemon.archive.area import Area
from satdaemon.archive.asf import CATALOGUE as CMR
from satdaemon.archive.cdse import CATALOGUE, DOWNLOAD
from satdaemon.archive.logins import CDSE, EARTHDATA_PATH, tokens_of
from satdaemon.archive.names import archive_of
from satdaemon.archive.tokens import EARTHDATA
from satdaemon.config import ArchiveSettings, DownloadSettings, Settings
from satdaemon.errors import ConfigError, CredentialsError
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn

HERE = Area.of_wkt(OVER_THE_SQUARE, 71, "D")
LOGINS = {
    "EARTHDATA_USERNAME": "demo",
    "EARTHDATA_PASSWORD": "demo-password",
    "CDSE_USERNAME": "demo@example.org",
    "CDSE_PASSWORD": "demo-password",
}


def settings(*archives: str, path: Path | None = None) -> Settings:
    return Settings(download=DownloadSettings(archives=archives, archive_path=path))


def test_the_defaults_are_the_real_archives() -> None:
    sites_ = ArchiveSettings()
    assert (sites_.asf_search, sites_.cdse_catalogue, sites_.cdse_download) == (CMR, CATALOGUE, DOWNLOAD)
    assert sites_.asf_login == EARTHDATA and CDSE.startswith(sites_.cdse_login) and EARTHDATA_PATH.startswith("/")
    for url, name in {
        "https://datapool.asf.alaska.edu/SLC/SA/x.zip": "asf",
        "https://urs.earthdata.nasa.gov": "asf",
        "https://download.dataspace.copernicus.eu/odata": "cdse",
        "https://asf.alaska.edu.evil.org/x": "asf.alaska.edu.evil.org",
        "file:///archive/x.zip": "local",
    }.items():
        assert archive_of(url) == name


def test_order_and_addresses_are_those_of_the_configuration(tmp_path: Path) -> None:
    local = make_zip(tmp_path)
    with AsfStandIn(shelf_of(item(crc="AAAA"))) as asf, CdseStandIn(shelf_of(item(crc="CCCC"))) as cdse:
        here = at_stand_ins(settings("cdse", "local", "asf", path=tmp_path), asf=asf, cdse=cdse)
        found = [(each.name, [one.scene for one in each.search(HERE).listed]) for each in sites.catalogues(here)]
        assert [(name, scene.id[-4:]) for name, (scene,) in found] == [("cdse", "CCCC"), ("local", "BA76"), ("asf", "AAAA")]
        assert found[1][1][0].url == local.as_uri()
        assert [sites.archive_at(here, scene.url) for _, (scene,) in found] == ["cdse", "local", "asf"]
        assert [each.name for each in sites.catalogues(here, ["asf"])] == ["asf"]
        with pytest.raises(ConfigError, match=r"expected one of \[DOWNLOAD\] archives \(cdse, local, asf\), got esa"):
            sites.catalogues(here, ["esa"])
        for name in ("asf", "cdse"):
            tokens = sites.tokens_of(name, here.archives, LOGINS)
            bearer = tokens.bearer()
            assert bearer.is_for(found[0 if name == "cdse" else 2][1][0].url)
            assert not bearer.is_for("https://datapool.asf.alaska.edu/x") and not bearer.is_for(asf.store_base)
            assert tokens.end() == ""
        assert (asf.tally.of("token"), cdse.tally.of("token"), cdse.sessions.active()) == (1, 1, 0)


def test_without_a_login_what_to_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cdse: expected credentials, found none; set CDSE_USERNAME and CDSE_PASSWORD"):
        sites.tokens_of("cdse", ArchiveSettings(), {"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"\[DOWNLOAD\] archive_path: expected the directory of the local archive, got nothing"):
        sites.catalogues(settings("local"))


def test_a_token_of_earthdata_is_shown_to_its_hosts() -> None:
    tokens = sites.tokens_of("asf", ArchiveSettings(), {"EARTHDATA_TOKEN": "eyJ0.abc.def"})
    assert tokens.bearer().is_for("https://datapool.asf.alaska.edu/SLC/x.zip")
    assert not tokens.bearer().is_for("https://download.dataspace.copernicus.eu/x")
    assert tokens_of.__module__ == "satdaemon.archive.logins"


def test_the_manner_is_the_configured_patience() -> None:
    manner = sites.manner_of(ArchiveSettings(timeout_s=7.0, pause_s=0.5), 2e6)
    assert (manner.patience.connect_s, manner.patience.stall_s, manner.pause_first_s) == (7.0, 7.0, 0.5)
    assert manner.bandwidth is not None and manner.bandwidth.bytes_s == 2e6
    assert sites.manner_of(ArchiveSettings()).bandwidth is None


def test_a_directory_is_searched_by_area_and_by_time(tmp_path: Path) -> None:
    old, new = make_zip(tmp_path), make_zip(tmp_path, START + timedelta(days=12), orbit=46868)
    make_zip(tmp_path, footprint=tuple((lon + 40, lat) for lon, lat in SQUARE), crc="0003")
    (catalogue,) = sites.catalogues(settings("local", path=tmp_path))

    def ids(area: Area) -> list[str]:
        return [each.scene.id for each in catalogue.search(area).listed]

    assert ids(HERE) == [old.stem, new.stem]
    assert ids(replace(HERE, start_utc=START + timedelta(days=1))) == [new.stem]
    assert ids(replace(HERE, stop_utc=START + timedelta(days=1))) == [old.stem]
    assert ids(replace(HERE, since_utc=datetime.now(UTC) + timedelta(hours=1))) == []
    assert len(ids(replace(HERE, since_utc=datetime.now(UTC) - timedelta(hours=1)))) == 2
    assert len(ids(Area())) == 3 and len(ids(Area.of_wkt(OVER_THE_SQUARE))) == 2
    assert ids(Area.of_wkt(OVER_THE_SQUARE, 72, "D")) == [old.stem, new.stem], "a slice may begin on the track before"
    assert ids(Area.of_wkt(OVER_THE_SQUARE, 71, "A")) == []
    (listed,) = catalogue.search(replace(HERE, stop_utc=START + timedelta(days=1))).listed
    assert listed.footprint == SQUARE and abs(listed.published_utc - datetime.now(UTC)) < timedelta(hours=1)


def test_an_unreadable_zip_is_listed_at_its_time_of_the_day(tmp_path: Path) -> None:
    make_zip(tmp_path)
    bad = make_zip(tmp_path, START + timedelta(days=12), orbit=46868)
    damage(bad, bad.stat().st_size - 3)
    bad.write_bytes(bad.read_bytes()[:20_000])
    (catalogue,) = sites.catalogues(settings("local", path=tmp_path))
    listed = catalogue.search(HERE).listed
    assert [(each.scene.id == bad.stem, each.footprint, each.scene.orbit_direction) for each in listed][-1] == (True, (), "D")


def test_nothing_that_speaks_http_is_loaded_with_the_factory() -> None:
    code = "import sys, satdaemon.archive.sites; print([m for m in ('httpx', 'http.client', 'asf_search') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
