"""What a stand-in has to offer: the product zips of a directory, each described by its name and manifest."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

NAME = re.compile(
    r"(?P<platform>S1[A-D])_IW_SLC__1S(?P<pol>[A-Z]{2})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})"
    r"_(?P<orbit>\d{6})_[0-9A-F]{6}_[0-9A-F]{4}\Z"
)
POLARISATION = {"DV": "VV+VH", "DH": "HH+HV", "SV": "VV", "SH": "HH"}
SAME_PLACE_S = 60.0
FIRST_ORBIT = {"S1A": 73, "S1B": 27, "S1C": 99, "S1D": 42}
"""Track 1 is the absolute orbit `FIRST_ORBIT + 175 n` (S1C: since it was moved after orbit 8018)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One product on offer. Without a path it is only listed."""

    name: str
    start_utc: datetime
    stop_utc: datetime
    track: int
    direction: str
    """`A` or `D`."""
    footprint: tuple[tuple[float, float], ...]
    """Corners, (lon, lat) degrees, not closed."""
    published_utc: datetime
    proc_utc: datetime | None = None
    size: int = 0
    md5: str = ""
    path: Path | None = None

    @property
    def platform(self) -> str:
        """`S1A` ... `S1D`."""
        return self.name[:3]

    @property
    def absolute_orbit(self) -> int:
        """As the name says it."""
        return int(self.name[49:55])

    @property
    def polarisation(self) -> str:
        """`VV+VH` and the like."""
        return POLARISATION[self.name[14:16]]


class Shelf:
    """The products below `folder`, looked at again for each search: what is put there appears by itself."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[int, int, Item | None]] = {}
        self._listed: dict[str, Item] = {}
        self._withheld: dict[str, int] = {}
        self._searches = 0

    def add(self, *items: Item) -> None:
        """Offer products that no directory holds."""
        with self._lock:
            self._listed.update({item.name: item for item in items})

    def withhold(self, name: str, searches: int) -> None:
        """Let a product appear only after so many searches more."""
        with self._lock:
            self._withheld[name] = self._searches + searches

    def items(self, searching: bool = False) -> list[Item]:
        """All products on offer, by name."""
        with self._lock:
            found = {**self._listed, **{item.name: item for item in self._in_folder()}}
            shown = [item for name, item in sorted(found.items()) if self._withheld.get(name, 0) <= self._searches]
            self._searches += searching
            return shown

    def find(self, name: str) -> Item | None:
        """The product of that name."""
        return next((item for item in self.items() if item.name == name), None)

    def _in_folder(self) -> list[Item]:
        if self.folder is None:
            return []
        items: list[Item] = []
        nameless: list[tuple[Path, Item]] = []
        for path in sorted(self.folder.rglob("S1*.zip")):
            about = path.stat()
            known = self._seen.get(path)
            if known is None or known[:2] != (about.st_mtime_ns, about.st_size):
                known = (about.st_mtime_ns, about.st_size, describe(path))
                self._seen[path] = known
            if (item := known[2]) is not None:
                items.append(item) if item.footprint else nameless.append((path, item))
        return items + [whole for _, item in nameless if (whole := _like_others(item, items)) is not None]


def describe(path: Path) -> Item | None:
    """A zip by name and manifest; without footprint where the manifest cannot be read; None where it is no SLC product."""
    match = NAME.match(path.stem)
    if match is None:
        return None
    start, stop = (datetime.strptime(match[k], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for k in ("start", "stop"))
    about = path.stat()
    published = datetime.fromtimestamp(about.st_mtime, UTC)
    bare = Item(path.stem, start, stop, 0, "", (), published, None, about.st_size, _md5(path), path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _with_manifest(bare, fromstring(archive.read(f"{path.stem}.SAFE/manifest.safe")))
    except (zipfile.BadZipFile, zlib.error, LookupError, ValueError, EOFError, ParseError, DefusedXmlException):
        return bare


def _with_manifest(item: Item, root: Element) -> Item:
    corners = [corner.split(",") for corner in root.findtext(".//{*}footPrint/{*}coordinates", "").split()]
    processing = root.find(".//{*}metadataObject[@ID='processing']//{*}processing")
    return replace(
        item,
        start_utc=_time(root.findtext(".//{*}acquisitionPeriod/{*}startTime", "")),
        stop_utc=_time(root.findtext(".//{*}acquisitionPeriod/{*}stopTime", "")),
        track=int(root.findtext(".//{*}relativeOrbitNumber[@type='start']") or _track(item)),
        direction=root.findtext(".//{*}pass", "")[:1].upper(),
        footprint=tuple((float(lon), float(lat)) for lat, lon in corners),
        proc_utc=None if processing is None else _time(processing.get("stop", "")),
    )


def _like_others(item: Item, others: list[Item]) -> Item | None:
    """An unreadable zip as the archive knew it when it was whole: at the place of those at its time of the day."""

    def apart_s(other: Item) -> float:
        return abs(((item.start_utc - other.start_utc).total_seconds() + 43200) % 86400 - 43200)

    near = min(others, key=apart_s, default=None)
    if near is None or apart_s(near) > SAME_PLACE_S:
        return None
    return replace(item, track=near.track, direction=near.direction, footprint=near.footprint)


def _track(item: Item) -> int:
    return (item.absolute_orbit - FIRST_ORBIT[item.platform]) % 175 + 1


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
