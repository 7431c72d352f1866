"""A product as NASA's catalogue describes it: the unified metadata model for granules (UMM-G)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from satdaemon.simulator.archives.shelf import Item


def umm_of(items: Iterable[Item], base: str) -> list[dict[str, Any]]:
    """The `items` of a page of granules.umm_json; `base`: the address that serves their zips."""
    return [_granule(item, base) for item in items]


def _granule(item: Item, base: str) -> dict[str, Any]:
    unique = f"{item.name}-SLC"
    return {
        "meta": {
            "concept-type": "granule",
            "concept-id": f"G{zlib.crc32(item.name.encode())}-ASF",
            "revision-id": 1,
            "native-id": unique,
            "provider-id": "ASF",
            "format": "application/echo10+xml",
            "revision-date": _z(item.published_utc),
        },
        "umm": {
            "TemporalExtent": {"RangeDateTime": {"BeginningDateTime": _z(item.start_utc), "EndingDateTime": _z(item.stop_utc)}},
            "OrbitCalculatedSpatialDomains": [{"OrbitNumber": item.absolute_orbit}],
            "GranuleUR": unique,
            "AdditionalAttributes": [{"Name": name, "Values": [value]} for name, value in _attributes(item).items()],
            "SpatialExtent": {"HorizontalSpatialDomain": {"Geometry": {"GPolygons": [_boundary(item)]}}},
            "ProviderDates": [{"Date": _z(item.published_utc), "Type": kind} for kind in ("Insert", "Update")],
            "CollectionReference": {"ShortName": f"{_platform(item).upper()}_SLC", "Version": "1"},
            "RelatedUrls": [
                {"Type": "GET DATA", "URL": f"{base}/SLC/S{item.platform[2]}/{item.name}.zip", "Format": "Not provided"}
            ],
            "DataGranule": {
                "DayNightFlag": "Unspecified",
                "Identifiers": [{"Identifier": item.name, "IdentifierType": "ProducerGranuleId"}],
                # The archive puts the start of sensing here.
                "ProductionDateTime": _z(item.start_utc),
                "ArchiveAndDistributionInformation": [
                    {"Name": "Not provided", "Size": item.size / 2**20, "SizeUnit": "MB", "Format": "Not provided"}
                ],
            },
            "Platforms": [{"ShortName": _platform(item).upper(), "Instruments": [{"ShortName": "C-SAR"}]}],
        },
    }


def _attributes(item: Item) -> dict[str, str]:
    return {
        "ASCENDING_DESCENDING": {"A": "ASCENDING", "D": "DESCENDING"}[item.direction],
        "ASF_PLATFORM": _platform(item),
        "BEAM_MODE": "IW",
        "BEAM_MODE_TYPE": "IW",
        "BYTES": str(item.size),
        "CENTER_LAT": f"{sum(lat for _, lat in item.footprint) / len(item.footprint):.4f}",
        "CENTER_LON": f"{sum(lon for lon, _ in item.footprint) / len(item.footprint):.4f}",
        "GRANULE_TYPE": f"SENTINEL_{item.platform[1:]}_FRAME",
        "LOOK_DIRECTION": "R",
        "MD5SUM": item.md5,
        "PATH_NUMBER": str(item.track),
        "POLARIZATION": item.polarisation,
        # When the archive took it in; it does not tell when ESA processed it.
        "PROCESSING_DATE": f"{item.published_utc:%Y-%m-%dT%H:%M:%S.%f}",
        "PROCESSING_LEVEL": "L1",
        "PROCESSING_TYPE": "SLC",
    }


def _boundary(item: Item) -> dict[str, Any]:
    ring = [*item.footprint, item.footprint[0]]
    return {"Boundary": {"Points": [{"Longitude": lon, "Latitude": lat} for lon, lat in ring]}}


def _platform(item: Item) -> str:
    return item.platform.replace("S", "Sentinel-")


def _z(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
