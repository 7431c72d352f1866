"""CPU that a piece of work costs: of the database's server, and of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from satdaemon.db import Database


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one piece of work, s. On SQLite, which has no server, `server_s` is that of this process."""

    wall_s: float
    server_s: float
    python_s: float


def cost_of(db: Database, work: Callable[[], Any], servers: Sequence[int] | None = None) -> Cost:
    """Do the work once. `servers`: the server processes that count, by pid; all of the database if not given."""
    servers = servers_of(db) if servers is None else servers
    server_s, python_s, wall_s = _used_s(servers), time.process_time(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - wall_s, _used_s(servers) - server_s, time.process_time() - python_s)


def least(costs: Sequence[Cost]) -> Cost:
    """Each figure's own least: what the work costs where nothing else wants the processor."""
    return Cost(*(min(getattr(cost, name) for cost in costs) for name in ("wall_s", "server_s", "python_s")))


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's own median."""
    middle = len(costs) // 2
    return Cost(*(sorted(getattr(cost, name) for cost in costs)[middle] for name in ("wall_s", "server_s", "python_s")))


def servers_of(db: Database) -> list[int]:
    """The server processes of our connections; none on SQLite."""
    if not db.on_postgresql:
        return []
    with db.read_scope() as session:
        pids = session.execute(
            text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'")
        ).scalars()
        return [int(pid) for pid in pids]


def _used_s(servers: Sequence[int]) -> float:
    """CPU seconds that they have used so far."""
    if not servers:
        return time.process_time()
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in servers) / 1e9
