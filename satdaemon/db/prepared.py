"""Statements that PostgreSQL takes longer to plan than to run: planned once a connection.

For a few frames at a time. They look up by index what belongs to the frames: such a plan is as good for any frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Result, text
from sqlalchemy.orm import Session

FEW = 30
"""Frames whose work PostgreSQL looks up by index; for more it plans each time, with statistics."""
_BY_INDEX = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""Of this transaction: look up what belongs to the frames, never read whole tables to join them."""
_SET_BY_INDEX = "".join(f"SET LOCAL {name} = {value}; " for name, value in _BY_INDEX.items())


def execute(session: Session, name: str, sql: str, **values: tuple[str, Any]) -> Result[Any]:
    """Run a statement of this name, prepared when the connection first meets it. In one message: each costs.

    `values` are (PostgreSQL's type, value) of the parameters, which `sql` names with a colon. SQLite, which plans quickly,
    just runs it.
    """
    if session.get_bind().dialect.name != "postgresql":
        return session.execute(text(sql), {parameter: value for parameter, (_, value) in values.items()})
    connection, key = session.connection(), f"satdaemon_{name}"
    if connection.info.get(key) != sql:
        _prepare(connection, key, sql, {parameter: kind for parameter, (kind, _) in values.items()})
    names = ", ".join(f":{parameter}" for parameter in values)
    statement = text(f"{_set_once(session)}EXECUTE {key}{f' ({names})' if names else ''}")
    return connection.execute(statement, {parameter: value for parameter, (_, value) in values.items()})


def _set_once(session: Session) -> str:
    """The settings, for the first statement of a transaction; a savepoint may take them back, so there each has them."""
    transaction = session.get_transaction()
    if session.info.get(_SET_BY_INDEX) is transaction and not session.in_nested_transaction():
        return ""
    session.info[_SET_BY_INDEX] = transaction
    return _SET_BY_INDEX


def _prepare(connection: Any, key: str, sql: str, types: Mapping[str, str]) -> None:
    if key in connection.info:
        connection.exec_driver_sql(f"DEALLOCATE {key}")
    numbered = sql
    for place, parameter in enumerate(types, start=1):
        numbered = numbered.replace(f":{parameter}", f"${place}")
    taken = f" ({', '.join(types.values())})" if types else ""
    prepared = f"PREPARE {key}{taken} AS {numbered}"
    connection.execution_options(no_parameters=True).exec_driver_sql(prepared)
    connection.info[key] = sql
