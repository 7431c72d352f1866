"""`Database`: the calls by which people and other programs read and write the processing database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, delete, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import RelationshipProperty, selectinload

from satdaemon.db import guards, links
from satdaemon.db.frames import FrameReport, make_frame
from satdaemon.db.models import Base, Burst, File, Frame
from satdaemon.db.procdates import DatesReport, update_dates
from satdaemon.db.scenes import FilesReport, fill_files
from satdaemon.db.store import Store
from satdaemon.db.what_if import set_master
from satdaemon.errors import RequestError

_M = TypeVar("_M", bound=Base)


class Database(Store):
    """The processing database of one configuration (default: satdaemon.cfg)."""

    def query(self, model: type[_M], **conditions: Any) -> list[_M]:
        """The rows of `model` whose columns equal `conditions`; a list, tuple or set means any of its values.

        The objects and their links (`file.bursts`) are usable afterwards. Raises RequestError for an unknown column.
        """
        statement = select(model).where(*_conditions(model, conditions)).order_by(*inspect(model).primary_key)
        for relationship in inspect(model).relationships:
            statement = statement.options(selectinload(_attribute(model, relationship)))
        with self.read_scope() as session:
            return list(session.scalars(statement))

    def insert(self, obj: Base | Iterable[Base]) -> None:
        """Insert one object or several; `last_updated` and links to bursts, frames and files are filled in."""
        objects = [obj] if isinstance(obj, Base) else list(obj)
        for one in objects:
            guards.check_insert(one)
        try:
            with self.session_scope() as session:
                session.add_all(objects)
                session.flush()
                links.fill(session, [o for o in objects if isinstance(o, File | Burst | Frame)])
        except IntegrityError as error:
            what = ", ".join(repr(o) for o in objects[:3])
            raise RequestError(f"insert of {what}: the database refused it: {error.orig}") from error

    def update(self, model: type[Base], values: Mapping[str, Any], **conditions: Any) -> int:
        """Set columns of the rows that meet `conditions`; returns how many rows there were.

        Raises RequestError without a condition, for an unknown column, for an illegal move of proc_status and
        for anything that a live job holds.
        """
        _need_conditions("update", model, conditions)
        _known(model, values)
        where = _conditions(model, conditions)
        try:
            with self.session_scope() as session:
                guards.check_update(session, model, values, where)
                keys = inspect(model).primary_key
                changed = session.execute(update(model).where(*where).values(**values).returning(*keys))
                return len(changed.all())
        except IntegrityError as error:
            raise RequestError(
                f"update of {model.__name__} with {dict(values)}: the database refused it: {error.orig}"
            ) from error

    def delete(self, model: type[Base], **conditions: Any) -> int:
        """Delete the rows that meet `conditions`; returns how many. Refused where a running job would be orphaned."""
        _need_conditions("delete", model, conditions)
        where = _conditions(model, conditions)
        try:
            with self.session_scope() as session:
                guards.check_delete(session, model, where)
                gone = session.execute(delete(model).where(*where).returning(*inspect(model).primary_key)).all()
                guards.drop_orphaned_keys(session)
                return len(gone)
        except IntegrityError as error:
            raise RequestError(f"delete of {model.__name__} {conditions}: other rows need it: {error.orig}") from error

    def make_new_frame_using_burstlist(self, burst_list: Iterable[str], frame_id: str) -> FrameReport:
        """Make a frame from bursts of the database. Says which bursts are unknown or do not belong together."""
        return make_frame(self, list(burst_list), frame_id)

    def fill_files_table(self, frame_id: str) -> FilesReport:
        """Enter the scenes that the archive has of a frame."""
        return fill_files(self, frame_id)

    def update_procdates(self, frame_id: str, user_master_date: date | None = None) -> DatesReport:
        """Bring the frame's dates, master and pairs up to date with its files. Run again, it changes nothing."""
        return update_dates(self, frame_id, user_master_date)

    def set_master_for_frame(self, frame_id: str, master_date: date, *, confirm: bool = False) -> DatesReport:
        """Make another date the master.

        Where that means making products again, NeedsConfirmation says which and what they cost (its `effects` lists
        every key), and `confirm=True` is needed.
        """
        return set_master(self, frame_id, master_date, confirm=confirm)


def _attribute(model: type[Base], relationship: RelationshipProperty[Any]) -> Any:
    return getattr(model, relationship.key)


def _known(model: type[Base], names: Iterable[str]) -> None:
    columns = set(inspect(model).columns.keys())
    unknown = sorted(set(names) - columns)
    if unknown:
        known = ", ".join(sorted(columns))
        raise RequestError(f"{model.__name__}: expected columns of {model.__tablename__} ({known}), got {', '.join(unknown)}")


def _conditions(model: type[Base], conditions: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    _known(model, conditions)
    found: list[ColumnElement[bool]] = []
    for name, value in conditions.items():
        column = getattr(model, name)
        many = isinstance(value, list | tuple | set | frozenset)
        found.append(column.in_(list(value)) if many else column.is_(None) if value is None else column == value)
    return found


def _need_conditions(what: str, model: type[Base], conditions: Mapping[str, Any]) -> None:
    if not conditions:
        raise RequestError(
            f"{what} of {model.__name__}: expected at least one condition such as id=..., got none; "
            f"for every row use session_scope()"
        )
