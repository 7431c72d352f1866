"""Pure rules on one frame: master, network of pairs, coverage, valid files, matching of bursts. No I/O."""

from satdaemon.planning.bursts import along_track, anx_difference, anx_matches, footprints_overlap, match_bursts, merge_matches
from satdaemon.planning.coverage import Coverage, coverage
from satdaemon.planning.master import Choice, MasterCandidate, choose_master
from satdaemon.planning.network import components, joining, network
from satdaemon.planning.scenes import acquisition, newest_products, same_acquisition, split_dates

__all__ = [
    "Choice",
    "Coverage",
    "MasterCandidate",
    "acquisition",
    "along_track",
    "anx_difference",
    "anx_matches",
    "choose_master",
    "components",
    "coverage",
    "footprints_overlap",
    "joining",
    "match_bursts",
    "merge_matches",
    "network",
    "newest_products",
    "same_acquisition",
    "split_dates",
]
