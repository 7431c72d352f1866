"""satdaemon.cfg -> one frozen `Settings`, parsed once and passed in. Nothing is read at import."""

from satdaemon.config.archives import ArchiveSettings
from satdaemon.config.describe import describe, example
from satdaemon.config.loader import default_path, load
from satdaemon.config.sections import Machine, NetworkSettings, NotifySettings, Parameters, WebSettings
from satdaemon.config.settings import Settings
from satdaemon.config.stages import (
    CoherenceSettings,
    DownloadSettings,
    IngestSettings,
    SatsarSettings,
    SlcSettings,
    StageSettings,
    TimeseriesSettings,
    UnwrapSettings,
)

__all__ = [
    "ArchiveSettings",
    "CoherenceSettings",
    "DownloadSettings",
    "IngestSettings",
    "Machine",
    "NetworkSettings",
    "NotifySettings",
    "Parameters",
    "SatsarSettings",
    "Settings",
    "SlcSettings",
    "StageSettings",
    "TimeseriesSettings",
    "UnwrapSettings",
    "WebSettings",
    "default_path",
    "describe",
    "example",
    "load",
]
