"""`Database`: the calls by which people and other programs read and write the processing database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, delete, inspect, literal, select, tuple_, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import RelationshipProperty, selectinload

from satdaemon.db import guards
from satdaemon.db.columns import check_object, conditions_of, values_of
from satdaemon.db.models import Base, Burst, File, Frame
from satdaemon.db.store import Store
from satdaemon.domain import some_of
from satdaemon.errors import RequestError

if TYPE_CHECKING:
    from satdaemon.db.frames import FrameReport
    from satdaemon.db.procdates import DatesReport
    from satdaemon.db.scenes import FilesReport

# The calls that work on frames and products import what they need when they run: geometry and readers of products
# take longer to load than all the rest, and most who open a database ask for neither.

_M = TypeVar("_M", bound=Base)
_UNSEEN = {"synchronize_session": False}
"""The session holds no objects that would have to follow."""


class Database(Store):
    """The processing database of one configuration (default: satdaemon.cfg).

    Where it does not answer, every call raises DatabaseUnavailable, or ConfigError where its URL is what is wrong.
    """

    def query(self, model: type[_M], **conditions: Any) -> list[_M]:
        """The rows of `model` whose columns equal `conditions`; a list, tuple or set means any of its values.

        The objects and their links (`file.bursts`) are usable afterwards. Of a table with millions of rows, rather use
        `iterate`. Raises RequestError for an unknown column and for a value that the column is not for.
        """
        with self.read_scope() as session:
            return list(session.scalars(_select(model, conditions)))

    def iterate(self, model: type[_M], *, batch: int = 1000, **conditions: Any) -> Iterator[_M]:
        """The same rows one after another, with `batch` of them in memory: for tables that are large.

        Each batch is as it stands when it is read, and no transaction is open between them.
        """
        statement, after = _select(model, conditions).limit(batch), None
        keys = inspect(model).primary_key
        while True:
            with self.read_scope() as session:
                further = statement if after is None else statement.where(tuple_(*keys) > tuple_(*after))
                rows = list(session.scalars(further))
            yield from rows
            if len(rows) < batch:
                return
            after = [literal(getattr(rows[-1], key.name), key.type) for key in keys]

    def insert(self, obj: Base | Iterable[Base]) -> None:
        """Insert one object or several, all or none; `last_updated` and links to bursts, frames and files are filled in.

        Raises RequestError for a value that its column is not for, and where such a row is there already.
        """
        from satdaemon.db import links

        objects = [obj] if isinstance(obj, Base) else list(obj)
        for one in objects:
            check_object(one)
        try:
            with self.session_scope() as session:
                session.add_all(objects)
                for one in session.new:  # and what hangs on the objects
                    guards.check_insert(one)
                session.flush()
                links.fill(session, [o for o in objects if isinstance(o, File | Burst | Frame)])
        except StatementError as error:
            raise _refused(f"insert of {some_of([repr(one) for one in objects])}", error) from error

    def update(self, model: type[Base], values: Mapping[str, Any], **conditions: Any) -> int:
        """Set columns of the rows that meet `conditions`; returns how many rows there were.

        Raises RequestError without a condition, for an unknown column, for an illegal move of proc_status and
        for anything that a live job holds.
        """
        where = conditions_of(model, conditions)
        _need_conditions("update", model, conditions)
        if not values:
            raise RequestError(f"update of {model.__name__}: expected columns to set such as {{'track': 100}}, got none")
        given = values_of(model, values)
        try:
            with self.session_scope() as session:
                guards.check_update(session, model, given, where)
                return _rows(session.execute(update(model).where(*where).values(**given), execution_options=_UNSEEN))
        except StatementError as error:
            raise _refused(f"update of {model.__name__} with {dict(values)}", error) from error

    def delete(self, model: type[Base], **conditions: Any) -> int:
        """Delete the rows that meet `conditions`; returns how many. Refused where a running job would be orphaned."""
        where = conditions_of(model, conditions)
        _need_conditions("delete", model, conditions)
        try:
            with self.session_scope() as session:
                guards.check_delete(session, model, where)
                gone = _rows(session.execute(delete(model).where(*where), execution_options=_UNSEEN))
                guards.drop_orphaned_keys(session)
                return gone
        except StatementError as error:
            raise _refused(f"delete of {model.__name__} {conditions}: other rows need it", error) from error

    def make_new_frame_using_burstlist(self, burst_list: Iterable[str], frame_id: str) -> FrameReport:
        """Make a frame from bursts of the database. Says which bursts are unknown or do not belong together."""
        from satdaemon.db.frames import make_frame

        return make_frame(self, list(burst_list), frame_id)

    def fill_files_table(self, frame_id: str) -> FilesReport:
        """Enter the scenes that the configured archives have of a frame, each with the archives that have it."""
        from satdaemon.db.scenes import fill_files

        return fill_files(self, frame_id)

    def update_procdates(self, frame_id: str, user_master_date: date | None = None) -> DatesReport:
        """Bring the frame's dates, master and pairs up to date with its files. Run again, it changes nothing."""
        from satdaemon.db.procdates import update_dates

        return update_dates(self, frame_id, user_master_date)

    def set_master_for_frame(self, frame_id: str, master_date: date, *, confirm: bool = False) -> DatesReport:
        """Make another date the master.

        Where that means making products again, NeedsConfirmation says which and what they cost (its `effects` lists
        every key), and `confirm=True` is needed.
        """
        from satdaemon.db.what_if import set_master

        return set_master(self, frame_id, master_date, confirm=confirm)


def _select(model: type[_M], conditions: Mapping[str, Any]) -> Select[Any]:
    where = conditions_of(model, conditions)
    statement = select(model).where(*where).order_by(*inspect(model).primary_key)
    return statement.options(*(selectinload(_attribute(model, link)) for link in inspect(model).relationships))


def _rows(result: Any) -> int:
    return int(result.rowcount)


def _attribute(model: type[Base], relationship: RelationshipProperty[Any]) -> Any:
    return getattr(model, relationship.key)


def _need_conditions(what: str, model: type[Base], conditions: Mapping[str, Any]) -> None:
    if not conditions:
        raise RequestError(
            f"{what} of {model.__name__}: expected at least one condition such as id=..., got none; "
            f"for every row use session_scope()"
        )


def _refused(what: str, error: StatementError) -> RequestError:
    return RequestError(f"{what}: the database refused it: {' '.join(str(error.orig).split())}")
