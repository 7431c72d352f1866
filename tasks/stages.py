"""Which task runs which stage."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from prefect.tasks import Task

from satdaemon.status import Stage
from tasks.coherence import coherence
from tasks.download import download
from tasks.ingest import ingest
from tasks.satsar import satsar
from tasks.slc import slc
from tasks.timeseries import timeseries
from tasks.unwrap import unwrap

TASKS: Mapping[Stage, Task[..., Any]] = MappingProxyType(
    {
        Stage.DOWNLOAD: download,
        Stage.SLC: slc,
        Stage.SATSAR: satsar,
        Stage.COHERENCE: coherence,
        Stage.UNWRAP: unwrap,
        Stage.TIMESERIES: timeseries,
        Stage.INGEST: ingest,
    }
)
