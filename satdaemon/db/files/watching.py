"""Looking for new zips again and again. It polls: network disks tell nobody of changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from sqlalchemy.exc import DBAPIError

from satdaemon.db.files.ingest import IngestReport, ingest_files
from satdaemon.db.store import Store
from satdaemon.errors import SatDaemonError


def watch_files(
    db: Store,
    directory: Path | None,
    *,
    interval_s: float,
    stop: Event,
    told: Callable[[IngestReport], None],
    trouble: Callable[[str], None],
    **options: Any,
) -> None:
    """Run `ingest_files` every `interval_s` seconds until `stop` is set.

    Parameters
    ----------
    told
        Called after every turn.
    trouble
        Called with the reason where a turn could not be done (the disk is not mounted, the database restarts); the
        next turn tries again.
    options
        As of `ingest_files`.
    """
    while not stop.is_set():
        try:
            told(ingest_files(db, directory, stop=stop.is_set, **options))
        except (SatDaemonError, OSError) as error:
            trouble(str(error))
        except DBAPIError as error:
            trouble(f"the database does not answer: {str(error.orig).strip()}")
        stop.wait(interval_s)
