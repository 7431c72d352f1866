"""What the routes of the API share."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=1000, description="Most that are returned.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="How many are passed over.")]


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str | list[Any]


class Paged(BaseModel, Generic[T]):
    """A part of a list."""

    total: int = Field(description="How many there are in all.")
    items: list[T]


_PROBLEM = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
"""Whatever the route answers else. The schema is there because a route names the model."""
_WHY = {
    400: "It cannot be done; the detail says why.",
    401: "No login and no token.",
    403: "Not for this role.",
    404: "There is none such.",
    422: "A value is none that is taken.",
    503: "The database does not answer.",
}
ANSWERS: dict[int | str, dict[str, Any]] = {status: {"description": why, "content": _PROBLEM} for status, why in _WHY.items()}
