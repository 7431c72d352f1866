"""The tree of errors and what the engine does with each."""

from __future__ import annotations

import inspect
import re

import pytest

from satdaemon import errors
from satdaemon.errors import Disposition, NotReady, SatDaemonError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, SatDaemonError)]


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("SatDaemonError", "fail"),
        ("ConfigError", "fail"),
        ("CredentialsError", "wait"),
        ("RequestError", "fail"),
        ("NeedsConfirmation", "fail"),
        ("DataError", "fail"),
        ("CorruptProduct", "fail"),
        ("ProcessingError", "fail"),
        ("ProgramFailed", "fail"),
        ("NotUsable", "exclude"),
        ("NotReady", "wait"),
        ("Throttled", "wait"),
        ("DiskFull", "wait"),
        ("TransientError", "retry"),
        ("ArchiveError", "retry"),
        ("NotInArchive", "retry"),
        ("InPreparation", "retry"),
        ("DatabaseUnavailable", "retry"),
        ("MachineLost", "retry"),
        ("WorkerLost", "retry"),
        ("OutOfMemory", "retry"),
        ("TimeLimit", "retry"),
        ("LeaseLost", "discard"),
        ("Cancelled", "discard"),
    ],
)
def test_disposition(name: str, disposition: str) -> None:
    assert getattr(errors, name).disposition is Disposition(disposition)


def test_the_drawn_tree_is_the_tree() -> None:
    """Each line of the module's drawing: a class, deeper below its base, with its disposition at the end."""
    drawn: dict[str, tuple[str, str]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^(?P<lead>[ ├└│─]*)(?P<name>[A-Z]\w+)(?:\s.*?(?P<what>[A-Z]+))?$", line)
        if match is None or match["name"] not in vars(errors):
            continue
        depth = len(match["lead"])
        above = [(d, n) for d, n in above if d < depth]
        drawn[match["name"]] = (above[-1][1] if above else "Exception", match["what"] or "FAIL")
        above.append((depth, match["name"]))
    assert drawn == {c.__name__: (c.__base__.__name__, c.disposition.name) for c in CLASSES}


def test_every_class_says_what_it_means() -> None:
    assert all(c.__doc__ and c.__doc__.endswith(".") for c in CLASSES)


def test_waiting_says_when_to_look_again() -> None:
    assert NotReady("later").retry_after_s == 3600.0
    assert NotReady("later", retry_after_s=5).retry_after_s == 5
    assert str(NotReady("later", retry_after_s=5)) == "later"
