"""Where a demo stands and how it is configured: one directory with its own satdaemon.cfg."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from satdaemon.config import Settings, load
from satdaemon.errors import RequestError

MARK = "demo.json"


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of one demo."""

    root: Path

    @property
    def simulation(self) -> Path:
        """What the simulator made."""
        return self.root / "simulation"

    @property
    def config(self) -> Path:
        """The demo's configuration file."""
        return self.root / "satdaemon.cfg"

    @property
    def summary(self) -> Path:
        """The comparison with the truth."""
        return self.root / "summary.json"

    def frame(self) -> dict[str, Any]:
        """`frame.json` of the simulation: id and bursts."""
        found: dict[str, Any] = json.loads((self.simulation / "frame.json").read_text())
        return found


def prepare(root: Path, *, options: dict[str, Any], fresh: bool) -> Place:
    """Open or make the demo's directory; refuse to mix demos of different options."""
    root = root.resolve()
    place, mark = Place(root), root / MARK
    if fresh and root.exists():
        if any(root.iterdir()) and not mark.exists():
            raise RequestError(f"{root}: expected a demo's directory ({MARK}), found other files; nothing was removed")
        shutil.rmtree(root)
    if mark.exists():
        before = json.loads(mark.read_text())
        if before != options:
            raise RequestError(f"{root}: holds a demo with {before}, asked for {options}. Add --fresh, or name another --out")
    elif root.exists() and any(root.iterdir()):
        raise RequestError(f"{root}: expected an empty or missing directory, found files of something else. Name another --out")
    else:
        root.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps(options))
    return place


def configure(place: Place, *, database: str | None, archive: str | None = None, bursts_only: bool = False) -> Settings:
    """Write the demo's satdaemon.cfg (once), with free ports, and read it."""
    if not place.config.exists():
        prefect_port, dask_port, *ports = _free_ports(4)
        text = _TEMPLATE.format(
            database=database or f"sqlite:///{place.root / 'satdaemon.sqlite'}", prefect_port=prefect_port, dask_port=dask_port,
            download=_LOCAL if archive is None else _FAR.format(archive=archive) + bursts_only * "\nbursts_only = yes",
            archives=_far_section(archive, ports),
        )  # fmt: skip
        place.config.write_text(text)
    return load(place.config)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _far_section(archive: str | None, ports: list[int]) -> str:
    """[ARCHIVES]: a stand-in at two ports of this host, which alone sees the login."""
    if archive is None:
        return ""
    base, hosts = f"http://127.0.0.1:{ports[0]}", ", ".join(f"127.0.0.1:{port}" for port in ports)
    keys = {"asf": ("search", "login", "bursts"), "cdse": ("catalogue", "download", "login")}[archive]
    # ASF's zips are where its token must not be shown.
    own = hosts if archive == "cdse" else hosts.partition(",")[0]
    return _SECTION.format(keys="\n".join([*(f"{archive}_{key} = {base}" for key in keys), f"{archive}_hosts = {own}"]))


_TEMPLATE = """\
# Made by `satdaemon demo`.
[PARAMETERS]
database = {database}
data_path = data
processing_path = processing
log_path = logs
orbit_path = simulation/orbits
dem = simulation/dem.tif
prefect_api = http://127.0.0.1:{prefect_port}/api
dask_scheduler = tcp://127.0.0.1:{dask_port}
planner_interval_s = 30
heartbeat_s = 2
lease_s = 20

[PROC_MACHINES]
names = demo1, demo2
cpu = 1
memory_gb = 6
disk = 100

[WEB]
start = no

[DOWNLOAD]
{download}
orbit_retry_s = 3600
memory_gb = 1

[SLC]
memory_gb = 1

[SATSAR]
memory_gb = 3

[COHERENCE]
memory_gb = 3

[UNWRAP]
memory_gb = 3

[TIMESERIES]
memory_gb = 3

[INGEST]
memory_gb = 3
{archives}"""
_LOCAL = """archive_path = simulation/archive
transfer = link"""
_FAR = """archives = {archive}
archive_sessions = {archive} 2"""
_SECTION = """
[ARCHIVES]
timeout_s = 10
pause_s = 0.2
{keys}
"""
