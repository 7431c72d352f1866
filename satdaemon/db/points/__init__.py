"""Points, versioned a frame: loaded unseen, then shown whole; and what readers ask of them."""

from satdaemon.db.points.activation import activate, activate_of_job
from satdaemon.db.points.exports import PointsExport, export
from satdaemon.db.points.load import load_version
from satdaemon.db.points.mean import MeanSeries, mean_series
from satdaemon.db.points.partitions import make_partitions
from satdaemon.db.points.places import distance_m
from satdaemon.db.points.pruning import orphaned, prune, removable
from satdaemon.db.points.read import ManySeries, Series, in_box, in_polygon, nearest, series, series_of
from satdaemon.db.points.shown import Points, Quality, version_of, versions

__all__ = [
    "ManySeries",
    "MeanSeries",
    "Points",
    "PointsExport",
    "Quality",
    "Series",
    "activate",
    "activate_of_job",
    "distance_m",
    "export",
    "in_box",
    "in_polygon",
    "load_version",
    "make_partitions",
    "mean_series",
    "nearest",
    "orphaned",
    "prune",
    "removable",
    "series",
    "series_of",
    "version_of",
    "versions",
]
