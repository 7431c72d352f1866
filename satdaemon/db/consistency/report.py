"""What a check found, and what it would change: plain values, printed, kept and applied by others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """The database has a product that is not there."""
    DAMAGED = "damaged"
    """A product is not what the database or its own product.json says."""
    UNKNOWN = "unknown"
    """A whole product that the database does not know."""
    MOVED = "moved"
    """A product stands in another place than the database says."""
    OTHER_MASTER = "other master"
    """A product was made for another master than the frame's."""
    OUTDATED = "outdated"
    """A product was made before one that it was made from."""
    BEHIND = "behind"
    """A row does not say how far its products are."""
    NO_JOB = "no job"
    """A row is marked running, and no job holds it."""
    ORPHANED = "orphaned"
    """A product of a date or pair that the frame does not have."""
    UNEXPECTED = "unexpected"
    """A file or directory that no stage makes."""
    HALF_WRITTEN = "half-written"
    """What a job or a download left that came to no end."""
    NO_FRAME = "no frame"
    """A directory of a frame that the database does not have."""
    POINTS = "points"
    """A frame's points are made, and the points database does not show them."""
    ZIP = "zip"
    """A product zip is gone, or not what it was."""
    IN_MOTION = "in motion"
    """A job works on the row: it was not looked at."""
    RETIRED = "retired"
    """A retired frame's products."""

    @property
    def moves_row(self) -> bool:
        """True for what is wrong with a row, not with a product."""
        return self in (Kind.BEHIND, Kind.NO_JOB)


class Place(NamedTuple):
    """Where a row stands."""

    stage: int
    status: ProcStatus
    stale_from: int | None = None

    def words(self, kind: RowKind) -> str:
        """`satsar DONE`."""
        return f"{STAGES_OF[kind][self.stage - 1]} {self.status.name}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit."""

    kind: Kind
    what: str
    frame_id: str | None = None
    stage: Stage | None = None
    key: str | None = None
    path: Path | None = None
    remedy: str = ""
    """What the fix does, or what a person can do."""
    fixable: bool = False
    """The fix puts it right."""
    deletable: bool = False
    """The path may be deleted by name."""
    note: bool = False
    """For information: nothing is wrong."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that the fix moves."""

    kind: RowKind
    row_id: int
    frame_id: str
    date1: date
    date2: date | None
    before: Place
    after: Place
    why: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the row."""

    @property
    def is_forward(self) -> bool:
        """True where a product on disk is the evidence of a stage that was done."""
        return self.after.status in (ProcStatus.DONE, ProcStatus.STALE)

    @property
    def name(self) -> str:
        """`ifg 20230101` or `rsar_ifg 20230101_20230113`."""
        return f"{self.kind} {self.date1:%Y%m%d}" + (f"_{self.date2:%Y%m%d}" if self.date2 else "")


@dataclass(frozen=True, slots=True)
class ProductChange:
    """A row of `products` that the fix enters, renews or removes."""

    frame_id: str
    stage: Stage
    key: str
    old_id: int | None
    """The row as it is; None where there is none."""
    new: Mapping[str, Any] | None
    """Columns of the new row, or of those that change where `keep` is set; None: the row goes."""
    keep: bool = False
    """The row stays and gets other values."""
    row: tuple[RowKind, int] | None = None
    """Whose product it is."""

    @property
    def verb(self) -> str:
        """What happens, in one word."""
        return "removed" if self.new is None else "renewed" if self.old_id is not None else "entered"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A row of `files` that gets another state."""

    file_id: str
    before: str
    after: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class PointsChange:
    """A frame whose points are to be loaded from its ingest product."""

    frame_id: str
    path: Path
    row: tuple[RowKind, int]


@dataclass(slots=True)
class Report:
    """All that a check found."""

    frames: int = 0
    products: int = 0
    """Product directories whose contents were looked at."""
    bytes: int = 0
    zips: int = 0
    deep: bool = False
    findings: list[Finding] = field(default_factory=list)
    rows: list[RowChange] = field(default_factory=list)
    records: list[ProductChange] = field(default_factory=list)
    files: list[FileChange] = field(default_factory=list)
    points: list[PointsChange] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """The findings that are not mere notes."""
        return [f for f in self.findings if not f.note]

    @property
    def is_clean(self) -> bool:
        """True where nothing is wrong."""
        return not self.problems

    @property
    def changes(self) -> int:
        """How many rows of all tables the fix would write."""
        return len(self.rows) + len(self.records) + len(self.files) + len(self.points)

    def add(self, other: Report) -> None:
        """Take in what was found elsewhere."""
        self.frames += other.frames
        self.products += other.products
        self.bytes += other.bytes
        self.zips += other.zips
        for name in ("findings", "rows", "records", "files", "points"):
            getattr(self, name).extend(getattr(other, name))
