"""What a burst extractor cuts out of product zips: the TIFF of one burst, and the annotation of the scene in one document."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
from defusedxml.ElementTree import fromstring
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

from satdaemon.simulator.archives.shelf import Item

ADDRESS = re.compile(
    r"/(?P<scene>S1[A-D]_IW_SLC__[0-9A-Z_]{50,60})/(?P<swath>IW[123])/(?P<pol>VV|VH|HH|HV)/(?P<index>\d{1,3})\.(?P<kind>tiff|xml)\Z"
)
_MEMBER = re.compile(
    r".*/annotation/(?:calibration/)?(?P<kind>calibration-|noise-|)s1[a-d]-(?P<swath>iw[123])-slc-(?P<pol>[vh]{2})-[^/]*\.xml\Z"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that was made. Its name is what the archive calls it."""

    path: Path
    md5: str


class Cutter:
    """Makes files in a directory of its own, each once; to be held (`with`)."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._made: dict[str, Cut] = {}

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def cut(self, item: Item, address: re.Match[str]) -> Cut | None:
        """The file of an address; None where the product has no such burst. Raises OSError and BadZipFile for a damaged one."""
        with self._lock:
            known = self._made.get(address[0])
            if known is None and (known := self._cut(item, address)) is not None:
                self._made[address[0]] = known
            return known

    def _cut(self, item: Item, address: re.Match[str]) -> Cut | None:
        if item.path is None:
            return None
        with zipfile.ZipFile(item.path) as archive:
            found = {(kind, swath, pol): name for kind, swath, pol, name in _members(archive)}
            name = found.get(("product", address["swath"], address["pol"]))
            root = None if name is None else fromstring(archive.read(name))
            bursts = [] if root is None else root.findall("swathTiming/burstList/burst")
            index = int(address["index"])
            if root is None or name is None or index >= len(bursts):
                return None
            self._folder = self._folder or tempfile.TemporaryDirectory(prefix="satdaemon-bursts-")
            folder = Path(self._folder.name) / hashlib.sha256(address[0].encode()).hexdigest()
            folder.mkdir(exist_ok=True)
            path = folder / f"{_called(item, address, bursts[index])}.{address['kind']}"
            if address["kind"] == "xml":
                path.write_bytes(_document(archive, item.name))
            else:
                measurement = name.replace("/annotation/", "/measurement/").removesuffix(".xml") + ".tiff"
                lines = int(root.findtext("swathTiming/linesPerBurst", ""))
                _tiff(f"/vsizip/{item.path}/{measurement}", index, lines, path)
        with path.open("rb") as file:
            return Cut(path, hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest())


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[str, str, str, str]]:
    for name in archive.namelist():
        if (match := _MEMBER.match(name)) is not None:
            yield match["kind"].rstrip("-") or "product", match["swath"].upper(), match["pol"].upper(), name


def _called(item: Item, address: re.Match[str], burst: Element) -> str:
    start = burst.findtext("azimuthTime", "").partition(".")[0].replace("-", "").replace(":", "")
    number = int(burst.findtext("burstId") or 0)
    return f"S1_{number:06d}_{address['swath']}_{start}_{address['pol']}_{item.name[-4:]}-BURST"


def _document(archive: zipfile.ZipFile, scene: str) -> bytes:
    root = Element("burst")
    SubElement(root, "manifest").append(fromstring(archive.read(f"{scene}.SAFE/manifest.safe")))
    metadata = SubElement(root, "metadata")
    for kind, swath, pol, name in sorted(_members(archive)):
        one = SubElement(metadata, kind)
        SubElement(one, "swath").text, SubElement(one, "polarisation").text = swath, pol
        content = SubElement(one, "content")
        content.extend(fromstring(archive.read(name)))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _tiff(place: str, index: int, lines: int, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(place) as source:
            pixels = source.read(1, window=Window(0, index * lines, source.width, lines))
            with rasterio.open(
                path, "w", driver="GTiff", height=lines, width=source.width, count=1, dtype="complex_int16", blockysize=1
            ) as out:
                out.write(pixels, 1)
