"""What was made from inputs that have changed since: found, marked, listed.

A better orbit, a reissued scene, another master, DEM, setting, set of bursts or program makes stale exactly what depends
on it, at once and through all stages. Products serve until they are made again, which `frame.reprocess` allows.
"""

from satdaemon.db.staleness.changes import News
from satdaemon.db.staleness.conditions import Processors, outside_digest
from satdaemon.db.staleness.listing import StaleRow, stale
from satdaemon.db.staleness.looking import Looking, Marked, check, mark

__all__ = ["Looking", "Marked", "News", "Processors", "StaleRow", "check", "mark", "outside_digest", "stale"]
