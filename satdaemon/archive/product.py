"""What a Sentinel-1 SLC zip is, from its name and, where it can be read, its manifest."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from satdaemon.domain import REPEAT_ORBITS, Scene
from satdaemon.errors import CorruptProduct

PRODUCT_NAME = re.compile(
    r"(?P<platform>S1[A-D])_IW_SLC__1S[A-Z]{2}_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})"
    r"_(?P<orbit>\d{6})_[0-9A-F]{6}_[0-9A-F]{4}"
)
MANIFEST = re.compile(rf"^(?:[^/]+/)?(?P<name>{PRODUCT_NAME.pattern})\.SAFE/manifest\.safe$")
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, OverflowError)
"""What zipfile raises for damaged, encrypted or exotic archives."""


@dataclass(frozen=True, slots=True)
class QuickLook:
    """A scene and, where the manifest could be read, its footprint; else what is wrong."""

    scene: Scene
    footprint: tuple[tuple[float, float], ...]
    """(lon, lat) degrees."""
    problem: str


def track_of(platform: str, absolute_orbit: int) -> int:
    """Relative orbit, 1..175. S1C was moved after its orbit 8018."""
    offset = {"S1A": 73, "S1B": 27, "S1C": 172 if absolute_orbit <= 8018 else 99, "S1D": 42}[platform]
    return (absolute_orbit - offset) % REPEAT_ORBITS + 1


def scene_of_name(path: Path) -> Scene | None:
    """The scene that a zip's name promises, without direction; None where the name is no SLC product's."""
    match = PRODUCT_NAME.fullmatch(path.name.removesuffix(".zip").removesuffix(".SAFE"))
    if match is None:
        return None
    try:
        start, stop = (datetime.strptime(match[k], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for k in ("start", "stop"))
    except ValueError:
        return None
    orbit = int(match["orbit"])
    track = track_of(match["platform"], orbit)
    return Scene(match[0], start.date(), start, stop, match["platform"], orbit, track, "", None, path.absolute().as_uri())


def quick_look(path: Path) -> QuickLook | None:
    """Name and manifest of a zip, nothing else read; None where it is no SLC product by name.

    A zip that cannot be read is still a scene, with the problem said: whoever wants its date must be told.
    OSError (a file that went away, a disk error) passes through.
    """
    scene = scene_of_name(path)
    if scene is None:
        return None
    size = path.stat().st_size
    scene = replace(scene, size=size, checksum=_sidecar(path))
    try:
        with zipfile.ZipFile(path) as archive:
            root = fromstring(archive.read(manifest_name(archive, scene.id)))
        scene, footprint = _with_manifest(scene, root)
    except (*ZIP_ERRORS, LookupError, ParseError, DefusedXmlException, CorruptProduct) as error:
        return QuickLook(scene, (), f"{path}: {error}")
    return QuickLook(scene, footprint, "")


def manifest_name(archive: zipfile.ZipFile, scene_id: str) -> str:
    """The member that is the manifest of this product.

    Raises CorruptProduct where there is none, or another product's.
    """
    found = {match["name"]: name for name in archive.namelist() if (match := MANIFEST.match(name))}
    if scene_id in found:
        return found[scene_id]
    what = f"that of {', '.join(sorted(found))}" if found else "no manifest"
    raise CorruptProduct(f"expected {scene_id}.SAFE/manifest.safe in the zip, got {what}")


def _with_manifest(scene: Scene, root: Element) -> tuple[Scene, tuple[tuple[float, float], ...]]:
    direction = {"ASCENDING": "A", "DESCENDING": "D"}[_text(root, ".//{*}pass").upper()]
    processing = root.find(".//{*}metadataObject[@ID='processing']//{*}processing")
    moment = "" if processing is None else processing.get("stop") or processing.get("start") or ""
    track = root.findtext(".//{*}relativeOrbitNumber[@type='start']")
    corners = [corner.split(",") for corner in _text(root, ".//{*}footPrint/{*}coordinates").split()]
    known = replace(
        scene,
        orbit_direction=direction,
        start_utc=_time(_text(root, ".//{*}acquisitionPeriod/{*}startTime")),
        stop_utc=_time(_text(root, ".//{*}acquisitionPeriod/{*}stopTime")),
        proc_utc=_time(moment) if moment else None,
        track=int(track) if track else scene.track,
    )
    return known, tuple((float(lon), float(lat)) for lat, lon in corners)


def _text(root: Element, path: str) -> str:
    text = (root.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"expected {path.rpartition('}')[2]} in the manifest, found none")
    return text


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _sidecar(path: Path) -> str | None:
    """A checksum that stands beside the zip, as `NAME.zip.md5` or `NAME.zip.sha256`, in md5sum's format."""
    for algorithm, length in (("sha256", 64), ("md5", 32)):
        beside = path.with_name(f"{path.name}.{algorithm}")
        if beside.is_file() and (match := re.match(rf"[0-9a-fA-F]{{{length}}}\b", beside.read_text("ascii", "replace"))):
            return f"{algorithm}:{match[0].lower()}"
    return None
