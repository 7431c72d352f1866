"""What a Sentinel-1 IW SLC product is and which bursts it holds, from its manifest and annotation alone.

Reads a zip or a .SAFE directory in place; measurement files are not opened. One annotation a swath is
parsed, so that tens of thousands of products can be ingested quickly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from satdaemon.domain import Burst, Scene
from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.annotation import SafeBurst, iso_utc, read_bursts, text_of
from satdaemon.insar.bursts import track_of_orbit
from satdaemon.insar.container import MANIFEST, Container, open_container
from satdaemon.insar.swath import Vector, state_vectors

PRODUCT_NAME = re.compile(
    r"^(?P<platform>S1[A-D])_IW_SLC__1(?P<class>[SA])(?P<pol>SH|SV|DH|DV|HH|HV|VV|VH)_"
    r"(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_(?P<orbit>\d{6})_(?P<datatake>[0-9A-F]{6})_[0-9A-F]{4}$"
)
ANNOTATION_NAME = re.compile(r"^annotation/s1[a-d]-(?P<swath>iw[123])-slc-(?P<pol>vv|vh|hh|hv)-[^/]*\.xml$")
POLARISATION_ORDER = ("vv", "hh", "vh", "hv")


@dataclass(frozen=True, slots=True)
class SafeProduct:
    """A product as its manifest and annotation describe it."""

    id: str
    """Product name without `.SAFE`."""
    path: Path
    platform: str
    """S1A, S1B, S1C or S1D."""
    start_utc: datetime
    stop_utc: datetime
    absolute_orbit: int
    track: int
    """Relative orbit at the start, from the manifest where it says so."""
    stop_track: int
    """Differs from `track` where the slice crosses the equator northwards."""
    orbit_direction: str
    """A or D."""
    proc_utc: datetime
    """When ESA processed it (manifest)."""
    processor_version: str
    polarisations: tuple[str, ...]
    """Lower case, of the annotation present: vv, vh ..."""
    footprint: tuple[tuple[float, float], ...]
    """(lon, lat) degrees, as in the manifest, not closed."""
    bursts: tuple[SafeBurst, ...]
    """By swath, then in time."""
    missing_files: tuple[str, ...]
    """Annotation and measurement files that the manifest lists and the product lacks."""
    state_vectors: tuple[Vector, ...] = ()
    """The orbit around the scene as the first swath's annotation gives it."""

    @property
    def acquisition(self) -> str:
        """The part of the name that names the acquisition: equal for reprocessed copies."""
        return self.id[:62]

    def to_scene(self, url: str = "") -> Scene:
        """The product as a scene of the archive."""
        return Scene(
            self.id,
            self.start_utc.date(),
            self.start_utc,
            self.stop_utc,
            self.platform,
            self.absolute_orbit,
            self.track,
            self.orbit_direction,
            self.proc_utc,
            url or self.path.absolute().as_uri(),
            path=self.path,
        )

    def domain_bursts(self) -> tuple[Burst, ...]:
        """The bursts as the rest of the system knows them."""
        return tuple(b.to_domain() for b in self.bursts)


@dataclass(frozen=True, slots=True)
class _Manifest:
    start_utc: datetime
    stop_utc: datetime
    absolute_orbit: int
    tracks: tuple[int, int]
    orbit_direction: str
    proc_utc: datetime
    processor_version: str
    footprint: tuple[tuple[float, float], ...]
    files: tuple[str, ...]


def read_product(path: Path) -> SafeProduct:
    """Read what a product zip or .SAFE directory is and holds.

    Raises
    ------
    DataError
        Nothing there, or a sound product that is not an IW SLC.
    CorruptProduct
        Truncated, unsafe or contradicting itself.
    """
    with open_container(path) as container:
        return read_container(container)


def read_container(container: Container) -> SafeProduct:
    """`read_product` of a container that is already open."""
    name = container.root.removesuffix(".SAFE")
    match = PRODUCT_NAME.match(name)
    if match is None:
        raise DataError(f"{container.path}: expected an IW SLC product (S1A_IW_SLC__1SDV_...), got {name!r}")
    manifest = _read_manifest(container, parse_xml(container, MANIFEST), match["platform"])
    _check_name(container, name, match, manifest)
    present = container.names()
    annotations = annotation_names(present)
    if not annotations:
        raise CorruptProduct(f"{container.path}: has no annotation/s1?-iw?-slc-*.xml")
    bursts: list[SafeBurst] = []
    vectors: tuple[Vector, ...] = ()
    for swath in sorted({s for s, _ in annotations}):
        pol = next(p for p in POLARISATION_ORDER if (swath, p) in annotations)
        root = parse_xml(container, annotations[swath, pol])
        bursts += _bursts(container, annotations[swath, pol], root, manifest)
        vectors = vectors or _vectors(container, annotations[swath, pol], root)
    if not bursts:
        raise CorruptProduct(f"{container.path}: its annotation lists no burst")
    wanted = [f for f in manifest.files if f.startswith("measurement/") or ANNOTATION_NAME.match(f)]
    return SafeProduct(
        id=name,
        path=container.path,
        platform=match["platform"],
        start_utc=manifest.start_utc,
        stop_utc=manifest.stop_utc,
        absolute_orbit=manifest.absolute_orbit,
        track=manifest.tracks[0],
        stop_track=manifest.tracks[1],
        orbit_direction=manifest.orbit_direction,
        proc_utc=manifest.proc_utc,
        processor_version=manifest.processor_version,
        polarisations=tuple(p for p in POLARISATION_ORDER if any(q == p for _, q in annotations)),
        footprint=manifest.footprint,
        bursts=tuple(bursts),
        missing_files=tuple(sorted(set(wanted) - set(present))),
        state_vectors=vectors,
    )


def annotation_names(names: Sequence[str]) -> dict[tuple[str, str], str]:
    """Annotation file of each (swath `IW1`, polarisation `vv`)."""
    found = {}
    for name in names:
        if (match := ANNOTATION_NAME.match(name)) is not None:
            found[match["swath"].upper(), match["pol"]] = name
    return found


def parse_xml(container: Container, name: str) -> Element:
    """Root element of an XML member; CorruptProduct where it is not well-formed or plays entity tricks."""
    try:
        root: Element = fromstring(container.read(name))
    except (ParseError, DefusedXmlException) as error:
        raise CorruptProduct(f"{container.path}: {name} is not acceptable XML: {error}") from error
    return root


def inspect(path: Path) -> dict[str, Any]:
    """`read_product` as a value that json can write: product, orbit, bursts."""
    product = read_product(path)
    return {
        "product": {
            "id": product.id,
            "path": str(product.path),
            "platform": product.platform,
            "start_utc": product.start_utc.isoformat(),
            "stop_utc": product.stop_utc.isoformat(),
            "processed_utc": product.proc_utc.isoformat(),
            "processor_version": product.processor_version,
            "polarisations": list(product.polarisations),
            "footprint": [list(p) for p in product.footprint],
            "missing_files": list(product.missing_files),
        },
        "orbit": {
            "absolute": product.absolute_orbit,
            "track": product.track,
            "stop_track": product.stop_track,
            "direction": product.orbit_direction,
        },
        "bursts": [
            {
                **asdict(b),
                "azimuth_time_utc": b.azimuth_time_utc.isoformat(),
                "sensing_time_utc": b.sensing_time_utc.isoformat(),
                "footprint": [list(p) for p in b.footprint],
            }
            for b in product.bursts
        ],
    }


def _bursts(container: Container, name: str, root: Element, manifest: _Manifest) -> list[SafeBurst]:
    kind = (root.findtext("adsHeader/mode"), root.findtext("adsHeader/productType"))
    if kind != ("IW", "SLC"):
        raise DataError(f"{container.path}: {name}: expected mode IW and product type SLC, got {kind}")
    try:
        return read_bursts(root, manifest.tracks, manifest.orbit_direction)
    except (ValueError, KeyError, IndexError) as error:
        raise CorruptProduct(f"{container.path}: {name}: {error}") from error


def _vectors(container: Container, name: str, root: Element) -> tuple[Vector, ...]:
    try:
        return state_vectors(root)
    except ValueError as error:
        raise CorruptProduct(f"{container.path}: {name}: orbitList: {error}") from error


def _read_manifest(container: Container, root: Element, platform: str) -> _Manifest:
    try:
        orbit = int(text_of(root, ".//{*}orbitNumber[@type='start']"))
        tracks = tuple(
            int(found)
            if (found := root.findtext(f".//{{*}}relativeOrbitNumber[@type='{end}']"))
            else track_of_orbit(platform, int(text_of(root, f".//{{*}}orbitNumber[@type='{end}']")))
            for end in ("start", "stop")
        )
        processing = root.find(".//{*}metadataObject[@ID='processing']//{*}processing")
        if processing is None:
            raise ValueError("expected an element processing, found none")
        software = processing.find("{*}facility/{*}software")
        corners = [c.split(",") for c in text_of(root, ".//{*}footPrint/{*}coordinates").split()]
        return _Manifest(
            start_utc=iso_utc(text_of(root, ".//{*}acquisitionPeriod/{*}startTime")),
            stop_utc=iso_utc(text_of(root, ".//{*}acquisitionPeriod/{*}stopTime")),
            absolute_orbit=orbit,
            tracks=(tracks[0], tracks[1]),
            orbit_direction={"ASCENDING": "A", "DESCENDING": "D"}[text_of(root, ".//{*}pass").upper()],
            proc_utc=iso_utc(processing.get("stop") or processing.get("start") or ""),
            processor_version="" if software is None else software.get("version", ""),
            footprint=tuple((float(lon), float(lat)) for lat, lon in corners),
            files=tuple(e.get("href", "").removeprefix("./") for e in root.iterfind(".//{*}fileLocation")),
        )
    except (ValueError, KeyError) as error:
        raise CorruptProduct(f"{container.path}: {MANIFEST}: {error}") from error


def _check_name(container: Container, name: str, match: re.Match[str], manifest: _Manifest) -> None:
    stem = container.path.name.removesuffix(".zip").removesuffix(".SAFE")
    if PRODUCT_NAME.match(stem) and stem != name:
        raise CorruptProduct(f"{container.path}: holds {name}, not the product of its name; download it again")
    start = datetime.strptime(match["start"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    slack = timedelta(seconds=2)
    if not manifest.start_utc - slack <= start <= manifest.stop_utc + slack:
        raise CorruptProduct(
            f"{container.path}: named {start.isoformat()}, but the manifest says "
            f"{manifest.start_utc.isoformat()} to {manifest.stop_utc.isoformat()}"
        )
    if int(match["orbit"]) not in (manifest.absolute_orbit, manifest.absolute_orbit + 1):
        raise CorruptProduct(f"{container.path}: named orbit {match['orbit']}, but the manifest says {manifest.absolute_orbit}")
