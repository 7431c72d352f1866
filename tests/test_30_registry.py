"""What is said of the built-in processors without loading them is what they say of themselves."""

from __future__ import annotations

from satdaemon.processors.registry import builtin, versions
from satdaemon.status import Stage


def test_versions_are_those_of_the_processors() -> None:
    assert versions() == {stage: (builtin(stage).name, builtin(stage).version) for stage in Stage}
