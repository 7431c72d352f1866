"""What was made from inputs that have changed since: found, marked, listed.

A better orbit, a reissued scene, another master, DEM, setting, set of bursts or program makes stale exactly what depends
on it, at once and through all stages. Products serve until they are made again, which `frame.reprocess` allows.
"""

from satdaemon.db.staleness.conditions import Processors, outside_digest
from satdaemon.db.staleness.listing import StaleRow, stale
from satdaemon.db.staleness.looking import Marked, check, mark, shelf_of

__all__ = ["Marked", "Processors", "StaleRow", "check", "mark", "outside_digest", "shelf_of", "stale"]
