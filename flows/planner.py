"""The planner: brings the database up to date, works out what is owed, starts the frames that can move.

Scheduled, one at a time: Prefect allows one run, and a lock in the database is the real exclusion.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from satdaemon.db import Database, retention
from satdaemon.domain import some_of
from satdaemon.messages import send, watch
from tasks.dispatch import plan_and_dispatch
from tasks.prefect_api import prefect_client

_LISTED, _NAMED = 20, 5


@flow(name="planner", flow_run_name="plan", validate_parameters=False)
def planner(config: str | None = None) -> State[Any]:
    """Plan until nothing changes any more, and start a flow run for each frame that can move and has none."""
    database = Database(config)
    with prefect_client(database.settings) as client:
        done = plan_and_dispatch(database, client)
    # Downloads that wait for space get it before the next plan.
    removed = retention.make_room(database, who="planner")
    watch(database, late=False)
    send(database)
    if done is None:
        return Completed(name="AlreadyPlanning", message="another planner is at work")
    logger = get_run_logger()
    for reason, _ in Counter(done.left.values()).most_common(_LISTED):
        some = sorted(frame_id for frame_id, its in done.left.items() if its == reason)
        logger.info("%s: not started: %s", some_of(some, _NAMED), reason)
    if removed:
        logger.info("disk low: %d fetched zips removed ([DOWNLOAD] keep = space)", len(removed))
    last, deployed = done.plans[0], done.deployed
    return Completed(
        message=(
            f"{'all ' if last.everything else ''}{last.frames} frames looked at: "
            f"{last.ready} jobs ready, {last.blocked} blocked, {last.running} running; "
            f"{sum(plan.added for plan in done.plans)} added, {sum(plan.removed for plan in done.plans)} removed, "
            f"{sum(plan.rescued for plan in done.plans)} rescued; frames started: {', '.join(done.started) or 'none'}; "
            f"deployments: {len(deployed.made)} made, {len(deployed.changed)} changed, {len(deployed.removed)} removed"
        )
    )
