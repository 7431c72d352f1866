"""PostgreSQL's table a version: made unseen, attached whole, dropped in one go.

`execute` below is whatever runs one statement: a cursor's, or a connection's `exec_driver_sql`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, text

PARENTS = ("points", "points_series")
_INDEX = {"points": "CREATE INDEX ix_{leaf}_cell ON {leaf} (version_id, cell)"}
_LEAVES = text(
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    " AND relname ~ '^points(_series)?_v[0-9]+$'"
)
Execute = Callable[[str], Any]


def leaf_of(parent: str, version: int) -> str:
    """Name of the table that holds one version's rows."""
    return f"{parent}_v{int(version)}"


def create_leaf(execute: Execute, parent: str, version: int) -> str:
    """Make the table of a version, unseen and without indexes; returns its name.

    Its check spares `attach_leaf` reading the rows. Series need no statistics, and 2 kB of them are not worth compressing.
    """
    leaf = leaf_of(parent, version)
    execute(f"CREATE TABLE {leaf} (LIKE {parent}, CONSTRAINT ck_{leaf}_version CHECK (version_id = {int(version)}))")
    if parent == "points_series":
        execute(f"ALTER TABLE {leaf} ALTER series SET STATISTICS 0, ALTER series SET STORAGE EXTERNAL")
    return leaf


def index_leaf(execute: Execute, parent: str, version: int) -> None:
    """Index a version's table once its rows are in: several times faster than row by row."""
    leaf = leaf_of(parent, version)
    execute("SET LOCAL maintenance_work_mem = '256MB'")
    execute(f"ALTER TABLE {leaf} ADD CONSTRAINT pk_{leaf} PRIMARY KEY (version_id, point_id)")
    if parent in _INDEX:
        execute(_INDEX[parent].format(leaf=leaf))
        execute(f"ANALYZE {leaf} (cell, temporal_coherence, velocity)")


def attach_leaf(execute: Execute, parent: str, version: int) -> None:
    """Make a version's table, indexed, a part of the whole."""
    leaf = leaf_of(parent, version)
    execute(f"ALTER TABLE {parent} ATTACH PARTITION {leaf} FOR VALUES IN ({int(version)})")
    execute(f"ALTER TABLE {leaf} DROP CONSTRAINT ck_{leaf}_version")


def make_partitions(connection: Connection, versions: Iterable[int]) -> list[int]:
    """Give each version a table of its own where it has none; returns those that got one.

    For whoever writes points without `load_version`, such as a restore: before the rows, or after them (rows that lie in
    the default partition move). Without it they stay there, where they are found as well, and are deleted slowly.
    SQLite has no partitions: nothing happens.
    """
    if connection.dialect.name != "postgresql":
        return []
    there = leaves(connection)
    made = [version for version in dict.fromkeys(versions) if version not in there]
    for version in made:
        for parent in PARENTS:
            leaf = create_leaf(connection.exec_driver_sql, parent, version)
            moved = f"WITH moved AS (DELETE FROM {parent}_default WHERE version_id = {int(version)} RETURNING *)"
            connection.exec_driver_sql(f"{moved} INSERT INTO {leaf} SELECT * FROM moved")
            index_leaf(connection.exec_driver_sql, parent, version)
            attach_leaf(connection.exec_driver_sql, parent, version)
    return made


def leaves(connection: Connection) -> dict[int, list[str]]:
    """Version -> its tables, attached or not."""
    found: dict[int, list[str]] = {}
    for name in connection.execute(_LEAVES).scalars():
        found.setdefault(int(name.rpartition("_v")[2]), []).append(name)
    return found
