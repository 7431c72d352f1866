"""What a process loads before it has anything to do: heavy libraries come where they are first used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from satdaemon.cli import application as cli

HEAVY = {
    "alembic", "eos", "geoalchemy2", "matplotlib", "numba", "numpy", "pandas", "psycopg2", "pyarrow", "pyogrio", "pyproj",
    "rasterio", "scipy", "shapely", "zarr",
}  # fmt: skip
PROGRAM = """
import json, sys
{work}
print(json.dumps(list(sys.modules)))
"""
TYPED = """
from satdaemon.cli import main
sys.argv = {argv}
try:
    main()
except SystemExit:
    pass
"""


def loaded(work: str) -> set[str]:
    """What a process has imported when it has done `work`."""
    argv = [sys.executable, "-c", PROGRAM.format(work=work)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)
    return set(json.loads(done.stdout.splitlines()[-1]))


def registered() -> Iterator[tuple[str, str]]:
    """First word and module of every command."""

    def module(command: Any) -> str:
        return str(command.callback.__module__.removeprefix("satdaemon.cli.").partition(".")[0])

    cli.load_commands()
    for command in cli.app.registered_commands:
        yield str(command.name), module(command)
    for group in cli.app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield str(group.name), module(command)


def test_the_database_module_loads_no_heavy_library() -> None:
    found = loaded("import satdaemon.db")
    assert {"sqlalchemy", "pydantic"} <= found
    assert found & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["frame", "plan", "--help"]])
def test_help_loads_neither_database_nor_configuration(arguments: list[str]) -> None:
    found = loaded(TYPED.format(argv=["satdaemon", *arguments]))
    assert "satdaemon.cli.application" in found
    assert found & (HEAVY | {"sqlalchemy", "satdaemon.config"}) == set()


def test_a_command_loads_the_modules_that_register_it() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for first, module in registered():
        found[first].add(module)
    assert found == {first: set(modules) for first, modules in cli.MODULES.items()}
