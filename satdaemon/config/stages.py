"""One section a stage: what a job of it occupies, how long it may take, what runs it, and its own settings."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from satdaemon.config.archives import ARCHIVES
from satdaemon.config.base import MUST_EXIST, CommaList, OptionalNumber, OptionalPath, Section
from satdaemon.domain import Resources

ORBIT_ARCHIVES = ("aws", "cdse")
_ADDRESS = re.compile(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?\Z")
_RATE = re.compile(r"\d+(?:\.\d+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


class StageSettings(Section):
    """Keys that every stage has."""

    cpu: float = Field(1.0, gt=0, le=1024, description="CPU cores that a job uses.")
    memory_gb: float = Field(
        2.0, gt=0, le=4096, description="Most memory that a job uses, GB: asked for until less is learned, and never exceeded."
    )
    memory_ceiling_gb: float = Field(
        0.0, ge=0, le=4096, description="Most memory that a job asks for after running out of it, GB; 0: the largest machine's."
    )
    disk: float = Field(10.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")
    space_gb: float = Field(
        0.1, ge=0, le=1000, description="Disk space that a job writes, GB for each burst of its frame, until it is learned."
    )
    at_once: int = Field(0, ge=0, le=100000, description="Jobs of the stage at once, over all machines; 0: no limit.")
    time_limit_h: float = Field(12.0, gt=0, le=720, description="Hours after which a job is stuck and stopped.")
    tries: int = Field(3, ge=1, le=20, description="Times that a job is tried before it counts as failed.")
    processor: Literal["builtin", "command"] = Field("builtin", description="What runs the stage: builtin or command.")
    command: str = Field(
        "",
        description="Program and arguments for `processor = command`; {input} is the job's input.json, {out} its directory.",
    )
    environment: str = Field(
        "", description="Variables for the command, NAME=VALUE words as in a shell; {input}, {out} and the like are filled in."
    )
    directory: str = Field(
        "{out}", description="Where the command is started; {scratch} for a program that leaves files where it runs."
    )
    outputs: CommaList = Field(
        (),
        description="Files that the command must leave in {out}, comma separated; * and ? match, FILE:1000 asks for 1000 bytes.",
    )

    @model_validator(mode="after")
    def _command_given(self) -> Self:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise ValueError(f"a `command` that splits into words as in a shell; got {self.command!r} ({error})") from error
        if self.processor == "command" and not words:
            raise ValueError("a program in `command` where processor = command; got an empty value")
        return self

    @model_validator(mode="after")
    def _environment_names_variables(self) -> Self:
        try:
            words = shlex.split(self.environment)
        except ValueError as error:
            raise ValueError(f"an `environment` of words as in a shell; got {self.environment!r} ({error})") from error
        for word in words:
            if not _VARIABLE.match(word) or word.startswith("SATDAEMON_"):
                raise ValueError(f"NAME=VALUE words in `environment`, and no SATDAEMON_ names; got {word!r}")
        return self

    @model_validator(mode="after")
    def _outputs_stay_inside(self) -> Self:
        for wanted in self.outputs:
            name, _, size = wanted.partition(":")
            place = PurePosixPath(name)
            if not name or place.is_absolute() or ".." in place.parts or (size and not size.isdigit()):
                raise ValueError(f"file names below {{out}} in `outputs`, FILE or FILE:BYTES; got {wanted!r}")
        return self

    @model_validator(mode="after")
    def _ceiling_above(self) -> Self:
        if 0 < self.memory_ceiling_gb < self.memory_gb:
            least, got = self.memory_gb, self.memory_ceiling_gb
            raise ValueError(f"memory_ceiling_gb: expected 0 or at least memory_gb = {least:g}, got {got:g}")
        return self

    @property
    def resources(self) -> Resources:
        """What a job of this stage occupies."""
        return Resources(self.cpu, self.memory_gb, self.disk)


class DownloadSettings(StageSettings):
    """[DOWNLOAD]: fetching a date's product zips and choosing its orbit."""

    disk: float = Field(25.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")
    space_gb: float = Field(
        0.3, ge=0, le=1000, description="Disk space that a job writes, GB for each burst of its frame, until it is learned."
    )
    archives: CommaList = Field(
        ("local",), description="Archives in order of preference: local (archive_path), asf, cdse; see [ARCHIVES]."
    )
    bursts_only: bool = Field(
        False,
        description="Fetch only the bursts of the frame where asf extracts them, in place of whole products that are on no disk "
        "of ours yet; what came so serves that date of that frame alone.",
    )
    archive_sessions: CommaList = Field(
        (),
        description="Downloads at once from an archive, over all machines: NAME N, comma separated (local 8, cdse 4); "
        "one that is not named has no limit.",
    )
    archive_bandwidth: CommaList = Field(
        (),
        description="Most that all downloads from an archive take together, over all machines: NAME MB_A_SECOND, comma separated "
        "(cdse 40); each takes its share of archive_sessions, which has to name the archive too.",
    )
    archive_path: OptionalPath = Field(
        None,
        description="Directory of the local archive, with product zips in any depth.",
        json_schema_extra={MUST_EXIST: True},
    )
    transfer: Literal["copy", "link"] = Field(
        "copy", description="How a local archive's file gets to data_path: copied, or hard-linked where possible."
    )
    search_interval_h: float = Field(
        6.0, ge=0, le=720, description="Hours between two searches of the archives for new scenes of all frames; 0: never."
    )
    search_overlap_h: float = Field(
        12.0, ge=0, le=720, description="So many hours before the last answer each search begins, by time of publication."
    )
    search_whole_days: float = Field(
        120.0, ge=1, le=3650, description="Each frame's whole history is searched once in so many days; a new frame's at once."
    )
    keep: Literal["always", "until_ingested", "space"] = Field(
        "always",
        description="How long zips that were fetched over HTTP stay in data_path: always; until_ingested: until their dates are "
        "in points; space: until the disk is low, then the one needed least recently goes first. Fetched again where needed.",
    )
    accept_resorb: bool = Field(True, description="Use a restituted orbit while the precise one does not exist.")
    orbit_archives: CommaList = Field(
        (),
        description="Where orbits are fetched from that orbit_path lacks, in order: aws (a public bucket, no login), "
        "aws ADDRESS (a mirror of it), cdse (with its login, as in [ARCHIVES]). Empty: orbit_path alone.",
    )
    orbit_retry_s: float = Field(
        3600.0, ge=1, le=86400, description="Seconds until a date that waits for an orbit is looked at again."
    )

    @field_validator("orbit_archives")
    @classmethod
    def _orbit_archive_and_address(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, _, address = one.partition(" ")
            is_mirror = name == "aws" and _ADDRESS.match(address.strip()) is not None
            if name not in ORBIT_ARCHIVES or (address.strip() and not is_mirror):
                raise ValueError(f"aws, aws with the http(s) address of a mirror, or cdse; got {name!r}")
        return value

    @field_validator("archives")
    @classmethod
    def _are_archives(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value) or not set(value) <= set(ARCHIVES):
            raise ValueError(f"distinct names out of {', '.join(ARCHIVES)}; got {', '.join(value) or 'nothing'}")
        return value

    @field_validator("archive_sessions")
    @classmethod
    def _name_and_number(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, _, number = one.rpartition(" ")
            if not name.strip() or not number.isdecimal() or int(number) < 1:
                raise ValueError(f"the name of an archive and a number above 0, such as `cdse 4`; got {one!r}")
        return value

    @field_validator("archive_bandwidth")
    @classmethod
    def _name_and_rate(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            name, _, number = one.rpartition(" ")
            if name.strip() not in ARCHIVES[1:] or not _RATE.fullmatch(number) or float(number) <= 0:
                raise ValueError(f"{' or '.join(ARCHIVES[1:])} and MB a second above 0, such as `cdse 40`; got {one!r}")
        return value

    @model_validator(mode="after")
    def _shares_known(self) -> Self:
        unknown = [name for name, _ in _pairs(self.archive_bandwidth) if name not in self.sessions]
        if unknown:
            raise ValueError(f"archive_sessions: expected a number for {unknown[0]} too, by which archive_bandwidth is shared")
        return self

    @property
    def is_far(self) -> bool:
        """True where products may come over HTTP."""
        return any(name != ARCHIVES[0] for name in self.archives)

    @property
    def order(self) -> tuple[str, ...]:
        """The archives in the order in which a download turns to them: bursts alone come from asf before whole products."""
        if not self.bursts_only or "asf" not in self.archives:
            return self.archives
        place = self.archives.index("asf")
        before = tuple(name for name in self.archives[:place] if name == ARCHIVES[0])
        return (*before, "asf", *(name for name in self.archives if name != "asf" and name not in before))

    @property
    def shares(self) -> dict[str, float]:
        """Bytes a second that one download may take, by archive, where that is limited."""
        return {name: 1e6 * float(rate) / self.sessions[name] for name, rate in _pairs(self.archive_bandwidth)}

    @property
    def sessions(self) -> dict[str, int]:
        """Downloads at once by archive, where that is limited."""
        return {name: int(number) for name, number in _pairs(self.archive_sessions)}


def _pairs(value: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name.strip(), number) for name, _, number in (one.rpartition(" ") for one in value)]


class SlcSettings(StageSettings):
    """[SLC]: the frame's bursts, cut out of the zips."""

    disk: float = Field(30.0, ge=0, le=100, description="Disk I/O that a job uses, units out of 100 a machine.")


class SatsarSettings(StageSettings):
    """[SATSAR]: coregistration and interferometric phase."""

    esd_cell_lines: int = Field(5, ge=1, le=100, description="Lines of the cells that burst overlaps are averaged in (ESD).")
    esd_cell_samples: int = Field(20, ge=1, le=1000, description="Samples of those cells.")
    esd_min_coherence: float = Field(
        0.3, gt=0, lt=1, description="A cell less coherent than this, in either burst, does not count for ESD."
    )
    esd_max_shift_px: float = Field(
        0.05, gt=0, le=0.2, description="Largest azimuth timing error looked for, lines; ESD repeats after about 0.1."
    )
    esd_max_sd_px: float = Field(
        0.003, gt=0, le=0.1, description="A timing less certain than this (standard deviation, lines) fails the job."
    )


class CoherenceSettings(StageSettings):
    """[COHERENCE]: siblings of the frame; coherence and phase of a pair."""

    window_az: int = Field(15, ge=3, le=255, description="Rows of the window that siblings are searched in, odd.")
    window_rg: int = Field(45, ge=3, le=255, description="Columns of the window that siblings are searched in, odd.")
    amplitude_ratio: float = Field(
        2.5, gt=1, le=20, description="Largest ratio of two siblings' mean amplitudes; above 2 keeps dim coherent pixels."
    )
    dispersion_tolerance: float = Field(
        0.15, gt=0, le=1, description="Largest difference of two siblings' amplitude dispersions (std / mean)."
    )
    min_siblings: int = Field(12, ge=2, le=1000, description="A pixel with fewer siblings gets no coherence.")
    max_siblings: int = Field(50, ge=2, le=1000, description="Most siblings of a pixel, the nearest first.")
    min_dates: int = Field(5, ge=3, le=500, description="Fewest dates of the initial stack for choosing siblings.")
    threshold: float = Field(
        0.45, gt=0, lt=1, description="A point of an interferogram has at least this coherence, corrected for bias."
    )
    false_alarm: float = Field(
        0.001, gt=0, lt=1, description="Chance that an incoherent pixel passes for a point, at its number of looks."
    )
    min_looks: float = Field(6.0, ge=2, le=1000, description="Fewest effective looks of a point.")
    remove_fringes: bool = Field(True, description="Take the slope of the phase off within the window of siblings.")

    @model_validator(mode="after")
    def _siblings_possible(self) -> Self:
        if self.window_az % 2 == 0 or self.window_rg % 2 == 0:
            raise ValueError(f"window_az, window_rg: expected odd numbers, got {self.window_az} and {self.window_rg}")
        if self.min_siblings > self.max_siblings:
            raise ValueError(f"min_siblings: expected at most max_siblings = {self.max_siblings}, got {self.min_siblings}")
        return self


class UnwrapSettings(StageSettings):
    """[UNWRAP]: phase unwrapping of a pair."""

    method: Literal["sparse", "grid", "auto"] = Field(
        "auto", description="sparse: network of the points; grid: all cells; auto: grid where nearly every cell has points."
    )
    thin_az: int = Field(2, ge=1, le=64, description="Rows of the cells that points are gathered into for the solver.")
    thin_rg: int = Field(4, ge=1, le=64, description="Columns of those cells; doubled with thin_az until memory suffices.")
    max_gap_m: float = Field(
        150.0, gt=0, le=10000, description="Points farther apart than this on the ground are not neighbours, metres."
    )
    min_points: int = Field(200, ge=10, description="Fewest points of a pair that unwrapping is tried with.")
    min_component: int = Field(20, ge=3, description="Fewest cells of a connected component that gets a number.")


class TimeseriesSettings(StageSettings):
    """[TIMESERIES]: displacement series of the frame."""

    accept_failed_share: float = Field(
        0.2, ge=0, le=1, description="The series is made once at most this share of the pairs has failed for good."
    )
    min_pairs_share: float = Field(
        0.7, gt=0, le=1, description="A point of the series is a point in at least this share of the interferograms."
    )
    min_dates_share: float = Field(
        0.5, gt=0, le=1, description="A point's interferograms connect at least this share of the dates."
    )
    min_temporal_coherence: float = Field(
        0.6, ge=0, lt=1, description="A point's interferograms agree at least so well (Pepe & Lanari 2006)."
    )
    correct_unwrapping: bool = Field(True, description="Correct whole cycles that triangles of interferograms reveal.")
    reference_lon: OptionalNumber = Field(
        None, ge=-180, le=180, description="Longitude of the reference area, degrees; empty: chosen by quality."
    )
    reference_lat: OptionalNumber = Field(
        None, ge=-90, le=90, description="Latitude of the reference area, degrees; empty: chosen by quality."
    )
    reference_radius_m: float = Field(200.0, gt=0, le=20000, description="Radius of the reference area, metres.")
    dem_error: bool = Field(True, description="Estimate the DEM error of points and take its phase off.")
    dem_scale_m: float = Field(
        1000.0, gt=0, le=50000, description="DEM error is sought relative to surroundings of this size, metres."
    )
    dem_min_baseline_m: float = Field(
        20.0, ge=0, le=1000, description="Least spread of the perpendicular baselines for a DEM error, metres."
    )
    dem_significance: float = Field(
        4.0, ge=0, le=20, description="A DEM error is taken off where it exceeds this many of its standard deviations."
    )
    seasonal: bool = Field(True, description="Fit a yearly cycle besides the velocity where the series constrains one.")

    @model_validator(mode="after")
    def _whole_reference(self) -> Self:
        if (self.reference_lon is None) != (self.reference_lat is None):
            raise ValueError("reference_lon, reference_lat: expected both or neither")
        return self


class IngestSettings(StageSettings):
    """[INGEST]: points into the points database."""

    min_temporal_coherence: float = Field(
        0.0, ge=0, le=1, description="Points below this temporal coherence stay out of the points database."
    )
