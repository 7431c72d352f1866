"""Lists of values as one parameter, so that a statement stays the same however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def among(postgresql: bool, expression: str, name: str) -> str:
    """SQL: the expression is one of the list in parameter `name`."""
    return f"{expression} = ANY(:{name})" if postgresql else f"{expression} IN (SELECT value FROM json_each(:{name}))"


def array(postgresql: bool, values: Iterable[Any]) -> Any:
    """The value of such a parameter."""
    found = list(values)
    return found if postgresql else json.dumps(found)
