"""Products on a shelf for the archives' stand-ins, and clients that do not wait long."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from product_zips import SQUARE, START, product_name

from satdaemon.archive.asf import AsfCatalogue
from satdaemon.archive.cdse import CdseCatalogue
from satdaemon.config import ArchiveSettings, Settings
from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Faults, Item, Shelf

STAND_INS = {"asf": AsfStandIn, "cdse": CdseStandIn}
CATALOGUES = {"asf": AsfCatalogue, "cdse": CdseCatalogue}
OVER_THE_SQUARE = "POLYGON ((11 50.5, 12 50.5, 12 51, 11 51, 11 50.5))"


def item(start=START, *, footprint=SQUARE, track: int = 71, direction: str = "D", **more) -> Item:
    """A product that is listed but has no file; `more` goes to `Item`, but for what `product_name` takes."""
    of_name = {k: more.pop(k) for k in ("platform", "orbit", "crc") if k in more}
    values = {
        "published_utc": start + timedelta(hours=4),
        "proc_utc": start + timedelta(hours=2),
        "size": 4_000_000_000,
        "md5": "0" * 32,
        **more,
    }
    name = product_name(start, **of_name)
    return Item(name, start, start + timedelta(seconds=27), track, direction, footprint, **values)


def series(count: int, **more) -> list[Item]:
    """Products every twelve days on one track."""
    return [item(START + timedelta(days=12 * k), orbit=46693 + 175 * k, md5=f"{k:032x}", **more) for k in range(count)]


def shelf_of(*items: Item) -> Shelf:
    """A shelf with products that have no files."""
    shelf = Shelf()
    shelf.add(*items)
    return shelf


def stand_in(archive: str, *items: Item, faults: Faults | None = None, **more):
    """A stand-in of an archive with these products."""
    return STAND_INS[archive](shelf_of(*items), faults, **more)


def catalogue(archive: str, base: str, **more):
    """The client for it, which does not wait long."""
    return CATALOGUES[archive](base, **{"pause_s": 0.01, "timeout_s": 5.0, **more})


def at_stand_ins(settings: Settings, *, asf: AsfStandIn | None = None, cdse: CdseStandIn | None = None) -> Settings:
    """The settings, with stand-ins in the places of the archives."""
    values: dict[str, object] = {"timeout_s": 5.0, "pause_s": 0.01}
    if asf is not None:
        values |= {"asf_search": asf.base, "asf_login": asf.base, "asf_bursts": asf.base, "asf_hosts": host(asf.base)}
    if cdse is not None:
        hosts = f"{host(cdse.base)}, {host(cdse.download_base)}"
        values |= {"cdse_catalogue": cdse.base, "cdse_login": cdse.base, "cdse_download": cdse.base, "cdse_hosts": hosts}
    return settings.model_copy(update={"archives": ArchiveSettings.model_validate(values)})


def host(base: str) -> str:
    """HOST:PORT of an address."""
    return urlsplit(base).netloc
