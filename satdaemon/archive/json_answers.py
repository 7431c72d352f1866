"""Answers that are a document in JSON."""

from __future__ import annotations

import json
from typing import Any

from satdaemon.archive.http import Answer
from satdaemon.archive.secrets import redacted
from satdaemon.errors import ArchiveError


def document(answer: Answer) -> dict[str, Any]:
    """The object that the body holds. ArchiveError where it holds none (a page that says that the site is down)."""
    body = answer.whole()
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        start = redacted(body[:120].decode("utf-8", "replace"))
        raise ArchiveError(f"{redacted(answer.url)}: expected an object in JSON, got {start!r}")
    return found
