"""The demo's archive over HTTP: a stand-in on loopback that has the simulated products, and misbehaves by a seeded plan."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console

from satdaemon.errors import RequestError

if TYPE_CHECKING:
    from satdaemon.cli.demo.place import Place
    from satdaemon.config import Settings

SHARE = 0.6
"""Of the products whose transfer goes wrong, once each: an archive that refuses a login twice is believed."""
_VARIABLES = {"asf": "EARTHDATA", "cdse": "CDSE"}


@contextmanager
def served(place: Place, settings: Settings, archive: str | None, seed: int, console: Console) -> Iterator[None]:
    """Serve the demo's products as `asf` or `cdse` does; nothing where the demo has its archive in a directory."""
    if archive is None:
        yield
        return
    from satdaemon.simulator.archives import AsfStandIn, CdseStandIn, Fault, Faults, Shelf, Trouble
    from satdaemon.simulator.archives.asf import USERS as ASF_USERS
    from satdaemon.simulator.archives.cdse import USERS as CDSE_USERS

    plain = [kind for kind in Fault if kind not in (Fault.BODY, Fault.SILENT, Fault.THROTTLED)]
    kinds = [*plain, Trouble(Fault.THROTTLED, retry_after_s=2.0)]
    faults = Faults(seed=seed, share=SHARE, kinds=kinds, most=1)
    shelf, ports = Shelf(place.simulation / "archive"), _ports(settings, archive)
    users = ASF_USERS if archive == "asf" else CDSE_USERS
    _log_in(archive, *next(iter(users.items())))
    try:
        server = (AsfStandIn if archive == "asf" else CdseStandIn)(shelf, faults, ports=ports)
    except OSError as error:
        what = f"ports {ports[0]} and {ports[1]}: expected them free for the demo's archive, got: {error}"
        raise RequestError(f"{what}; --fresh takes others") from error
    with server:
        console.print(f"[bold]archive[/] {archive} at {server.base}; it misbehaves now and then", highlight=False)
        yield
        tally, troubles = server.tally, sum(faults.had.values())
        asked = f"{tally.of('search')} searches, {tally.of('data')} requests for products, {troubles} of them with faults"
        console.print(f"[bold]archive[/] {asked}, {tally.of('bytes') / 1e6:.0f} MB sent", highlight=False)


def _ports(settings: Settings, archive: str) -> tuple[int, int]:
    """As the demo's configuration has them: run again, it finds the archive where it was."""
    sites = settings.archives
    base = sites.asf_search if archive == "asf" else sites.cdse_catalogue
    first = urlsplit(base).port or 0
    others = [int(host.rpartition(":")[2]) for host in sites.hosts[archive]]
    return first, next((port for port in others if port != first), 0)


def _log_in(archive: str, user: str, password: str) -> None:
    """The services that are started from here find this login, and no real one goes to the stand-in."""
    prefix = _VARIABLES[archive]
    os.environ.pop(f"{prefix}_TOKEN", None)
    os.environ[f"{prefix}_USERNAME"], os.environ[f"{prefix}_PASSWORD"] = user, password
