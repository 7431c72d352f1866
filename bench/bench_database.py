"""The processing database against bare SQL.   python -m bench.bench_database [PART...] [--small] [--json] [--sqlite]

Each part runs on a database of its own: PostgreSQL + PostGIS (a private cluster with safe defaults switched off, so that
the processor and not the disk is measured), or SQLite. A ratio is ours over the bare operation within the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from databases import make_settings
from postgres import cluster

from bench.database.ratio import Ratio
from satdaemon.config import Settings
from satdaemon.db import init_database

_SHARED = ("__init__", "archive", "cpu", "finished", "made", "ratio", "scale")
PARTS = sorted(p.stem for p in (Path(__file__).parent / "database").glob("*.py") if p.stem not in _SHARED)


@contextmanager
def databases(sqlite: bool) -> Iterator[Iterator[Settings]]:
    """Settings of one initialised database after another."""
    with tempfile.TemporaryDirectory(prefix="satdaemon-bench-") as place:
        if sqlite:
            yield (_initialised(Path(place) / str(n), f"sqlite:///{place}/{n}.sqlite") for n in range(len(PARTS)))
            return
        with cluster() as server:

            def one(name: str) -> Settings:
                server.sql(f"CREATE DATABASE {name}")
                return _initialised(Path(place) / name, server.url(name))

            yield (one(f"bench{n}") for n in range(len(PARTS)))


def _initialised(root: Path, url: str) -> Settings:
    settings = make_settings(root, url)
    init_database(settings).close()
    return settings


def main() -> int:
    """Run the parts; 1 where a promised ratio does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--small", action="store_true", help="a hundredth of the size: to try the bench itself")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sqlite", action="store_true")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.parts) - set(PARTS)):
        parser.error(f"expected some of {', '.join(PARTS)}, got {', '.join(unknown)}")
    found: list[Ratio] = []
    with databases(arguments.sqlite) as fresh:
        for part in arguments.parts or PARTS:
            lines = import_module(f"bench.database.{part}").measure(next(fresh), arguments.small)
            found += lines
            for line in lines:
                print(
                    json.dumps({"part": part, **asdict(line), "ratio": line.ratio}) if arguments.json else _text(part, line),
                    flush=True,
                )
    return int(any(line.most is not None and line.ratio > line.most for line in found))


def _text(part: str, line: Ratio) -> str:
    bound = "" if line.most is None else f" (<= {line.most:g}{'' if line.ratio <= line.most else ': MISSED'})"
    return f"{part:8} {line.name:52} {line.ours:10.4g} / {line.bare:<10.4g} {line.unit:4} = {line.ratio:7.3g}{bound}  {line.note}"


if __name__ == "__main__":
    sys.exit(main())
