"""Orbit files as the Copernicus Data Space catalogue lists them: products named NAME.EOF, without a footprint."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from satdaemon.simulator.archives.catalogue import id_of

NAME = re.compile(
    r"S1[A-D]_OPER_(?P<kind>AUX_(?:POEORB|RESORB))_\w{4}_(?P<made>\d{8}T\d{6})_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})\.EOF\Z"
)


def orbit_files(folder: Path | None) -> dict[str, Path]:
    """The catalogue's id -> file."""
    found = sorted(folder.rglob("S1*.EOF")) if folder is not None else []
    return {id_of(path.name): path for path in found if NAME.match(path.name)}


def orbit_record(path: Path) -> dict[str, Any]:
    """A file as an entry of the catalogue."""
    match = NAME.match(path.name)
    assert match is not None  # of `orbit_files`
    made, start, stop = (datetime.strptime(match[k], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for k in ("made", "start", "stop"))
    kind = {"@odata.type": "#OData.CSC.StringAttribute", "Name": "productType", "Value": match["kind"], "ValueType": "String"}
    return {
        "@odata.mediaContentType": "application/octet-stream",
        "Id": id_of(path.name),
        "Name": path.name,
        "ContentType": "application/octet-stream",
        "ContentLength": path.stat().st_size,
        "PublicationDate": _z(made),
        "ModificationDate": _z(made),
        "Online": True,
        "Checksum": [{}],
        "ContentDate": {"Start": _z(start), "End": _z(stop)},
        "Footprint": None,
        "GeoFootprint": None,
        "Attributes": [kind],
        "Collection": {"Name": "SENTINEL-1"},
        "footprint": (),
    }


def _z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
