"""Is a product directory whole, and is it the one that the database recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from satdaemon.db import products
from satdaemon.db.consistency.formats import check_file, read_json
from satdaemon.db.consistency.layout import METADATA, files_below
from satdaemon.db.models import Product
from satdaemon.errors import CorruptProduct
from satdaemon.insar.rasters import gdal_session
from satdaemon.status import Stage

UNMEASURED = "unknown"
"""Checksum of a product that was entered by a quick check."""
OF_MASTER = tuple(s for s in Stage if s not in (Stage.DOWNLOAD, Stage.SLC))
"""Stages whose products hold for one master only."""
_IN_ZARR = ".zarr/"
_BY_VIEWERS = (".aux.xml", ".ovr", ".DS_Store", "Thumbs.db")


class State(StrEnum):
    """How a product is."""

    VALID = "valid"
    OUTDATED = "outdated"
    """Whole, but made before something that it was made from."""
    BAD = "bad"
    OTHER_MASTER = "other master"
    MISSING = "missing"
    UNSURE = "unsure"
    """The disk does not let it be read: nothing is concluded."""


@dataclass(slots=True)
class Verdict:
    """What a look at one product gave."""

    state: State
    path: Path
    why: str = ""
    is_news: bool = False
    """The database does not know this product: it has none, or an older one."""
    files: int = 0
    bytes: int = 0
    checksum: str = UNMEASURED
    extras: tuple[str, ...] = ()
    """Files in it that are none of the product's."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Its product.json; empty where it has none of our form."""

    @property
    def serves(self) -> bool:
        """True where later stages may read it."""
        return self.state in (State.VALID, State.OUTDATED)

    @property
    def made_utc(self) -> datetime | None:
        """When it was made, as it says itself."""
        return _time(self.about.get("created_utc"))


@dataclass(frozen=True, slots=True)
class Expected:
    """What a product should be."""

    frame_id: str
    stage: Stage
    key: str
    record: Product | None
    master: str | None
    """ISO date of the frame's master."""
    outputs: Collection[str] = ()
    """Files that a site's own program must leave."""


def examine(path: Path, expected: Expected, *, deep: bool) -> Verdict:
    """Look at one product directory; `deep` reads all data and compares the checksum."""
    if not path.is_dir():
        return Verdict(State.MISSING, path, f"expected a product at {path}, found none")
    found = Verdict(State.VALID, path)
    try:
        with gdal_session():
            _examine(found, expected, deep)
    except CorruptProduct as error:
        found.state, found.why = State.BAD, str(error)
    except OSError as error:
        found.state, found.why = State.UNSURE, f"{path}: cannot be read: {error}"
    return found


def _examine(found: Verdict, expected: Expected, deep: bool) -> None:
    sizes = dict(files_below(found.path))
    if METADATA in sizes:
        about = read_json(found.path / METADATA)
        found.about = about if _is_ours(about) else {}
    _count(found, expected.record, sizes)
    _identity(found.about, expected)
    if expected.stage in OF_MASTER and found.about.get("master_date", expected.master) != expected.master:
        found.state = State.OTHER_MASTER
        found.why = f"made for the master {found.about['master_date']}, the frame's is {expected.master or 'not chosen yet'}"
        return
    if expected.record is None:
        _by_itself(found, expected, sizes)
        found.is_news = True
    else:
        _as_recorded(found, expected.record, deep)
    _readable(found, sizes, deep)
    if found.is_news and deep:
        found.checksum = products.measure(found.path, found.extras).checksum


def _count(found: Verdict, record: Product | None, sizes: dict[str, int]) -> None:
    """Count files and bytes. What is not the product's is taken out of `sizes`: people open rasters, and viewers leave files."""
    found.files, found.bytes = len(sizes), sum(sizes.values())
    if record is not None and (found.files, found.bytes) == (record.files, record.bytes):
        return
    listed = _listed(found.about)
    own = {METADATA, *listed}
    strange = [n for n in sizes if n not in own and not any(n.startswith(f"{store}/") for store in listed)] if listed else []
    found.extras = tuple(strange or [n for n in sizes if n.endswith(_BY_VIEWERS)])
    for name in found.extras:
        found.files, found.bytes = found.files - 1, found.bytes - sizes.pop(name)


def _identity(about: Mapping[str, Any], expected: Expected) -> None:
    for name, value in (("frame", expected.frame_id), ("stage", expected.stage.value), ("key", expected.key)):
        if about.get(name, value) != value:
            raise CorruptProduct(f"its product.json is of another product: expected {name} {value}, got {about[name]}")


def _by_itself(found: Verdict, expected: Expected, sizes: Mapping[str, int]) -> None:
    """A product that nobody recorded has to say itself that it is whole."""
    if not found.about and not expected.outputs:
        raise CorruptProduct(f"the database does not know it, and it has no {METADATA} that says that it is whole")
    wanted = [*_listed(found.about), *expected.outputs]
    if not wanted:
        raise CorruptProduct(f"the database does not know it, and its {METADATA} lists no files")
    for name in wanted:
        if not (found.path / name).exists():
            raise CorruptProduct(f"lacks {name}, which its {METADATA} lists")
        stated = _listed(found.about).get(name, {}).get("bytes")
        if stated is not None and name in sizes and sizes[name] != stated:
            raise CorruptProduct(f"{name}: expected {stated} bytes as its {METADATA} says, got {sizes[name]}")


def _as_recorded(found: Verdict, record: Product, deep: bool) -> None:
    """Compare with the database's record. What was made after the record, and is whole, is news; else it is damage."""
    differs = _differs(found, record, deep)
    if differs is None:
        return
    made = found.made_utc
    if made is None or made <= record.created_utc:
        raise CorruptProduct(differs)
    lacking = [name for name in _listed(found.about) if not (found.path / name).exists()]
    if lacking:
        raise CorruptProduct(f"lacks {', '.join(lacking)}, which its {METADATA} lists")
    found.is_news = True
    found.why = f"made at {made:%Y-%m-%d %H:%M} UTC, after the one that the database has"


def _differs(found: Verdict, record: Product, deep: bool) -> str | None:
    if (found.files, found.bytes) != (record.files, record.bytes):
        return f"expected {record.files} files of {record.bytes} bytes as recorded, got {found.files} of {found.bytes}"
    said, given = found.about.get("processor", {}), record.inputs or {}
    for name, value in (("name", record.processor), ("version", record.processor_version)):
        if said.get(name) is not None and value and said[name] != value:
            return f"expected what {record.processor} {record.processor_version} made as recorded, got {said[name]}"
    if {"master_date", "master"} <= {*found.about, *given} and found.about["master_date"] != given["master"]:
        return f"expected the master {given['master']} as recorded, got {found.about['master_date']}"
    ours, theirs = found.about.get("settings") or {}, given.get("settings") or {}
    other = sorted(name for name in set(ours) & set(theirs) if ours[name] != theirs[name])
    if other:
        return f"its product.json has other settings than the record: {', '.join(other)}"
    if deep:
        found.checksum = products.measure(found.path, found.extras).checksum
        if record.checksum not in (UNMEASURED, found.checksum):
            return "its contents are not those recorded (checksum)"
    return None


def _readable(found: Verdict, sizes: Mapping[str, int], deep: bool) -> None:
    listed = _listed(found.about)
    for name in sorted(_whole(sizes)):
        try:
            check_file(found.path / name, listed.get(name, {}), deep)
        except CorruptProduct as error:
            raise CorruptProduct(f"{error}" if "/" not in name else f"{name}: {error}") from error
    if found.path.parent.name == Stage.DOWNLOAD and "download.json" in sizes:
        _zips(found.path)
    if found.path.parent.name == Stage.INGEST and {"points.parquet", "series.npy"} <= set(sizes):
        _points(found.path)


def _is_ours(about: Mapping[str, Any]) -> bool:
    """False for a product.json that a site's program wrote in a form of its own: it says nothing that we could hold it to."""
    said = about.get("processor")
    return isinstance(said, dict) and "satdaemon" in said


def _whole(names: Iterable[str]) -> set[str]:
    """Files, with the files of a Zarr store taken as the one store that they are."""
    return {n.split(_IN_ZARR)[0] + ".zarr" if _IN_ZARR in n else n for n in names}


def _listed(about: Mapping[str, Any]) -> Mapping[str, Any]:
    files = about.get("files")
    return {k: v for k, v in files.items() if isinstance(v, dict)} if isinstance(files, dict) else {}


def _zips(path: Path) -> None:
    """A download's product is its zips: they have to be there."""
    for scene in read_json(path / "download.json").get("scenes", ()):
        place = path / scene["path"] if scene.get("path") else None
        if place is not None and not place.parent.is_dir():
            raise FileNotFoundError(f"{place.parent}: the directory of its zip is not there; is its disk mounted?")
        if place is None or not place.exists():
            raise CorruptProduct(f"its zip {place or scene.get('id')} is not there")
        if scene.get("size") is not None and place.stat().st_size != scene["size"]:
            raise CorruptProduct(f"{place}: expected {scene['size']} bytes, got {place.stat().st_size}")


def _points(path: Path) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    with pq.ParquetFile(path / "points.parquet") as source:
        rows = source.metadata.num_rows
    shape = np.load(path / "series.npy", mmap_mode="r").shape
    if len(shape) != 2 or shape[0] != rows:
        raise CorruptProduct(f"expected series of {rows} points, got {shape}")


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
