"""The processes that make up a running system, each as it is started."""

from __future__ import annotations

import math
import socket
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from satdaemon.config import Machine, Settings
from satdaemon.errors import ConfigError
from satdaemon.machines.supervisor import Service
from satdaemon.runner.launch import ONE_THREAD, SHARED_SERVER

_PYTHON = sys.executable


def prefect_environment(settings: Settings) -> Mapping[str, str]:
    """Prefect's settings for the server and all that talk to it. Nothing is sent to anybody else."""
    return {
        "PREFECT_API_URL": settings.parameters.prefect_api,
        "PREFECT_HOME": str(settings.parameters.service_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
        "SATDAEMON_CONFIG": str(settings.source),
        "PYTHONUNBUFFERED": "1",
    }


def prefect_server(settings: Settings) -> Service:
    """The Prefect server, on SQLite or on the PostgreSQL that `prefect_database` names."""
    place = urlsplit(settings.parameters.prefect_api)
    argv = ("-m", "deployments.prefect_server", "--host", place.hostname or "127.0.0.1", "--port", str(place.port or 4200))
    service = _service(settings, "prefect", argv)
    if settings.parameters.prefect_database is not None:
        # Of the server alone: the URL may hold a password.
        service.env = {**service.env, "PREFECT_SERVER_DATABASE_CONNECTION_URL": settings.parameters.prefect_database}
    return service


def prefect_database(settings: Settings) -> str:
    """The kind of database that the Prefect server keeps its runs in."""
    return "SQLite" if settings.parameters.prefect_database is None else "PostgreSQL"


def dask_scheduler(settings: Settings) -> Service:
    """The Dask scheduler."""
    return _service(settings, "scheduler", ("-m", "satdaemon.machines", "scheduler", "-d", str(settings.source)))


def fork_server(settings: Settings, path: Path) -> Service:
    """The fork server that this host's workers share: the heavy libraries are loaded once."""
    service = _service(settings, "forks", ("-m", "satdaemon.runner.server", "listen", str(path)))
    cores = max((math.ceil(machine.cpu) for machine in settings.machines), default=1)
    service.env = {**service.env, **ONE_THREAD, "NUMBA_NUM_THREADS": str(cores)}
    return service


def dask_worker(settings: Settings, machine: Machine, forks: Path | None = None) -> Service:
    """The Dask worker of one machine, at one port for all its lives: what waits for it finds it again.

    `forks` is the socket of a shared fork server; without, the worker has one of its own.
    """
    port = machine.port or free_port(machine.host)
    argv = ("-m", "satdaemon.machines", "worker", machine.name, "-d", str(settings.source), "--port", str(port))
    service = _service(settings, machine.name, argv)
    if forks is not None:
        service.env = {**service.env, SHARED_SERVER: str(forks)}
    return service


def ssh_worker(settings: Settings, machine: Machine) -> Service:
    """The near end of a worker that is started by SSH on its machine; what that one prints is in its log here."""
    logs = settings.parameters.service_path / "logs"
    note = logs / f"{machine.name}.waits"
    argv = ("-m", "satdaemon.machines.remote", machine.name, "-d", str(settings.source), "--note", str(note))
    service = _service(settings, machine.name, argv)
    service.note = note
    service.grace_s = 30.0  # the worker gives its jobs back first
    return service


def process_worker(settings: Settings) -> Service:
    """Prefect's process worker, in which the flow runs live. They end with it."""
    service = _service(settings, "flows", ("-m", "deployments.process_worker", "-d", str(settings.source)))
    service.grace_s = 25.0  # flow runs give their jobs back first
    return service


def web_server(settings: Settings) -> Service:
    """The processing controller."""
    return _service(settings, "web", ("-m", "satdaemon.web", "-d", str(settings.source)))


def web_address(settings: Settings) -> str:
    """Where it is."""
    host = "127.0.0.1" if settings.web.host in ("0.0.0.0", "::") else settings.web.host
    return f"http://{host}:{settings.web.port}"


def _service(settings: Settings, name: str, argv: tuple[str, ...]) -> Service:
    log = settings.parameters.service_path / "logs" / f"{name}.log"
    return Service(name, (_PYTHON, *argv), log, prefect_environment(settings))


def free_port(host: str) -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_addresses(settings: Settings) -> None:
    """ConfigError where something else already listens at an address that the system is to use."""
    parameters = settings.parameters
    for key, url in (("prefect_api", parameters.prefect_api), ("dask_scheduler", parameters.dask_scheduler)):
        place = urlsplit(url)
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((place.hostname or "127.0.0.1", place.port or 4200)) == 0:
                raise ConfigError(
                    f"{settings.source}: [PARAMETERS] {key}: expected nobody at {url}, found a service that listens there. "
                    f"Stop it, or give {key} another port."
                )


def is_healthy(settings: Settings) -> bool:
    """True where the Prefect server answers."""
    try:
        with urllib.request.urlopen(f"{settings.parameters.prefect_api}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def log_tail(path: Path | None, lines: int = 15) -> str:
    """The last lines of a service's log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path is not None and path.exists() else ""
