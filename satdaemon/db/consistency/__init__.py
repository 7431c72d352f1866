"""The database against the file system: what does not fit, the fix, its undo. Files are deleted by name only."""

from satdaemon.db.consistency.check import check, frames_of_day
from satdaemon.db.consistency.fix import Fixed, fix
from satdaemon.db.consistency.removal import check_paths, delete_paths
from satdaemon.db.consistency.report import Finding, Kind, Report
from satdaemon.db.consistency.undo import Undone, undo

__all__ = ["Finding", "Fixed", "Kind", "Report", "Undone", "check", "check_paths", "delete_paths", "fix", "frames_of_day", "undo"]
