"""The pages, each with its address."""

from satdaemon.web.pages import (
    account,
    actions,
    failures,
    frame,
    frames,
    history,
    jobs,
    machines,
    maps,
    overview,
    points,
    row,
    users,
)

ROUTERS = tuple(
    part.router
    for part in (account, actions, failures, frame, frames, history, jobs, machines, maps, overview, points, row, users)
)
