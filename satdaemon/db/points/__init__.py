"""Points, versioned a frame: loaded unseen, then shown whole; and what readers ask of them."""

from satdaemon.db.points.load import load_version
from satdaemon.db.points.partitions import make_partitions
from satdaemon.db.points.prune import prune
from satdaemon.db.points.read import Points, Series, in_box, nearest, series, version_of
from satdaemon.db.points.versions import activate, activate_of_job

__all__ = [
    "Points",
    "Series",
    "activate",
    "activate_of_job",
    "in_box",
    "load_version",
    "make_partitions",
    "nearest",
    "prune",
    "series",
    "version_of",
]
