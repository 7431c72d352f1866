"""Product zips on our disk become rows of `files`. A bad one is recorded with its reason and stops nothing."""

from satdaemon.db.files.ingest import IngestReport, ingest_files
from satdaemon.db.files.listing import FileRow, TrackFiles, list_files, problems, tracks
from satdaemon.db.files.rows import enter, enter_bad
from satdaemon.db.files.watching import watch_files

__all__ = [
    "FileRow",
    "IngestReport",
    "TrackFiles",
    "enter",
    "enter_bad",
    "ingest_files",
    "list_files",
    "problems",
    "tracks",
    "watch_files",
]
