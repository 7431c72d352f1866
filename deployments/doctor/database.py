"""The processing database: does it answer, is it at head, has it PostGIS, does its clock agree with ours."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.doctor.finding import Finding, Patient, error, ok, warning
from satdaemon.db import Database, parts
from satdaemon.db.health import Health, health
from satdaemon.db.initialise import schema_of
from satdaemon.db.vacuum import vacuum_hints
from satdaemon.errors import SatDaemonError

OLDEST = 13
"""The oldest major version of PostgreSQL that is supported by its makers and tried with SatDaemon."""
OFFSET_S = 2.0
"""Leases are the database's own times; log files and flow runs show each host's."""
_INIT = "run `satdaemon init-database`"


def database(patient: Patient) -> Iterator[Finding]:
    """All of it; the first that fails ends the group."""
    try:
        schema = schema_of(patient.settings)
    except SatDaemonError as failure:
        yield error("database", str(failure), "start it, or mend [PARAMETERS] database")
        return
    if schema.revision is None:
        yield error("schema", f"{schema.url} has no tables", _INIT)
        return
    if schema.revision != schema.head:
        yield error("schema", f"expected revision {schema.head}, got {schema.revision}", f"power down, then {_INIT}")
        return
    store = Database(patient.settings)
    try:
        found = health(store)
        yield ok("database", f"{found.kind} at {schema.url}")
        yield ok("schema", f"at head ({schema.head})")
        yield from of_postgresql(found)
        yield clock("clock of this host", found.clock_offset_s)
        for hint in vacuum_hints(store):
            yield warning("dead space", hint.found, hint.mend)
        yield up(store)
    finally:
        store.close()


def of_postgresql(found: Health) -> Iterator[Finding]:
    """What only a server has."""
    if found.connections is None:
        return
    if found.major < OLDEST:
        yield error("PostgreSQL", f"expected {OLDEST} or newer, got {found.kind}", "upgrade the server")
    if found.postgis is None:
        yield error("PostGIS", "not in this database", "as a superuser: CREATE EXTENSION postgis")
    else:
        yield ok("PostGIS", found.postgis)
    used, most = found.connections
    share = f"{used} of {most} connections in use"
    if used > 0.8 * most:
        yield warning("connections", share, "raise max_connections in postgresql.conf")
    else:
        yield ok("connections", share)


def clock(check: str, offset_s: float) -> Finding:
    """A host's clock against the database's."""
    if abs(offset_s) > OFFSET_S:
        return warning(check, f"{offset_s:+.1f} s from the database's", "let chrony or systemd-timesyncd keep the time there")
    return ok(check, f"{offset_s:+.2f} s from the database's")


def up(store: Database) -> Finding:
    """Which parts are up."""
    held = parts.live(store)
    bad = [f"{part.name} ({part.state}: {part.message or 'no reason given'})" for part in held if part.state == parts.DOWN]
    if bad:
        return error("parts", f"down: {', '.join(bad)}", "see their logs (satdaemon daemon status)")
    if not held:
        return warning("parts", "nothing is up", "satdaemon up, or systemctl start satdaemon.target")
    return ok("parts", ", ".join(f"{part.name} {part.state}" for part in held))
