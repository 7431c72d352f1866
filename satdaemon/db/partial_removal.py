"""Downloads that hold only bursts go by `[DOWNLOAD] keep`, as fetched zips do; where a plan needs one, it is made again."""

from __future__ import annotations

import shutil

from satdaemon.db import space
from satdaemon.db.retention import LOW_SHARE
from satdaemon.db.space import Removable
from satdaemon.db.store import Store
from satdaemon.status import Stage


def removable(db: Store) -> list[Removable]:
    """Those that may go as things are, the oldest first; none with `keep = always`."""
    return sorted((one for one in space.removable(db) if one.stage is Stage.DOWNLOAD), key=lambda one: one.product_id)


def due(db: Store) -> list[Removable]:
    """Those that the policy lets go now: all with `until_ingested`; with `space` as many as a low disk needs."""
    found = removable(db)
    if not found or db.settings.download.keep != "space":
        return found
    usage = shutil.disk_usage(db.settings.parameters.processing_path)
    return space.choose(found, (LOW_SHARE * usage.total - usage.free) / 1e9)


def apply(db: Store, *, who: str) -> list[Removable]:
    """Remove what the policy lets go; those that are gone."""
    found = due(db)
    return space.remove(db, found, who=who) if found else []
