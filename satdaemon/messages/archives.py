"""Archives that have not answered for long: told once, and when they answer again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from satdaemon.db import messages
from satdaemon.db.archive_watch import silent_since
from satdaemon.db.messages.outbox import News
from satdaemon.db.store import Store

LASTS = timedelta(hours=6)
"""A silence that is shorter is a warning of the run alone."""
_PREFIX = "archive/"


def tell_silent_archives(db: Store, now: datetime | None = None) -> list[str]:
    """Tell once of each archive that has been silent for `LASTS`; the keys of those that are new."""
    moment = now or datetime.now(UTC)
    silent = {f"{_PREFIX}{name}": _news(name, *about) for name, about in silent_since(db).items() if moment - about[0] >= LASTS}
    return messages.follow(db, _PREFIX, silent, over=_again)


def _news(name: str, since: datetime, problem: str) -> News:
    body = f"No search for new scenes has been answered since {since:%Y-%m-%d %H:%M} UTC. {problem}"
    return News("archive", f"archive/silent/{name}", f"archive {name} does not answer", body, "warning")


def _again(key: str) -> News:
    name = key.removeprefix(_PREFIX)
    body = "What was published meanwhile has been searched for."
    return News("archive", f"archive/again/{name}", f"archive {name} answers again", body, "info")
