"""Which tests share a worker of pytest-xdist, and which worker begins with what.

What starts a whole system (a Prefect server, workers, a demo) runs in one worker, one after another: two systems at once on
a small machine would only make each other late. All other modules go to whichever worker is free.
"""

from __future__ import annotations

import pytest

SYSTEM = "system"
_SYSTEM_FIXTURES = frozenset({"prefect_service", "prefect_port", "killed_demo"})
_SYSTEM_MODULES = frozenset({"test_70_up", "test_70_only", "test_80_demo"})


def group_of(item: pytest.Item) -> str:
    """The name of the group that a test belongs to: tests of one group run in one worker, in their order."""
    module = item.nodeid.split("::")[0].removesuffix(".py").rpartition("/")[2]
    needs = frozenset(getattr(item, "fixturenames", ()))
    return SYSTEM if needs & _SYSTEM_FIXTURES or module in _SYSTEM_MODULES else module


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test its group, the longest group first. Without xdist nothing changes."""
    if not getattr(config.option, "loadgroup", False):  # set by xdist in its workers
        return
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: groups[item] != SYSTEM)
