"""The flow server: a fork of it behaves as the program `prefect.engine` that it stands for."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from engine_parts import until

from deployments.flow_run import SERVER
from satdaemon.runner.launch import ONE_THREAD

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    """A flow server that is ready."""
    with started(tmp_path_factory.mktemp("flows") / "server") as found:
        yield found


@contextlib.contextmanager
def started(place: Path) -> Iterator[tuple[Path, psutil.Process]]:
    argv = [sys.executable, "-m", "deployments.flow_server", str(place)]
    with subprocess.Popen(argv, env={**os.environ, **ONE_THREAD}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "flow server: ready" in process.stderr.readline()
        yield place, psutil.Process(process.pid)
        process.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a Prefect server that takes connections and says nothing: a flow run waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def flow_run(place: Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    bare = {name: value for name, value in os.environ.items() if name not in ("PREFECT__FLOW_RUN_ID", "PREFECT_API_URL")}
    environment = {**bare, SERVER: str(place), **environment}
    argv = [sys.executable, "-m", "deployments.flow_run"]
    return subprocess.Popen(argv, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def waiting(process: subprocess.Popen[str], server: psutil.Process) -> psutil.Process:
    """The fork of a flow run, once it waits for its Prefect server."""

    def found() -> psutil.Process | None:
        assert process.poll() is None, process.stdout and process.stdout.read()
        return next((fork for fork in server.children() if fork.net_connections("tcp")), None)

    fork: psutil.Process = until(found, 60.0)
    return fork


def is_refused(connection: socket.socket) -> bool:
    """The connection ends, and no word of a fork comes before."""
    connection.settimeout(30.0)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_fork_has_the_streams_the_environment_and_the_exit_code(server: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    process = flow_run(server[0], tmp_path, PREFECT__FLOW_RUN_ID="no such id")
    said, _ = process.communicate(timeout=60)
    assert "Invalid flow run id" in said
    assert "prefect.engine" in said
    assert "without it" not in said
    assert process.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on(server: tuple[Path, psutil.Process], tmp_path: Path, silent: str, number: signal.Signals) -> None:
    process = flow_run(server[0], tmp_path, PREFECT__FLOW_RUN_ID=str(uuid4()), PREFECT_API_URL=silent)
    fork = waiting(process, server[1])
    assert Path(fork.cwd()) == tmp_path
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    assert not fork.is_running()


def test_a_killed_process_takes_its_fork_along(server: tuple[Path, psutil.Process], tmp_path: Path, silent: str) -> None:
    process = flow_run(server[0], tmp_path, PREFECT__FLOW_RUN_ID=str(uuid4()), PREFECT_API_URL=silent)
    fork = waiting(process, server[1])
    process.kill()
    process.communicate(timeout=60)
    until(lambda: not fork.is_running(), 60.0)
    assert server[1].is_running()


def test_a_killed_server_takes_its_forks_along_and_is_missed_by_nobody(tmp_path: Path, silent: str) -> None:
    with started(tmp_path / "server") as (place, server):
        process = flow_run(place, tmp_path, PREFECT__FLOW_RUN_ID=str(uuid4()), PREFECT_API_URL=silent)
        fork = waiting(process, server)
        server.kill()
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGTERM
        until(lambda: not fork.is_running(), 60.0)
        without = flow_run(place, tmp_path, PREFECT__FLOW_RUN_ID="no such id")
        said, _ = without.communicate(timeout=120)
    assert "the flow run is started without it" in said
    assert "Invalid flow run id" in said
    assert without.returncode == 1


def test_a_server_with_another_thread_serves_nobody_and_loads_only_once(tmp_path: Path) -> None:
    place = tmp_path / "server"
    code = (
        "import sys, threading, time; threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start();"
        f" sys.argv = ['', {str(place)!r}]; from deployments.flow_server import main; main()"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, env={**os.environ, **ONE_THREAD}, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        until(place.exists, 60.0)
        process = flow_run(place, tmp_path, PREFECT__FLOW_RUN_ID="no such id")  # it waits while the server loads
        assert "expected one thread after loading" in server.stderr.readline()
        said, _ = process.communicate(timeout=120)
        assert "the flow run is started without it" in said and "Invalid flow run id" in said
        assert server.poll() is None
        server.kill()


def test_a_wrong_order_is_refused_and_the_server_goes_on(server: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    for order in (b"", b"\0\0\0\4{}", b"\xff\xff\xff\xff", b"\0\0\0\2[}"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(server[0]))
            connection.sendall(order)
            connection.shutdown(socket.SHUT_WR)
            assert is_refused(connection)
    process = flow_run(server[0], tmp_path, PREFECT__FLOW_RUN_ID="no such id")
    assert "Invalid flow run id" in process.communicate(timeout=60)[0]
