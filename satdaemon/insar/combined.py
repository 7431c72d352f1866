"""The annotation of a whole scene in one document, as the burst extractor of NASA's archive gives it, read as a product.

Below its root stand `manifest` (with the manifest) and `metadata` (with a `product`, `noise`, `calibration` or `rfi` for each
swath and polarisation: `swath`, `polarisation`, and in `content` what stands below the root of that file of the product).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring, iterparse

from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.container import MANIFEST, MAX_TEXT_BYTES
from satdaemon.insar.safe import annotation_names

_WHAT = "expected the annotation of a scene in one document"


class CombinedMetadata:
    """The text members of a product that such a document holds: the manifest, and every annotation file that it names."""

    def __init__(self, path: Path, scene_id: str, members: Mapping[str, bytes]) -> None:
        self.path, self.root, self._members = path, f"{scene_id}.SAFE", members

    def names(self) -> tuple[str, ...]:
        """Every file that is there."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """A member, whole; CorruptProduct where it is missing."""
        try:
            return self._members[name]
        except KeyError:
            raise CorruptProduct(f"{self.path}: has no {name}") from None

    def size(self, name: str) -> int:
        """Bytes of a member."""
        return len(self.read(name))

    def gdal_path(self, name: str) -> str:
        """Raises DataError: there are no rasters in it."""
        raise DataError(f"{self.path}: expected a raster {name}, got a document of annotation")


def read_combined(path: Path, scene_id: str) -> CombinedMetadata:
    """Read the document of a scene; what is not wanted of it is not kept in memory.

    Raises CorruptProduct where it is none, or unreasonably large.
    """
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise CorruptProduct(f"{path}: {_WHAT}, got {size} bytes; allowed are {MAX_TEXT_BYTES}")
    manifest: bytes | None = None
    content: dict[tuple[str, str], bytes] = {}
    try:
        for place, element in _parts(path):
            if place == "manifest":
                manifest = tostring(element, encoding="utf-8", xml_declaration=True)
            elif element.tag == "product":
                key = (element.findtext("swath") or "").strip().upper(), (element.findtext("polarisation") or "").strip().lower()
                content[key] = _as_product(element)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise CorruptProduct(f"{path}: {_WHAT}, got: {error}") from error
    if manifest is None or not content:
        raise CorruptProduct(f"{path}: {_WHAT}, got one without {'manifest' if manifest is None else 'product annotation'}")
    return CombinedMetadata(path, scene_id, {MANIFEST: manifest, **_named(path, manifest, content)})


def _parts(path: Path) -> Iterator[tuple[str, Element]]:
    """(`manifest` or `metadata`, each element right below it), one after the other."""
    above: list[Element] = []
    for event, element in iterparse(path, events=("start", "end")):
        if event == "start":
            above.append(element)
            continue
        above.pop()
        if len(above) == 2:
            yield above[1].tag, element
            above[1].remove(element)


def _as_product(element: Element) -> bytes:
    content = element.find("content")
    if content is None:
        raise ValueError("a product without content")
    content.tag, content.tail = "product", None
    return bytes(tostring(content, encoding="utf-8", xml_declaration=True))


def _named(path: Path, manifest: bytes, content: Mapping[tuple[str, str], bytes]) -> dict[str, bytes]:
    """The annotation under the names that the manifest has for it."""
    listed = [e.get("href", "").removeprefix("./") for e in fromstring(manifest).iterfind(".//{*}fileLocation")]
    names = annotation_names(listed)
    lacking = [f"{swath} {polarisation}" for swath, polarisation in content if (swath, polarisation) not in names]
    if lacking:
        raise CorruptProduct(f"{path}: expected its manifest to name the annotation of {', '.join(lacking)}, got other files")
    return {names[key]: text for key, text in content.items()}
