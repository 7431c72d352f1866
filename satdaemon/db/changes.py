"""The outbox `frame_changes`: triggers write down which frames changed, whoever writes; plans take that away.

PostgreSQL looks once a statement, SQLite once a row. Rows are taken away by their ids, never by "all up to": a
transaction that is still open may have a smaller id than one that has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from satdaemon.db import prepared
from satdaemon.db.arrays import among, array

MOST = 50_000
"""Changes that one plan takes."""
_TABLES: dict[str, tuple[str, ...]] = {
    "master": ("insert", "update", "delete"),
    "ifg": ("insert", "update", "delete"),
    "rsar_ifg": ("insert", "update", "delete"),
    "products": ("insert", "delete"),
    "frames2files": ("insert", "update", "delete"),
    "frames2bursts": ("insert", "update", "delete"),
    "pending_jobs": ("delete",),
    "running_jobs": ("delete",),
}
"""What the planner has to look at again, and after what. Beats, progress and events are not among it."""
_FRAME_COLUMNS = (
    "priority", "processing", "do_download", "do_slc", "do_satsar", "do_coherence", "do_unwrap", "do_timeseries", "do_ingest",
    "do_update", "reprocess", "start_date", "end_date", "initial_last_date", "initial_stack", "accept_failed_share",
    "min_coverage", "stage_settings", "network_due", "retired_utc",
)  # fmt: skip
_PRODUCT_COLUMNS = ("frame_id", "stage", "key", "fingerprint", "inputs", "newest_input", "orbit", "restituted")
"""What a product is. That it was looked at is no change."""
_UPDATE_OF_PRODUCT = f"UPDATE OF {', '.join(_PRODUCT_COLUMNS)}"
_FUNCTION = "satdaemon_frame_changed"


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes seen, to be taken away by the transaction that has planned their frames."""

    ids_of: dict[str, list[int]]
    """By frame."""

    @property
    def frames(self) -> list[str]:
        """The frames that changed, in order."""
        return sorted(self.ids_of)

    def ids(self, frames: Iterable[str] | None = None) -> list[int]:
        """The changes of these frames, or all."""
        wanted = self.ids_of if frames is None else [frame for frame in frames if frame in self.ids_of]
        return [one for frame in wanted for one in self.ids_of[frame]]


def look(session: Session, frames: Sequence[str] | None = None) -> Changes:
    """The oldest changes; of `frames` only, where given."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    only = "" if frames is None else f" WHERE {among(postgresql, 'frame_id', 'frames')}"
    sql = f"SELECT id, frame_id FROM frame_changes{only} ORDER BY id LIMIT {MOST}"
    if frames is None:
        rows = prepared.execute(session, "changes", sql)
    else:
        rows = session.execute(text(sql), {"frames": array(postgresql, frames)})
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row.frame_id, []).append(row.id)
    return Changes(found)


def any_left(session: Session) -> bool:
    """True where something changed that no plan has looked at."""
    return session.execute(text("SELECT 1 FROM frame_changes LIMIT 1")).first() is not None


def take(session: Session, ids: Collection[int]) -> None:
    """Take changes away. Those that another plan is taking are left to it."""
    if not ids:
        return
    postgresql = session.get_bind().dialect.name == "postgresql"
    chosen = f"SELECT c.id FROM frame_changes c WHERE {among(postgresql, 'c.id', 'ids')}"
    if postgresql:
        chosen += " FOR UPDATE SKIP LOCKED"
    session.execute(text(f"DELETE FROM frame_changes WHERE id IN ({chosen})"), {"ids": array(postgresql, ids)})


def triggers(postgresql: bool) -> list[tuple[str, str]]:
    """(name and table, statement) of every trigger."""
    return _on_postgresql() if postgresql else _on_sqlite()


def functions() -> list[str]:
    """PostgreSQL: what the triggers call."""
    into = "INSERT INTO frame_changes (frame_id, what)"
    body = "LANGUAGE plpgsql AS $body$ BEGIN {statement}; RETURN NULL; END $body$"
    rows = body.format(statement=f"{into} SELECT DISTINCT c.frame_id, TG_TABLE_NAME FROM changed c")
    frame = body.format(statement=f"{into} VALUES (NEW.id, TG_TABLE_NAME)")
    product = body.format(statement=f"{into} VALUES (NEW.frame_id, TG_TABLE_NAME)")
    return [
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger {rows}",
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}_itself() RETURNS trigger {frame}",
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}_by_product() RETURNS trigger {product}",
    ]


def _on_postgresql() -> list[tuple[str, str]]:
    found = []
    for table, events in _TABLES.items():
        for event in events:
            name = f"{table}_{event}_changes_frame ON {table}"
            seen = "OLD" if event == "delete" else "NEW"
            found.append(
                (
                    name,
                    f"CREATE TRIGGER {table}_{event}_changes_frame AFTER {event.upper()} ON {table}"
                    f" REFERENCING {seen} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()",
                )
            )
    # One for each row: PostgreSQL gives none with columns the rows of a statement.
    product = f"CREATE TRIGGER products_update_changes_frame AFTER {_UPDATE_OF_PRODUCT} ON products FOR EACH ROW"
    found.append(("products_update_changes_frame ON products", f"{product} EXECUTE FUNCTION {_FUNCTION}_by_product()"))
    for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {', '.join(_FRAME_COLUMNS)}")):
        made = f"CREATE TRIGGER frames_{event}_changes_frame AFTER {when} ON frames FOR EACH ROW"
        found.append((f"frames_{event}_changes_frame ON frames", f"{made} EXECUTE FUNCTION {_FUNCTION}_itself()"))
    return found


def _on_sqlite() -> list[tuple[str, str]]:
    found = []
    for table, events in _TABLES.items():
        for event in events:
            name, row = f"{table}_{event}_changes_frame", "OLD" if event == "delete" else "NEW"
            found.append((name, _sqlite_trigger(name, event.upper(), table, f"{row}.frame_id")))
    name = "products_update_changes_frame"
    found.append((name, _sqlite_trigger(name, _UPDATE_OF_PRODUCT, "products", "NEW.frame_id")))
    for event, when in (("insert", "INSERT"), ("update", f"UPDATE OF {', '.join(_FRAME_COLUMNS)}")):
        name = f"frames_{event}_changes_frame"
        found.append((name, _sqlite_trigger(name, when, "frames", "NEW.id")))
    return found


def _sqlite_trigger(name: str, when: str, table: str, frame: str) -> str:
    return (
        f"CREATE TRIGGER {name} AFTER {when} ON {table} BEGIN"
        f" INSERT INTO frame_changes (frame_id, what) VALUES ({frame}, '{table}'); END"
    )
