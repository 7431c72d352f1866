"""What fifty people who look at pages cost the planner: processor time of its SQL with and without them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import httpx
from sqlalchemy import text

from bench.database.cpu import Cost, cost_of, median, servers_of
from bench.database.ratio import Ratio
from satdaemon.db import Database, planning

VIEWERS = 50
LIVE_S = 3.0
"""How often a page that shows the present asks again, as the pages do."""
TURN_S = 15.0
"""How often each opens another page."""
PLANS = 40


def measure(db: Database, base: str, cookies: httpx.Cookies, large: str) -> Iterator[Ratio]:
    """Plans in turns without and with viewers, so that what else the machine does falls on both."""
    alone: list[Cost] = []
    among: list[Cost] = []
    answered, own = 0, _own(db)
    for _ in range(2):
        alone += _plans(db, own)
        stop, counts = threading.Event(), [0] * VIEWERS
        threads = [
            threading.Thread(target=_look, args=(base, cookies, large, n, stop, counts), daemon=True) for n in range(VIEWERS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(LIVE_S)
        began = time.perf_counter()
        before = sum(counts)
        among += _plans(db, own)
        answered += round((sum(counts) - before) / (time.perf_counter() - began))
        stop.set()
        for thread in threads:
            thread.join()
    without, with_ = median(alone), median(among)
    note = f"{answered / 2:.0f} pages a second; wall {1e3 * with_.wall_s:.1f} / {1e3 * without.wall_s:.1f} ms"
    name = f"SQL of a plan of one changed frame, {VIEWERS} viewers / none (CPU, median)"
    yield Ratio(name, 1e3 * with_.server_s, 1e3 * without.server_s, most=1.1, unit="ms", note=note)


def _own(db: Database) -> list[int]:
    """The server processes that work for our connections, not for the pages'."""
    db.engine.dispose()
    others = set(servers_of(db))
    db.engine.dispose()
    others &= set(servers_of(db))
    planning.plan(db, everything=False)
    return sorted(set(servers_of(db)) - others)


def _plans(db: Database, own: list[int]) -> list[Cost]:
    found = []
    for _ in range(PLANS):
        with db.session_scope() as session:
            some = "SELECT id FROM frames WHERE processing ORDER BY id LIMIT 1"
            session.execute(text(f"UPDATE ifg SET reason = reason WHERE proc_status = 0 AND frame_id IN ({some})"))
        found.append(cost_of(db, lambda: planning.plan(db), own))
        time.sleep(0.1)
    return found


def _look(base: str, cookies: httpx.Cookies, large: str, number: int, stop: threading.Event, counts: list[int]) -> None:
    """One viewer: the overview renews itself, and now and then another page is opened."""
    chance = random.Random(number)
    pages = ["/", "/frames", f"/frames/{large}", "/failures", "/machines", "/jobs",
             "/tiles/bursts/8/130/85", "/tiles/frames/3/4/2"]  # fmt: skip
    turn_at = time.monotonic() + chance.uniform(0, TURN_S)
    with httpx.Client(base_url=base, cookies=cookies, timeout=60.0) as client:
        stop.wait(chance.uniform(0, LIVE_S))
        while not stop.is_set():
            client.get("/overview/live").raise_for_status()
            counts[number] += 1
            if time.monotonic() >= turn_at:
                client.get(chance.choice(pages)).raise_for_status()
                counts[number] += 1
                turn_at = time.monotonic() + TURN_S
            stop.wait(LIVE_S)
