"""Old flow runs of ours leave Prefect's database, with their task runs and logs, a batch at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import SyncPrefectClient

from tasks.prefect_api import DELETED_AT_ONCE, FRAME_FLOW, MAINTENANCE, PLANNER, WATCH, delete_in_bulk

_ENDS = ["COMPLETED", "FAILED", "CRASHED"]
# A frame whose last run was cancelled by hand is not started again (tasks/starting.py): that run is not forgotten.
_ENDS_OF = {FRAME_FLOW: _ENDS, **{flow: [*_ENDS, "CANCELLED"] for flow in (PLANNER, MAINTENANCE, WATCH)}}


def prune_flow_runs(client: SyncPrefectClient, days: float, within_s: float = 600.0) -> int:
    """Delete flow runs of our flows that ended more than `days` ago; how many.

    The server deletes their logs by itself after that. For `within_s` seconds at most: the next time goes on.
    """
    before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    began, removed = time.monotonic(), 0
    for flow, ends in _ENDS_OF.items():
        old = {"end_time": {"before_": before}, "state": {"type": {"any_": ends}}}
        query = {"flows": {"name": {"any_": [flow]}}, "flow_runs": old, "limit": DELETED_AT_ONCE}
        while time.monotonic() - began < within_s:
            ids = [run["id"] for run in client.request("POST", "/flow_runs/filter", json=query).json()]
            if not ids:
                break
            delete_in_bulk(client, "flow_runs", ids)
            removed += len(ids)
    return removed
