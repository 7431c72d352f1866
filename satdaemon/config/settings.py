"""`Settings`: all of satdaemon.cfg in one frozen value."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from satdaemon.config.archives import ArchiveSettings
from satdaemon.config.base import Section
from satdaemon.config.sections import Machine, MachineTable, NetworkSettings, NotifySettings, Parameters, WebSettings
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
from satdaemon.status import Stage


class Settings(Section):
    """The whole configuration. Field names are the section names in lower case."""

    parameters: Parameters = Field(default_factory=Parameters)
    proc_machines: MachineTable = Field(default_factory=MachineTable)
    download: DownloadSettings = Field(default_factory=DownloadSettings)
    slc: SlcSettings = Field(default_factory=SlcSettings)
    satsar: SatsarSettings = Field(default_factory=SatsarSettings)
    coherence: CoherenceSettings = Field(default_factory=CoherenceSettings)
    unwrap: UnwrapSettings = Field(default_factory=UnwrapSettings)
    timeseries: TimeseriesSettings = Field(default_factory=TimeseriesSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    archives: ArchiveSettings = Field(default_factory=ArchiveSettings)
    network: NetworkSettings = Field(default_factory=NetworkSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    web: WebSettings = Field(default_factory=WebSettings)
    source: Path | None = None
    """The file that this was read from."""

    def stage(self, stage: Stage) -> StageSettings:
        """The section of one stage."""
        section = getattr(self, stage.value)
        assert isinstance(section, StageSettings)
        return section

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The processing machines, one a name."""
        table = self.proc_machines
        rows = []
        for place, name in enumerate(table.names):
            rows.append(
                Machine.model_validate(
                    {
                        "name": name,
                        "host": _at(table.hosts, place),
                        "port": _at(table.ports, place),
                        "cpu": _at(table.cpu, place),
                        "memory_gb": _at(table.memory_gb, place),
                        "disk": _at(table.disk, place),
                        "start": _at(table.start, place),
                    }
                )
            )
        return tuple(rows)


def _at(values: tuple[str, ...], place: int) -> str:
    return values[0] if len(values) == 1 else values[place]
