"""One section a stage: what a job of it occupies, how long it may take, what runs it, and its own settings."""

from __future__ import annotations

import shlex
from typing import Literal, Self

from pydantic import Field, model_validator

from satdaemon.config.base import MUST_EXIST, CommaList, OptionalPath, Section
from satdaemon.domain import Resources


class StageSettings(Section):
    """Keys that every stage has."""

    cpu: float = Field(1.0, gt=0, le=1024, description="CPU cores that a job uses.")
    memory_gb: float = Field(
        2.0, gt=0, le=4096, description="Most memory that a job uses, GB; above it the job is stopped."
    )
    disk: float = Field(10.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")
    time_limit_h: float = Field(12.0, gt=0, le=720, description="Hours after which a job is stuck and stopped.")
    tries: int = Field(3, ge=1, le=20, description="Times that a job is tried before it counts as failed.")
    processor: Literal["builtin", "command"] = Field("builtin", description="What runs the stage: builtin or command.")
    command: str = Field(
        "",
        description="Program and arguments for `processor = command`; {input} is the job's input.json, {out} its directory.",
    )
    outputs: CommaList = Field((), description="Files that the command must leave in {out}, comma separated.")

    @model_validator(mode="after")
    def _command_given(self) -> Self:
        if self.processor == "command" and not shlex.split(self.command):
            raise ValueError("processor = command: expected a program in `command`, got an empty value")
        return self

    @property
    def resources(self) -> Resources:
        """What a job of this stage occupies."""
        return Resources(self.cpu, self.memory_gb, self.disk)


class DownloadSettings(StageSettings):
    """[DOWNLOAD]: fetching a date's product zips and choosing its orbit."""

    disk: float = Field(25.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")
    archives: CommaList = Field(("local",), description="Archives in order of preference: local.")
    archive_path: OptionalPath = Field(
        None,
        description="Directory of the local archive, with product zips in any depth.",
        json_schema_extra={MUST_EXIST: True},
    )
    transfer: Literal["copy", "link"] = Field(
        "copy", description="How a local archive's file gets to data_path: copied, or hard-linked where possible."
    )
    accept_resorb: bool = Field(True, description="Use a restituted orbit while the precise one does not exist.")
    orbit_retry_s: float = Field(
        3600.0, ge=1, le=86400, description="Seconds until a date that waits for an orbit is looked at again."
    )


class SlcSettings(StageSettings):
    """[SLC]: the frame's bursts, cut out of the zips."""

    disk: float = Field(30.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")


class SatsarSettings(StageSettings):
    """[SATSAR]: coregistration and interferometric phase."""


class CoherenceSettings(StageSettings):
    """[COHERENCE]: siblings of the frame; coherence and phase of a pair."""


class UnwrapSettings(StageSettings):
    """[UNWRAP]: phase unwrapping of a pair."""


class TimeseriesSettings(StageSettings):
    """[TIMESERIES]: displacement series of the frame."""

    accept_failed_share: float = Field(
        0.2, ge=0, le=1, description="The series is made once at most this share of the pairs has failed for good."
    )


class IngestSettings(StageSettings):
    """[INGEST]: points into the points database."""
