"""Products as the Copernicus Data Space catalogue describes them, and one page of its answer."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from satdaemon.simulator.archives.messages import Answer, Call, as_json
from satdaemon.simulator.archives.odata import filter_of
from satdaemon.simulator.archives.shelf import Item

PATH = "/odata/v1/Products"
MOST_TOP = 1000
MOST_SKIP = 10000
ORDERS = ("ContentDate/Start", "ContentDate/End", "PublicationDate", "ModificationDate")
NEVER = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)


def id_of(name: str) -> str:
    """The catalogue's own id of a product."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"satdaemon stand-in {name}"))


def page_answer(
    call: Call, items: Iterable[Item], base: str, repeat_last: bool = False, others: Iterable[dict[str, Any]] = ()
) -> Answer:
    """One page. `repeat_last`: each page but the first begins with the last product of the one before.

    `others`: records of products that are no scenes.
    """
    asked = dict(call.query)
    try:
        unknown = set(asked) - {"$filter", "$orderby", "$top", "$skip", "$count", "$expand"}
        if unknown:
            raise ValueError(f"Invalid field: {', '.join(sorted(unknown))}")
        wanted = filter_of(asked.get("$filter", "Name ne ''"))
        top, skip = int(asked.get("$top", "20")), int(asked.get("$skip", "0"))
        if not (0 < top <= MOST_TOP and 0 <= skip <= MOST_SKIP):
            raise ValueError(f"$top: 1 to {MOST_TOP}, $skip: 0 to {MOST_SKIP}")
        field, _, way = asked.get("$orderby", "ContentDate/Start asc").partition(" ")
        if field not in ORDERS or way not in ("", "asc", "desc"):
            raise ValueError(f"Invalid $orderby: {field} {way}")
    except (ValueError, KeyError) as error:
        return as_json({"detail": {"message": str(error), "request_id": "0"}}, 400)
    records = [record for record in (*map(_record, items), *others) if wanted(record)]
    records.sort(key=lambda record: (_field(record, field), record["Name"]), reverse=way == "desc")
    first = max(skip - 1, 0) if repeat_last else skip
    shown = [_public(record, "$expand" in asked) for record in records[first : skip + top]]
    value: dict[str, Any] = {"@odata.context": "$metadata#Products(Attributes())", "value": shown}
    if asked.get("$count", "").lower() == "true":
        value["@odata.count"] = len(records)
    if skip + top < len(records):
        value["@odata.nextLink"] = f"{base}{PATH}?{urlencode({**asked, '$skip': str(skip + top)})}"
    return as_json(value)


def _record(item: Item) -> dict[str, Any]:
    return {
        "@odata.mediaContentType": "application/octet-stream",
        "Id": id_of(item.name),
        "Name": f"{item.name}.SAFE",
        "ContentType": "application/octet-stream",
        "ContentLength": item.size,
        "OriginDate": _z(item.proc_utc or item.stop_utc),
        "PublicationDate": _z(item.published_utc),
        "ModificationDate": _z(item.published_utc),
        "Online": True,
        "EvictionDate": _z(NEVER),
        "S3Path": f"/eodata/Sentinel-1/SAR/IW_SLC__1S/{item.start_utc:%Y/%m/%d}/{item.name}.SAFE",
        "Checksum": [
            {"Value": item.md5, "Algorithm": "MD5", "ChecksumDate": _z(item.published_utc)},
            {
                "Value": hashlib.sha256(item.md5.encode()).hexdigest(),
                "Algorithm": "BLAKE3",
                "ChecksumDate": _z(item.published_utc),
            },
        ],
        "ContentDate": {"Start": _z(item.start_utc), "End": _z(item.stop_utc)},
        "Footprint": f"geography'SRID=4326;POLYGON (({_ring(item)}))'",
        "GeoFootprint": {"type": "Polygon", "coordinates": [[list(corner) for corner in (*item.footprint, item.footprint[0])]]},
        "Attributes": [_attribute(name, value) for name, value in _attributes(item).items()],
        "Collection": {"Name": "SENTINEL-1"},
        "footprint": item.footprint,
    }


def _attributes(item: Item) -> dict[str, str | int | datetime]:
    found: dict[str, str | int | datetime] = {
        "origin": "ESA",
        "productType": "IW_SLC__1S",
        "orbitNumber": item.absolute_orbit,
        "relativeOrbitNumber": item.track,
        "orbitDirection": {"A": "ASCENDING", "D": "DESCENDING"}[item.direction],
        "operationalMode": "IW",
        "processingLevel": "LEVEL1",
        "platformShortName": "SENTINEL-1",
        "platformSerialIdentifier": item.platform[2],
        "instrumentShortName": "SAR",
        "polarisationChannels": item.polarisation.replace("+", "&"),
        "beginningDateTime": item.start_utc,
        "endingDateTime": item.stop_utc,
    }
    return found if item.proc_utc is None else {**found, "processingDate": item.proc_utc}


def _attribute(name: str, value: str | int | datetime) -> dict[str, Any]:
    kind = "Integer" if isinstance(value, int) else "DateTimeOffset" if isinstance(value, datetime) else "String"
    shown = _z(value) if isinstance(value, datetime) else value
    return {"@odata.type": f"#OData.CSC.{kind}Attribute", "Name": name, "Value": shown, "ValueType": kind}


def _public(record: dict[str, Any], expanded: bool) -> dict[str, Any]:
    hidden = ("Collection", "footprint") if expanded else ("Collection", "footprint", "Attributes")
    return {name: value for name, value in record.items() if name not in hidden}


def _field(record: dict[str, Any], field: str) -> str:
    first, _, second = field.partition("/")
    return str(record[first][second] if second else record[first])


def _ring(item: Item) -> str:
    return ", ".join(f"{lon:g} {lat:g}" for lon, lat in (*item.footprint, item.footprint[0]))


def _z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
