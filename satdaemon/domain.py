"""The nouns of the field, as frozen values. No I/O, no database."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from traceback import format_exception
from typing import Any, NamedTuple, Self

from satdaemon.errors import CredentialsError, DiskFull, Disposition, NotReady, RequestError, SatDaemonError
from satdaemon.status import RowKind, Stage

REPEAT_ORBITS = 175
ORBIT_S = 12 * 86400 / REPEAT_ORBITS
"""Duration of one Sentinel-1 orbit, seconds (175 orbits in 12 days)."""

FRAME_ID = re.compile(r"^(?P<track>[0-9]{3})(?P<direction>[AD])_[A-Z0-9]+(?:_[A-Z0-9]+)*\Z")
BURST_ID = re.compile(r"^(?P<track>[0-9]{1,3})_(?P<anx>[0-9]{1,5})_(?P<swath>IW[123])\Z")

_NO_SPACE = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst of the acquisition pattern. `anx` in tenths of a second since the ascending node."""

    id: str
    track: int
    orbit_direction: str
    anx: int
    swath: str
    esa_id: int | None = None
    footprint: tuple[tuple[float, float], ...] = ()
    """Polygon corners, (lon, lat) in degrees, WGS84, not closed."""

    @classmethod
    def parse_id(cls, text: str) -> tuple[int, int, str]:
        """Split `132_8603_IW1` into (track, anx, swath); RequestError where it is not one."""
        match = BURST_ID.match(text)
        if match is None:
            raise RequestError(f"burst id: expected TRACK_ANX_SWATH such as 132_8603_IW1, got {text!r}")
        return int(match["track"]), int(match["anx"]), match["swath"]


@dataclass(frozen=True, slots=True)
class SceneSource:
    """One archive that has a product. Size and checksum are those of its zip: archives zip anew."""

    archive: str
    url: str
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One Sentinel-1 product zip (one row of `files`)."""

    id: str
    date: date
    start_utc: datetime
    stop_utc: datetime
    platform: str
    absolute_orbit: int
    track: int
    orbit_direction: str
    proc_utc: datetime | None
    """ESA's processing time from the manifest; the newest product of an acquisition is the valid one."""
    url: str
    """Where the archive has it: file:///..., https://..."""
    path: Path | None = None
    """Where it stands on our disk, once downloaded."""
    size: int | None = None
    checksum: str | None = None
    """`algorithm:hex`, e.g. `md5:...` or `sha256:...`."""
    published_utc: datetime | None = None
    """When an archive made it known; of reissued products whose processing times nobody tells, the latest counts."""
    sources: tuple[SceneSource, ...] = ()
    """The archives that have it, in order of preference."""


class Pair(NamedTuple):
    """An interferogram's two dates; date1 < date2. Phase is that of date1 * conj(date2)."""

    date1: date
    date2: date


@dataclass(frozen=True, slots=True)
class Resources:
    """What one job occupies on its machine while it runs."""

    cpu: float
    memory_gb: float
    disk: float
    """Disk I/O units out of 100 a machine."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A fixed set of bursts on one track that is always processed together."""

    id: str
    track: int
    orbit_direction: str
    bursts: tuple[Burst, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one stage for one row."""

    id: int
    frame_id: str
    stage: Stage
    kind: RowKind
    date1: date | None
    """The date of a master or ifg row, the first date of a pair."""
    date2: date | None
    priority: int
    attempt: int
    resources: Resources
    machine: str | None = None

    @property
    def key(self) -> str:
        """Name of the row within frame and stage: `20230101`, `20230101_20230113` or `frame`."""
        return product_key(self.kind, self.stage, self.date1, self.date2)

    @property
    def title(self) -> str:
        """Readable name: `unwrap 132A_DEMO 20230101-20230113`."""
        return job_title(self.kind, self.stage, self.frame_id, self.date1, self.date2)


def job_title(kind: RowKind, stage: Stage, frame_id: str, date1: date | None, date2: date | None) -> str:
    """Readable name of a job: `unwrap 132A_DEMO 20230101-20230113`."""
    return f"{stage} {frame_id} {product_key(kind, stage, date1, date2).replace('_', '-')}".removesuffix(" frame")


def product_key(kind: RowKind, stage: Stage, date1: date | None, date2: date | None) -> str:
    """Directory name of a product below `<processing path>/<frame>/<stage>/`."""
    if kind is RowKind.MASTER and stage in (Stage.COHERENCE, Stage.TIMESERIES, Stage.INGEST):
        return "frame"
    if date1 is None:
        raise ValueError(f"a {stage} product of a {kind} row needs a date")
    if kind is RowKind.RSAR_IFG:
        if date2 is None:
            raise ValueError(f"a {stage} product of a pair needs two dates")
        return f"{date1:%Y%m%d}_{date2:%Y%m%d}"
    return f"{date1:%Y%m%d}"


def product_path(root: Path, frame_id: str, stage: Stage, key: str) -> Path:
    """Where a published product stands: `<root>/<frame>/<stage>/<key>`."""
    return root.joinpath(frame_id, stage.value, key)  # one path built, not three: a check asks for every stage of every row


@dataclass(frozen=True, slots=True)
class StageInput:
    """All that a processor gets: no database, no configuration file, only this."""

    job_id: int
    attempt: int
    stage: Stage
    kind: RowKind
    frame: Frame
    master_date: date
    date1: date | None
    date2: date | None
    out_dir: Path
    """Empty directory of this attempt. The engine publishes it by one rename."""
    inputs: Mapping[str, Path]
    """Published products to read, by role (docs/products.md): `slc`, `master`, `satsar/20230101` ..."""
    scenes: tuple[Scene, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The stage's own settings, from its section of satdaemon.cfg, overridden by the frame's."""
    paths: Mapping[str, Path] = field(default_factory=dict)
    """Shared places: `data`, `orbits`, `dem`, `archive`, `scratch`."""
    polarisation: str = "vv"
    cores: int = 1
    memory_gb: float = 1.0
    """What to plan the work by: the configured amount, or what was granted where that is more. The same for like jobs."""
    memory_limit_gb: float | None = None
    """Above it the job is stopped: what was granted, which is less than `memory_gb` where such jobs were seen to need less."""

    @property
    def granted_gb(self) -> float:
        """Memory above which the job is stopped, GB."""
        return self.memory_gb if self.memory_limit_gb is None else self.memory_limit_gb

    @property
    def key(self) -> str:
        """Name of the product within frame and stage."""
        return product_key(self.kind, self.stage, self.date1, self.date2)

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back equal."""
        return {
            "job_id": self.job_id,
            "attempt": self.attempt,
            "stage": self.stage.value,
            "kind": self.kind.value,
            "frame": {
                "id": self.frame.id,
                "track": self.frame.track,
                "orbit_direction": self.frame.orbit_direction,
                "bursts": [
                    {
                        "id": b.id,
                        "track": b.track,
                        "orbit_direction": b.orbit_direction,
                        "anx": b.anx,
                        "swath": b.swath,
                        "esa_id": b.esa_id,
                        "footprint": [list(p) for p in b.footprint],
                    }
                    for b in self.frame.bursts
                ],
            },
            "master_date": self.master_date.isoformat(),
            "date1": _iso(self.date1),
            "date2": _iso(self.date2),
            "out_dir": str(self.out_dir),
            "inputs": {k: str(v) for k, v in self.inputs.items()},
            "scenes": [_scene_to_json(s) for s in self.scenes],
            "settings": dict(self.settings),
            "paths": {k: str(v) for k, v in self.paths.items()},
            "polarisation": self.polarisation,
            "cores": self.cores,
            "memory_gb": self.memory_gb,
            "memory_limit_gb": self.memory_limit_gb,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        frame = value["frame"]
        bursts = tuple(
            Burst(**{**b, "footprint": tuple((float(x), float(y)) for x, y in b["footprint"])}) for b in frame["bursts"]
        )
        return cls(
            job_id=value["job_id"],
            attempt=value["attempt"],
            stage=Stage(value["stage"]),
            kind=RowKind(value["kind"]),
            frame=Frame(frame["id"], frame["track"], frame["orbit_direction"], bursts),
            master_date=date.fromisoformat(value["master_date"]),
            date1=_date(value["date1"]),
            date2=_date(value["date2"]),
            out_dir=Path(value["out_dir"]),
            inputs={k: Path(v) for k, v in value["inputs"].items()},
            scenes=tuple(_scene_from_json(s) for s in value["scenes"]),
            settings=dict(value["settings"]),
            paths={k: Path(v) for k, v in value["paths"].items()},
            polarisation=value["polarisation"],
            cores=value["cores"],
            memory_gb=value["memory_gb"],
            memory_limit_gb=value.get("memory_limit_gb"),
        )


BURSTS_ONLY = "bursts_only"
"""Key of a download that holds only bursts of some scenes: `scenes`, and the frame's `bursts` and `polarisation` then."""


@dataclass(frozen=True, slots=True)
class Quicklook:
    """A small picture of a product, and how its colours are read."""

    file: str
    """Path relative to the product, PNG."""
    title: str
    unit: str
    palette: str
    """Of `satdaemon.insar.colours`."""
    least: float
    """Value of the first colour; what lies below has it too."""
    most: float
    """Value of the last colour."""
    rows: int
    cols: int
    looks: tuple[float, float]
    """Pixels of the product, azimuth and range, that a pixel of the picture is the average of; below 1 where they repeat."""
    pixel_m: tuple[float, float] | None
    """Height and width of a pixel on the ground; None where the geometry is not known: pixels are then square in the raster."""
    known: float
    """Share of the product's pixels that have data."""
    mm_per_unit: float | None = None
    """Of a phase: motion towards the satellite, millimetres a radian (negative)."""

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back equal."""
        return {**asdict(self), "looks": list(self.looks), "pixel_m": None if self.pixel_m is None else list(self.pixel_m)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        pixel_m = value["pixel_m"]
        return cls(**{**value, "looks": tuple(value["looks"]), "pixel_m": None if pixel_m is None else tuple(pixel_m)})


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a processor made. Metrics are numbers a person would plot over many jobs."""

    files: tuple[str, ...]
    """Paths relative to the attempt's directory."""
    metrics: Mapping[str, float | int | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    scenes: tuple[Scene, ...] = ()
    """download only: the scenes with the path, size and checksum found."""
    processor: str = ""
    processor_version: str = ""
    quicklooks: tuple[Quicklook, ...] = ()
    """Pictures of it, which the engine made."""
    partial: tuple[Scene, ...] = ()
    """download only: scenes of which only bursts were fetched, with the path of those in the attempt's directory."""

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back equal."""
        return {
            "files": list(self.files),
            "metrics": dict(self.metrics),
            "warnings": list(self.warnings),
            "scenes": [_scene_to_json(s) for s in self.scenes],
            "processor": self.processor,
            "processor_version": self.processor_version,
            "quicklooks": [one.to_json() for one in self.quicklooks],
            "partial": [_scene_to_json(s) for s in self.partial],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            tuple(value["files"]),
            dict(value["metrics"]),
            tuple(value["warnings"]),
            tuple(_scene_from_json(s) for s in value["scenes"]),
            value["processor"],
            value["processor_version"],
            tuple(Quicklook.from_json(one) for one in value.get("quicklooks", ())),
            tuple(_scene_from_json(s) for s in value.get("partial", ())),
        )


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first of many names, and how many more there are: `a, b, c and 4 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def first_lines(lines: Sequence[str], most: int, see: str = "") -> list[str]:
    """The first of many lines, and one on how many more there are; `see`: what shows them."""
    more = f"and {len(lines) - most} more{f': {see}' if see else ''}"
    return [*lines[:most], *([more] if len(lines) > most else [])]


def says_disk_full(text: str) -> bool:
    """True for the words in which the system says that a disk, or a quota of it, is used up."""
    return any(words in text for words in _NO_SPACE)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job cost."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_gb: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """How a job ended that did not finish."""

    error_class: str
    message: str
    traceback: str
    disposition: Disposition
    retry_after_s: float | None = None
    return_code: int | None = None
    signal: int | None = None

    @classmethod
    def from_exception(cls, error: BaseException) -> Self:
        """The failure that an exception stands for; anything not of `satdaemon.errors` is a bug and fails, but a full disk."""
        if not isinstance(error, SatDaemonError) and says_disk_full(str(error)):
            error = DiskFull(f"{type(error).__name__}: {error}").with_traceback(error.__traceback__)
        disposition = error.disposition if isinstance(error, SatDaemonError) else Disposition.FAIL
        return cls(
            error_class=type(error).__name__,
            message=str(error) or type(error).__name__,
            traceback="".join(format_exception(error)),
            disposition=disposition,
            retry_after_s=error.retry_after_s if isinstance(error, NotReady | CredentialsError) else None,
        )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _scene_to_json(scene: Scene) -> dict[str, Any]:
    return {
        "id": scene.id,
        "date": scene.date.isoformat(),
        "start_utc": scene.start_utc.isoformat(),
        "stop_utc": scene.stop_utc.isoformat(),
        "platform": scene.platform,
        "absolute_orbit": scene.absolute_orbit,
        "track": scene.track,
        "orbit_direction": scene.orbit_direction,
        "proc_utc": None if scene.proc_utc is None else scene.proc_utc.isoformat(),
        "url": scene.url,
        "path": None if scene.path is None else str(scene.path),
        "size": scene.size,
        "checksum": scene.checksum,
        "published_utc": None if scene.published_utc is None else scene.published_utc.isoformat(),
        "sources": [asdict(source) for source in scene.sources],
    }


def _scene_from_json(value: Mapping[str, Any]) -> Scene:
    return Scene(
        **{
            **value,
            "date": date.fromisoformat(value["date"]),
            "start_utc": datetime.fromisoformat(value["start_utc"]),
            "stop_utc": datetime.fromisoformat(value["stop_utc"]),
            "proc_utc": None if value["proc_utc"] is None else datetime.fromisoformat(value["proc_utc"]),
            "path": None if value["path"] is None else Path(value["path"]),
            "published_utc": None if value.get("published_utc") is None else datetime.fromisoformat(value["published_utc"]),
            "sources": tuple(SceneSource(**source) for source in value.get("sources", ())),
        }
    )
