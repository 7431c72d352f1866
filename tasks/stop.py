"""Why a task ends before its job does."""

from __future__ import annotations


class Stopped(Exception):
    """The flow run is being ended: its jobs are given back."""


class Withdrawn(Exception):
    """The job waits no longer in this flow run: the daemon is paused, or another run holds the frame."""
