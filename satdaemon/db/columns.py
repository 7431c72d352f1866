"""What callers of the facade give for columns: names that exist, values that the column is for, on both dialects alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, inspect
from sqlalchemy.sql import ClauseElement

from satdaemon.db.clock import UtcDateTime
from satdaemon.db.geometry import Geom
from satdaemon.db.models import Base
from satdaemon.errors import RequestError

MOST_VALUES = 30_000
"""Values of one column that are asked for at a time; databases refuse more, each at another number."""
_Check = Callable[[Any], bool]
_EXPECTED: tuple[tuple[Any, str, _Check], ...] = (
    (Geom, "a shapely geometry", lambda v: _is_shape(v)),
    (UtcDateTime, "a datetime with a time zone", lambda v: isinstance(v, datetime) and v.tzinfo is not None),
    (sa.Boolean, "True or False", lambda v: v in (True, False)),
    (sa.Integer, "an integer", lambda v: isinstance(v, int) and not isinstance(v, bool)),
    (sa.Float, "a number", lambda v: isinstance(v, int | float) and not isinstance(v, bool)),
    (sa.Date, "a date", lambda v: isinstance(v, date) and not isinstance(v, datetime)),
    (sa.String, "text", lambda v: isinstance(v, str)),
)


def _is_shape(value: Any) -> bool:
    from shapely.geometry.base import BaseGeometry  # late: few calls give one

    return isinstance(value, BaseGeometry)


def check_model(model: Any) -> None:
    """RequestError unless `model` is one of the tables' classes."""
    if not (isinstance(model, type) and issubclass(model, Base)):
        raise RequestError(f"expected a model such as satdaemon.db.File, got {model!r}")


def check_names(model: type[Base], names: Iterable[str]) -> None:
    """RequestError for what is not a column."""
    columns = set(inspect(model).columns.keys())
    unknown = sorted(set(names) - columns)
    if unknown:
        known = ", ".join(sorted(columns))
        raise RequestError(f"{model.__name__}: expected columns of {model.__tablename__} ({known}), got {', '.join(unknown)}")


def conditions_of(model: type[Base], conditions: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Keyword arguments as SQL: equal, one of many, or NULL."""
    check_model(model)
    check_names(model, conditions)
    found: list[ColumnElement[bool]] = []
    for name, value in conditions.items():
        column = getattr(model, name)
        if isinstance(value, list | tuple | set | frozenset):
            found.append(_any_of(model, name, list(value)))
        else:
            found.append(column.is_(None) if value is None else column == value_of(model, name, value))
    return found


def _any_of(model: type[Base], name: str, values: list[Any]) -> ColumnElement[bool]:
    if len(values) > MOST_VALUES:
        raise RequestError(
            f"{model.__name__}.{name}: expected at most {MOST_VALUES:,} values at a time, got {len(values):,}; ask in parts, "
            "or by a condition in session_scope()"
        )
    column = getattr(model, name)
    known: ColumnElement[bool] = column.in_([value_of(model, name, v) for v in values if v is not None])
    return known | column.is_(None) if None in values else known


def values_of(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values to be written; RequestError for what is no column or not for it."""
    check_names(model, values)
    return {name: value_of(model, name, value) for name, value in values.items()}


def value_of(model: type[Base], name: str, value: Any) -> Any:
    """A value as the column takes it (numbers of numpy as Python's); RequestError where it is not for the column."""
    if value is None or isinstance(value, ClauseElement) or hasattr(value, "__clause_element__"):
        return value
    kind = inspect(model).columns[name].type
    value = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    for known, words, check in _EXPECTED:
        if isinstance(kind, known):
            if not check(value):
                raise RequestError(f"{model.__name__}.{name}: expected {words}, got {value!r} ({type(value).__name__})")
            break
    length = getattr(kind, "length", None)
    if length is not None and isinstance(value, str) and len(value) > length:
        raise RequestError(f"{model.__name__}.{name}: expected at most {length} characters, got {len(value)}: {value[:40]!r}...")
    return value


def check_object(obj: Any) -> None:
    """Look at each column that was given; numbers of numpy become Python's."""
    if not isinstance(obj, Base):
        raise RequestError(f"insert: expected an object of a model such as File(id=...), got {obj!r}")
    names = inspect(type(obj)).columns.keys()
    for name, value in list(inspect(obj).dict.items()):
        if name in names:
            fit = value_of(type(obj), name, value)
            if fit is not value:
                setattr(obj, name, fit)
