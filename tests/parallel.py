"""Which tests share a worker of pytest-xdist, and which come first.

What starts a whole system (a Prefect server, workers, a demo) runs in one worker, one after another: two systems at once on
a small machine would only make each other late. Every other module runs in one worker too, whichever is free.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

SYSTEM = "system"
SYSTEM_MODULES = frozenset(
    {
        "test_60_tasks", "test_70_deployments", "test_70_display", "test_70_doctor", "test_70_flows", "test_70_maintenance",
        "test_70_only", "test_70_up", "test_80_consistency", "test_80_demo", "test_80_faults", "test_80_hosts", "test_80_howto",
        "test_80_own_processor",
    }
)  # fmt: skip
"""Modules that start whole systems."""
_SYSTEM_FIXTURES = frozenset({"prefect_service", "prefect_port", "killed_demo"})


class ByModule(LoadScopeScheduling):
    """Modules go to workers whole; those that start systems go to one worker together."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """The name of the group that a test belongs to: tests of one group run in one worker, in their order."""
    module = nodeid.split("::")[0].removesuffix(".py").rpartition("/")[2]
    return SYSTEM if module in SYSTEM_MODULES else module


def arrange(items: list[pytest.Item]) -> None:
    """Put the longest group first. UsageError for a test that starts a system in a module that does not say so."""
    for item in items:
        if _SYSTEM_FIXTURES & frozenset(getattr(item, "fixturenames", ())) and group_of(item.nodeid) != SYSTEM:
            raise pytest.UsageError(f"{item.nodeid} starts a system: expected its module in tests/parallel.py, SYSTEM_MODULES")
    items.sort(key=lambda item: group_of(item.nodeid) != SYSTEM)
