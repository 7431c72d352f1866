"""A database as large as operations may grow: per frame 300 dates and 980 pairs, of which some forty wait.

10,000 frames are 3 M ifg, 9.8 M rsar_ifg and 0.4 M waiting rows. Made by the database itself, without triggers and
secondary indexes, which are put back; nothing is random.
"""

from __future__ import annotations

from sqlalchemy import Connection, Index, text

from satdaemon.db import Database, derived
from satdaemon.db.models import Base, Frame, Ifg, Master, RsarIfg

DATES = 300
LINKS = (1, 2, 3, 30)
"""A pair to the date so many dates later; of the widest, every third."""
REPEAT_DAYS = 12
_TABLES = (Master, Ifg, RsarIfg)


def build(db: Database, first: int, last: int, *, dates: int = DATES, links: tuple[int, ...] = LINKS) -> None:
    """Add frames number `first` to `last`, both included, with their rows."""
    with db.engine.begin() as connection:
        derived.drop(connection)
        indexes = [index for model in _TABLES for index in Base.metadata.tables[model.__tablename__].indexes]
        for index in indexes:
            index.drop(connection, checkfirst=True)
        for sql in _statements(db.on_postgresql, first, last, dates, links):
            connection.execute(text(sql))
        _put_back(connection, indexes)
    if db.on_postgresql:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def frame_id(number: int) -> str:
    """The frame with this number."""
    return f"{number % 175 + 1:03d}A_F{number:06d}"


def _put_back(connection: Connection, indexes: list[Index]) -> None:
    for index in indexes:
        index.create(connection)
    derived.create(connection)


def _statements(postgresql: bool, first: int, last: int, dates: int, links: tuple[int, ...]) -> list[str]:
    now = "now()" if postgresql else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    frame = "lpad((n % 175 + 1)::text, 3, '0')" if postgresql else "printf('%03d', n % 175 + 1)"
    number = "lpad(n::text, 6, '0')" if postgresql else "printf('%06d', n)"

    def day(count: str) -> str:
        return (
            f"(date '2016-01-01' + {REPEAT_DAYS} * ({count}))"
            if postgresql
            else (f"date('2016-01-01', '+' || ({REPEAT_DAYS} * ({count})) || ' days')")
        )

    def series(name: str, start: int, stop: int) -> str:
        return f"{name}(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM {name} WHERE n < {stop})"

    times = f"{now}, {now}"
    identity = f"{frame} || 'A_F' || {number}"
    switches = ", ".join(
        f"do_{s}" for s in ("download", "slc", "satsar", "coherence", "unwrap", "timeseries", "ingest", "update")
    )
    ons = ", ".join(["TRUE"] * 8)
    numbers = f"WITH RECURSIVE {series('f', first, last)}"
    frames = (
        f"INSERT INTO frames (id, track, orbit_direction, priority, processing, {switches}, reprocess, stage_settings,"
        f" network_due, created_utc, last_updated) {numbers} SELECT {identity}, n % 175 + 1, 'A', (n * 7919) % 8, n % 5 <> 0,"
        f" {ons}, FALSE, '{{}}', FALSE, {times} FROM f"
    )
    masters = (
        "INSERT INTO master (frame_id, date, proc_stage, proc_status, automatic, chosen_by, created_utc, last_updated)"
        f" {numbers} SELECT {identity}, {day('100')}, CASE WHEN n % 50 = 0 THEN 4 ELSE 6 END, 2, FALSE, 'rule', {times} FROM f"
    )
    mix = "(n * 31 + d * 7919) % 1024"

    def is_lost(count: str) -> str:
        return f"((n * 31 + ({count}) * 7919) % 1024 < 3 AND ({count}) <> 100 AND ({count}) < {dates - 10})"

    waits = f"(d >= {dates - 6} AND {mix} % 4 <> 0) OR ({mix} BETWEEN 10 AND 18)"
    images = (
        "INSERT INTO ifg (frame_id, date, proc_stage, proc_status, automatic, created_utc, last_updated)"
        f" {numbers}, {series('g', 0, dates - 1)} SELECT {identity}, {day('d')},"
        f" CASE WHEN {waits} THEN 1 + {mix} % 3 ELSE 3 END, CASE WHEN {waits} THEN 0 WHEN {is_lost('d')} THEN 4 ELSE 2 END,"
        f" FALSE, {times}"
        f" FROM (SELECT f.n AS n, g.n AS d FROM f CROSS JOIN g WHERE g.n <> 100) q"
    )
    far = "(n * 17 + d * 7919 + k * 31) % 1024"
    out = f"{is_lost('d')} OR {is_lost('d + k')}"
    open_ = f"NOT ({out}) AND (d + k >= {dates - 8} OR ({far} BETWEEN 10 AND 20))"
    pairs = (
        "INSERT INTO rsar_ifg (frame_id, date1, date2, proc_stage, proc_status, reason, automatic, created_utc, last_updated)"
        f" {numbers}, {series('g', 0, dates - 1)}, k(k) AS ({' UNION ALL '.join(f'SELECT {link}' for link in links)})"
        f" SELECT {identity}, {day('d')}, {day('d + k')}, CASE WHEN {open_} THEN 1 ELSE 2 END,"
        f" CASE WHEN {out} THEN 5 WHEN {open_} THEN 0 WHEN {far} < 5 THEN 4 ELSE 2 END,"
        f" CASE WHEN {out} THEN 'a date failed' END, {out}, {times}"
        " FROM (SELECT f.n AS n, g.n AS d, k.k AS k FROM f CROSS JOIN g CROSS JOIN k"
        f" WHERE g.n + k.k < {dates} AND (k.k < 30 OR g.n % 3 = 0)) q"
    )
    return [frames, masters, images, pairs]


def rows(db: Database) -> dict[str, int]:
    """How many rows there are, and how many wait."""
    tables = {model.__tablename__: f"SELECT count(*) FROM {model.__tablename__}" for model in (Frame, *_TABLES)}
    tables["waiting"] = " + ".join(f"(SELECT count(*) FROM {m.__tablename__} WHERE proc_status = 0)" for m in _TABLES)
    tables["waiting"] = f"SELECT {tables['waiting']}"
    with db.read_scope() as session:
        return {name: int(session.scalar(text(sql)) or 0) for name, sql in tables.items()}
