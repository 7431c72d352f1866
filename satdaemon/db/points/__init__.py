"""Points, versioned a frame: loaded unseen, then shown whole; and what readers ask of them."""

from satdaemon.db.points.load import load_version, prune
from satdaemon.db.points.read import Points, Series, in_box, nearest, series, version_of
from satdaemon.db.points.versions import activate, activate_of_job

__all__ = [
    "Points",
    "Series",
    "activate",
    "activate_of_job",
    "in_box",
    "load_version",
    "nearest",
    "prune",
    "series",
    "version_of",
]
