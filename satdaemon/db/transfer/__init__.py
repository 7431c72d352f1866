"""Dump, restore, copy and compare of the whole processing database, within a dialect or between both."""

from satdaemon.db.transfer.compare import Comparison, Difference
from satdaemon.db.transfer.info import Info, info
from satdaemon.db.transfer.load import Restored
from satdaemon.db.transfer.moves import Dumped, compare, copy, dump, restore
from satdaemon.db.transfer.portable import Progress

__all__ = ["Comparison", "Difference", "Dumped", "Info", "Progress", "Restored", "compare", "copy", "dump", "info", "restore"]
