"""One Prefect server for the whole test run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_parts import make_settings, until

from deployments.services import is_healthy, log_tail, prefect_environment, prefect_server
from satdaemon.config import Settings
from satdaemon.runner import launch


@pytest.fixture(scope="session")
def prefect_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose Prefect server runs; its address serves any other configuration too."""
    settings = make_settings(tmp_path_factory.mktemp("prefect"), machines=1)
    service = prefect_server(settings)
    service.start()
    try:
        until(lambda: is_healthy(settings), 300.0, "the Prefect server's start")
    except AssertionError as error:
        raise AssertionError(log_tail(Path(service.log))) from error
    yield settings
    service.stop()


@pytest.fixture(scope="session", autouse=True)
def fork_servers() -> Iterator[None]:
    """Jobs that run in this process start fork servers: they end with the tests."""
    yield
    for server in launch._servers.values():
        server.close()


@pytest.fixture(scope="session")
def prefect_port(prefect_service: Settings) -> Iterator[int]:
    """The server's port, for `make_settings`; this process talks to it too."""
    # Imported here: every test run passes through this module, few need Prefect.
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    changes = {PREFECT_API_URL: prefect_service.parameters.prefect_api, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    changes[PREFECT_LOGGING_TO_API_ENABLED] = False  # of this process: its log worker would outlive the server
    with pytest.MonkeyPatch.context() as patch, temporary_settings(changes):
        for name, value in prefect_environment(prefect_service).items():
            if name.startswith("PREFECT_"):
                patch.setenv(name, value)
        yield int(prefect_service.parameters.prefect_api.split(":")[2].split("/")[0])
