"""The web pages at 10,000 frames.   python -m bench.bench_web [FRAMES]

3 M dates, 9.8 M pairs, 1.1 million bursts, a frame of 400 dates and 1,590 pairs, a million points, on PostgreSQL + PostGIS; the
pages from a server process of their own. Prints the median of each page beside what was promised (the limit of `ratio` is 1),
and what fifty viewers cost the planner.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from itertools import chain
from pathlib import Path

import httpx
import uvicorn

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.bench_database import _text, databases
from bench.database import scale
from bench.database.ratio import Ratio
from bench.web import pages, viewers, world
from deployments.services import free_port
from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.access import sessions, users
from satdaemon.db.points import version_of
from satdaemon.status import Role
from satdaemon.web.access.person import COOKIE
from satdaemon.web.app import create_app

FRAMES = 10_000


def serve(settings: Settings, port: int) -> None:
    """The web server, until it is ended."""
    uvicorn.run(create_app(settings), host="127.0.0.1", port=port, log_level="warning")


def main() -> int:
    """Build, ask, print; 1 where a promise does not hold."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    with databases(False) as fresh:
        settings = next(fresh)
        db = Database(settings)
        began = time.perf_counter()
        large = world.build(db, frames)
        size = ", ".join(f"{name} {count}" for name, count in scale.rows(db).items())
        print(f"built in {time.perf_counter() - began:.0f} s: {size}", flush=True)
        version = version_of(db, large)
        assert version is not None
        users.create(db, "viewer", Role.VIEWER, password=None, who="bench")
        cookies = httpx.Cookies({COOKIE: sessions.begin(db, "viewer", 3600.0, None)})
        port = free_port("127.0.0.1")
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(settings, port), daemon=True)
        server.start()
        try:
            found = _measured(db, f"http://127.0.0.1:{port}", cookies, large, version.id)
        finally:
            server.terminate()
            server.join()
            db.close()
    return int(any(line.most is not None and line.ratio > line.most for line in found))


def _measured(db: Database, base: str, cookies: httpx.Cookies, large: str, version: int) -> list[Ratio]:
    with httpx.Client(base_url=base, cookies=cookies, timeout=300.0) as client:
        for _ in range(600):
            try:
                client.get("/login")
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        found = []
        for line in chain(pages.measure(client, large, version), viewers.measure(db, base, cookies, large)):
            print(_text("web", line), flush=True)
            found.append(line)
    return found


if __name__ == "__main__":
    sys.exit(main())
