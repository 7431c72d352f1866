"""Whether the configuration makes sense as a whole, beyond what each key allows."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from urllib.parse import urlsplit

from deployments.doctor.finding import Finding, Patient, error, ok, warning
from satdaemon.config import Settings
from satdaemon.errors import ConfigError
from satdaemon.notify import targets

_HERE = ("127.0.0.1", "localhost", "::1")


def configuration(patient: Patient) -> Iterator[Finding]:
    """All of it."""
    settings = patient.settings
    yield ok("configuration", f"{settings.source}, {len(settings.machines)} machines")
    yield from leases(settings)
    yield from addresses(settings)
    yield from keys(settings)
    yield from messages(settings)


def leases(settings: Settings) -> Iterator[Finding]:
    """Beats well within a lease."""
    beat_s, lease_s = settings.parameters.heartbeat_s, settings.parameters.lease_s
    if lease_s < 3 * beat_s:
        found = f"lease_s {lease_s:g} is under three times heartbeat_s {beat_s:g}: jobs that live count as lost"
        yield error("leases", found, f"lease_s = {3 * beat_s:g} or more")


def addresses(settings: Settings) -> Iterator[Finding]:
    """Machines elsewhere need addresses that they can reach, and a database that hosts can share."""
    elsewhere = [machine.name for machine in settings.machines if machine.start != "local" or machine.host not in _HERE]
    if not elsewhere:
        return
    for key in ("dask_scheduler", "prefect_api"):
        host = urlsplit(getattr(settings.parameters, key)).hostname or ""
        if _is_loopback(host):
            mend = f"[PARAMETERS] {key}: a name of the head node that stands for its address on the network (see /etc/hosts)"
            yield error(key, f"{host} is the loopback, which {', '.join(elsewhere)} cannot reach", mend)
    if settings.parameters.database.startswith("sqlite"):
        mend = "[PARAMETERS] database on PostgreSQL (satdaemon db copy --to URL)"
        yield error("database", "SQLite cannot be shared by hosts", mend)
    if settings.parameters.dask_ca is None:
        mend = "satdaemon certificates, then tls:// (docs/howto/operate.md)"
        yield warning("TLS", "Dask runs whatever it is sent by anybody who reaches its ports", mend)


def _is_loopback(host: str) -> bool:
    """True for a name that means this host to itself alone; Debian gives a host's own name such an address."""
    try:
        return all(str(found[4][0]).startswith(("127.", "::1")) for found in socket.getaddrinfo(host, None))
    except OSError:
        return False  # a name that is not known here is found by the checks that connect


def keys(settings: Settings) -> Iterator[Finding]:
    """The key of TLS is for this user alone."""
    path = settings.parameters.dask_key
    if path is None:
        return
    if not os.access(path, os.R_OK):
        yield error("dask_key", f"{path} cannot be read", "give it to the user that runs SatDaemon")
    elif path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield error("dask_key", f"{path} is open to other users", f"chmod 600 {path}")
    else:
        yield ok("dask_key", str(path))


def messages(settings: Settings) -> Iterator[Finding]:
    """Addresses of messages that Apprise knows; nothing is sent."""
    try:
        targets(settings.notify)
    except ConfigError as failure:
        yield error("notify", str(failure), "mend [NOTIFY] urls")
        return
    if settings.notify.urls:
        yield ok("notify", f"{len(settings.notify.urls)} addresses")
    else:
        yield warning("notify", "nobody is told when something fails", "[NOTIFY] urls: an address of Apprise (Teams, mail, ...)")
