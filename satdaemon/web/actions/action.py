"""What an action is: who may do it, what it asks for, what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from satdaemon.control import SatDaemonController
from satdaemon.errors import RequestError
from satdaemon.status import Role

LONGEST = 1000


class Kind(StrEnum):
    """What a field takes."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an action asks for."""

    name: str
    title: str
    kind: Kind = Kind.TEXT
    required: bool = True
    choices: tuple[str, ...] = ()
    hint: str = ""

    def read(self, given: object) -> Any:
        """The value of what was given; None for nothing. RequestError for what it does not take."""
        if given is None or (isinstance(given, str) and not given.strip()):
            if self.required:
                raise RequestError(f"{self.name}: expected {self.title.lower()}, got nothing")
            return None
        text = str(given).strip()
        if len(text) > LONGEST:
            raise RequestError(f"{self.name}: expected at most {LONGEST} characters, got {len(text)}")
        try:
            match self.kind:
                case Kind.NUMBER:
                    return int(text)
                case Kind.DATE:
                    return date.fromisoformat(text)
                case Kind.CHOICE if text not in self.choices:
                    raise ValueError
        except ValueError:
            what = " or ".join(self.choices) or f"a {self.kind}"
            raise RequestError(f"{self.name}: expected {what}, got {text!r}") from None
        return text


@dataclass(frozen=True, slots=True)
class Call:
    """An action that somebody asks for."""

    controller: SatDaemonController
    target: str
    values: Mapping[str, Any]
    confirmed: bool
    """What would be lost by it was shown, and is agreed to."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that people may do."""

    of: str
    """daemon, frame, job, machine or failures."""
    name: str
    title: str
    words: str
    """What it does, for whoever is about to do it. `{target}` is what it is done to."""
    do: Callable[[Call], str]
    """Does it; what was done, in words."""
    fields: tuple[Field, ...] = ()
    role: Role = Role.OPERATOR
    danger: bool = False

    def read(self, given: Mapping[str, object]) -> dict[str, Any]:
        """The values of all fields. RequestError where one is missing or wrong."""
        return {field.name: field.read(given.get(field.name)) for field in self.fields}
