"""Fixtures that many tests share."""

from __future__ import annotations

from databases import database, database_url, postgres_cluster, settings, sqlite_template
from demos import killed_demo
from prefect_parts import fork_servers, prefect_port, prefect_service
from stack_chain import stack_chain
from stale_frames import finished

__all__ = [
    "database",
    "database_url",
    "finished",
    "fork_servers",
    "killed_demo",
    "postgres_cluster",
    "prefect_port",
    "prefect_service",
    "settings",
    "sqlite_template",
    "stack_chain",
]
