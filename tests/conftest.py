"""Fixtures that many tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import database, database_url, postgres_cluster, settings, sqlite_template
from demos import killed_demo
from parallel import ByModule, arrange
from prefect_parts import fork_servers, prefect_port, prefect_service
from receiver import receiver, teams
from stack_chain import stack_chain
from stale_frames import db, finished

from satdaemon.archive import secrets

__all__ = [
    "database",
    "database_url",
    "db",
    "finished",
    "fork_servers",
    "killed_demo",
    "postgres_cluster",
    "prefect_port",
    "prefect_service",
    "receiver",
    "settings",
    "sqlite_template",
    "stack_chain",
    "teams",
]


@pytest.fixture(autouse=True)
def secrets_of_this_test() -> Iterator[None]:
    """A secret is hidden for as long as its process lives: one that a test makes up must not be in another's texts."""
    before = frozenset(secrets._known)
    yield
    secrets._known.intersection_update(before)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker of a parallel run: the longest first."""
    if hasattr(config, "workerinput"):
        arrange(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByModule:
    """How a parallel run deals out tests."""
    return ByModule(config, log)
