"""Small zips with the name, manifest and members of a Sentinel-1 SLC product."""

from __future__ import annotations

import random
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2023, 1, 8, 13, 52, 49, tzinfo=UTC)
SQUARE = ((10.0, 50.0), (13.0, 50.0), (13.0, 52.0), (10.0, 52.0))
STAMP = "%Y%m%dT%H%M%S"


def product_name(start: datetime = START, *, platform: str = "S1A", orbit: int = 46693, crc: str = "BA76") -> str:
    """Orbit 46693 of S1A is on track 71."""
    stop = start + timedelta(seconds=27)
    return f"{platform}_IW_SLC__1SDV_{start:{STAMP}}_{stop:{STAMP}}_{orbit:06d}_0598D3_{crc}"


def manifest(start: datetime, *, direction: str = "DESCENDING", footprint=SQUARE, track: int | None = None) -> str:
    corners = " ".join(f"{lat},{lon}" for lon, lat in footprint)
    relative = "" if track is None else f'<relativeOrbitNumber type="start">{track}</relativeOrbitNumber>'
    return f"""<?xml version="1.0"?><XFDU xmlns="urn:x"><metadataSection>
<metadataObject ID="processing"><processing start="2023-01-08T15:42:40.5" stop="2023-01-08T15:52:25.0"/></metadataObject>
<acquisitionPeriod><startTime>{start:%Y-%m-%dT%H:%M:%S}.250000</startTime>
<stopTime>{start + timedelta(seconds=27):%Y-%m-%dT%H:%M:%S}.750000</stopTime></acquisitionPeriod>
<orbitReference>{relative}</orbitReference><pass>{direction}</pass>
<frameSet><footPrint><coordinates>{corners}</coordinates></footPrint></frameSet></metadataSection></XFDU>"""


def make_zip(folder: Path, start: datetime = START, *, size: int = 40_000, name: str = "", **more) -> Path:
    """A product zip in `folder`; `more` goes to `product_name` and `manifest`."""
    of_name = {k: more.pop(k) for k in ("platform", "orbit", "crc") if k in more}
    name = name or product_name(start, **of_name)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.zip"
    pixels = random.Random(name).randbytes(size)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.SAFE/manifest.safe", manifest(start, **more))
        archive.writestr(f"{name}.SAFE/annotation/s1a-iw1-slc-vv.xml", "<product/>" * 500)
        archive.writestr(f"{name}.SAFE/measurement/s1a-iw1-slc-vv.tiff", pixels)
    return path


def damage(path: Path, place: int = 20_000) -> None:
    """Turn over a byte in the middle of the measurement."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
