"""What a check found, and what the checks are given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from satdaemon.config import Settings


class Level(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at, in a few words."""
    level: Level
    found: str
    mend: str = ""
    """What to do about it; empty where it is well."""


@dataclass(frozen=True, slots=True)
class Patient:
    """The system that is looked at."""

    settings: Settings
    timeout_s: float = 5.0
    """How long any part is waited for."""


def ok(check: str, found: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, mend: str) -> Finding:
    """It works, but not as it should."""
    return Finding(check, Level.WARNING, found, mend)


def error(check: str, found: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.ERROR, found, mend)
