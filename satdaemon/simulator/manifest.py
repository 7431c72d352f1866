"""manifest.safe of a product (SAFE, as ESA's IW SLC products have it)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from satdaemon.simulator.annotation import datatake
from satdaemon.simulator.layout import SwathProduct
from satdaemon.simulator.scenario import TRACK
from satdaemon.simulator.xmltree import stamp

_SPACES = (
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("gml", "http://www.opengis.net/gml"),
    ("xfdu", "urn:ccsds:schema:xfdu:1"),
    ("safe", "http://www.esa.int/safe/sentinel-1.0"),
    ("s1", "http://www.esa.int/safe/sentinel-1.0/sentinel-1"),
    ("s1sar", "http://www.esa.int/safe/sentinel-1.0/sentinel-1/sar"),
    ("s1sarl1", "http://www.esa.int/safe/sentinel-1.0/sentinel-1/sar/level-1"),
    ("s1sarl2", "http://www.esa.int/safe/sentinel-1.0/sentinel-1/sar/level-2"),
    ("gx", "http://www.google.com/kml/ext/2.2"),
)
NAMESPACES = " ".join(f'xmlns:{name}="{url}"' for name, url in _SPACES)
_SCHEMA = {"product": "s1Level1ProductSchema", "noise": "s1Level1NoiseSchema", "calibration": "s1Level1CalibrationSchema"}
_NSSDC = {"S1A": "2014-016A", "S1B": "2016-025A"}


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file of the product."""

    path: str
    """Relative to the product's directory."""
    content: bytes
    kind: str
    """product, noise, calibration, measurement, mapoverlay or quicklook."""

    @property
    def id(self) -> str:
        """Object id: kind and bare name for metadata, bare name for measurements."""
        if self.kind in ("mapoverlay", "quicklook"):
            return self.kind
        stem = self.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        bare = stem.removeprefix("noise-").removeprefix("calibration-").replace("-", "")
        return bare if self.kind == "measurement" else self.kind + bare


@dataclass(frozen=True, slots=True)
class Processing:
    """When and with what the product was made."""

    stop_utc: datetime
    ipf: str = "003.91"
    orbit_file: str = ""


def manifest(
    products: Sequence[SwathProduct], polarisations: Sequence[str], files: Sequence[PackedFile], processing: Processing
) -> bytes:
    """`products`: one a subswath; `files`: all others of the SAFE directory."""
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<xfdu:XFDU {NAMESPACES} version="esa/safe/sentinel-1.0/sentinel-1/sar/level-1/slc/standard/iwdp">',
        _package_map(files), "  <metadataSection>", _pointers(files), _processing(processing),
        _platform(products), _orbit(products[0]), _general(products[0], polarisations), _period(products),
        _frame(products), _syntax(), "  </metadataSection>", _objects(files), "</xfdu:XFDU>", "",
    ]  # fmt: skip
    return "\n".join(parts).encode()


def footprint(products: Sequence[SwathProduct]) -> list[tuple[float, float]]:
    """Corners (lon, lat): late near, late far, early far, early near, as ESA orders an ascending product."""
    near, far = products[0].grid.outline(), products[-1].grid.outline()
    return [near[3], far[2], far[1], near[0]]


def _package_map(files: Sequence[PackedFile]) -> str:
    units = []
    for file in files:
        if file.kind in _SCHEMA or file.kind == "mapoverlay":
            schema = _SCHEMA.get(file.kind, "s1Level1MapOverlaySchema")
            units.append(_unit(f'unitType="Metadata Unit" repID="{schema}"', file.id))
    for file in files:
        if file.kind == "measurement":
            about = "".join(f"{kind}{file.id}Annotation " for kind in _SCHEMA)
            units.append(_unit(f'unitType="Measurement Data Unit" repID="s1Level1MeasurementSchema" dmdID="{about}"', file.id))
        if file.kind == "quicklook":
            units.append(_unit('unitType="Measurement Data Unit" repID="s1Level1QuickLookSchema"', file.id))
    inside = "\n".join(units)
    return f"""  <informationPackageMap>
    <xfdu:contentUnit unitType="SAFE Archive Information Package" textInfo="Sentinel-1 IW Level-1 SLC Product" \
dmdID="acquisitionPeriod platform generalProductInformation measurementOrbitReference measurementFrameSet" \
pdiID="processing">
{inside}
    </xfdu:contentUnit>
  </informationPackageMap>"""


def _unit(attributes: str, identifier: str) -> str:
    return f"""      <xfdu:contentUnit {attributes}>
        <dataObjectPointer dataObjectID="{identifier}"/>
      </xfdu:contentUnit>"""


def _pointers(files: Sequence[PackedFile]) -> str:
    return "\n".join(
        f"""    <metadataObject ID="{file.id}Annotation" classification="DESCRIPTION" category="DMD">
      <dataObjectPointer dataObjectID="{file.id}"/>
    </metadataObject>"""
        for file in files
        if file.kind in _SCHEMA or file.kind == "mapoverlay"
    )


def _wrap(identifier: str, info: str, body: str, kind: str = "DESCRIPTION", category: str = "DMD") -> str:
    return f"""    <metadataObject ID="{identifier}" classification="{kind}" category="{category}">
      <metadataWrap mimeType="text/xml" vocabularyName="SAFE" textInfo="{info}">
        <xmlData>
{body}
        </xmlData>
      </metadataWrap>
    </metadataObject>"""


def _processing(processing: Processing) -> str:
    start, stop = stamp(processing.stop_utc - timedelta(minutes=5)), stamp(processing.stop_utc)
    facility = f"""<safe:facility country="None" name="Simulator" organisation="SatDaemon" site="Simulation">
              <safe:software name="Sentinel-1 IPF" version="{processing.ipf}"/>
            </safe:facility>"""
    inputs = [("AUX_PP1", "simulation"), ("AUX_RES", processing.orbit_file or "simulation"), ("Level-0 Product", "simulation")]
    resources = "\n".join(f'                <safe:resource name="{name}" role="{role}"/>' for role, name in inputs)
    body = f"""          <safe:processing name="SLC Post Processing" start="{start}" stop="{stop}">
            {facility}
            <safe:resource name="Level-1 Intermediate SLC Product" role="Level-1 Intermediate SLC Product">
              <safe:processing name="SLC Processing" start="{start}" stop="{stop}">
            {facility}
{resources}
              </safe:processing>
            </safe:resource>
          </safe:processing>"""
    return _wrap("processing", "Processing", body, "PROVENANCE", "PDI")


def _platform(products: Sequence[SwathProduct]) -> str:
    platform = products[0].acquisition.platform
    swaths = "\n".join(f"                  <s1sarl1:swath>{p.swath_name}</s1sarl1:swath>" for p in products)
    body = f"""          <safe:platform>
            <safe:nssdcIdentifier>{_NSSDC[platform]}</safe:nssdcIdentifier>
            <safe:familyName>SENTINEL-1</safe:familyName>
            <safe:number>{platform[-1]}</safe:number>
            <safe:instrument>
              <safe:familyName abbreviation="SAR">Synthetic Aperture Radar</safe:familyName>
              <safe:extension>
                <s1sarl1:instrumentMode>
                  <s1sarl1:mode>IW</s1sarl1:mode>
{swaths}
                </s1sarl1:instrumentMode>
              </safe:extension>
            </safe:instrument>
          </safe:platform>"""
    return _wrap("platform", "Platform Description", body)


def _orbit(product: SwathProduct) -> str:
    acquisition = product.acquisition
    first = 73 if acquisition.platform == "S1A" else 27
    cycle = (acquisition.absolute_orbit - first) // 175 + 14
    body = f"""          <safe:orbitReference>
            <safe:orbitNumber type="start">{acquisition.absolute_orbit}</safe:orbitNumber>
            <safe:orbitNumber type="stop">{acquisition.absolute_orbit}</safe:orbitNumber>
            <safe:relativeOrbitNumber type="start">{TRACK}</safe:relativeOrbitNumber>
            <safe:relativeOrbitNumber type="stop">{TRACK}</safe:relativeOrbitNumber>
            <safe:cycleNumber>{cycle}</safe:cycleNumber>
            <safe:phaseIdentifier>1</safe:phaseIdentifier>
            <safe:extension>
              <s1:orbitProperties>
                <s1:pass>ASCENDING</s1:pass>
                <s1:ascendingNodeTime>{stamp(acquisition.node_utc)}</s1:ascendingNodeTime>
              </s1:orbitProperties>
            </safe:extension>
          </safe:orbitReference>"""
    return _wrap("measurementOrbitReference", "Orbit Reference", body)


def _general(product: SwathProduct, polarisations: Sequence[str]) -> str:
    tag = "s1sarl1:transmitterReceiverPolarisation"
    listed = "\n".join(f"            <{tag}>{p.upper()}</{tag}>" for p in polarisations)
    body = f"""          <s1sarl1:standAloneProductInformation>
            <s1sarl1:instrumentConfigurationID>7</s1sarl1:instrumentConfigurationID>
            <s1sarl1:missionDataTakeID>{datatake(product)}</s1sarl1:missionDataTakeID>
{listed}
            <s1sarl1:productClass>S</s1sarl1:productClass>
            <s1sarl1:productClassDescription>SAR Standard L1 Product</s1sarl1:productClassDescription>
            <s1sarl1:productComposition>Slice</s1sarl1:productComposition>
            <s1sarl1:productType>SLC</s1sarl1:productType>
            <s1sarl1:productTimelinessCategory>Fast-24h</s1sarl1:productTimelinessCategory>
            <s1sarl1:sliceProductFlag>true</s1sarl1:sliceProductFlag>
            <s1sarl1:segmentStartTime>{stamp(product.utc(product.starts_s[0] - 10.0))}</s1sarl1:segmentStartTime>
            <s1sarl1:sliceNumber>{product.slice_number}</s1sarl1:sliceNumber>
            <s1sarl1:totalSlices>{product.slice_count}</s1sarl1:totalSlices>
          </s1sarl1:standAloneProductInformation>"""
    return _wrap("generalProductInformation", "General Product Information", body)


def _period(products: Sequence[SwathProduct]) -> str:
    first, last = min(p.first_utc for p in products), max(p.last_utc for p in products)
    node = products[0].acquisition.node_utc
    start_anx, stop_anx = ((t - node) / timedelta(milliseconds=1) for t in (first, last))
    body = f"""          <safe:acquisitionPeriod>
            <safe:startTime>{stamp(first)}</safe:startTime>
            <safe:stopTime>{stamp(last)}</safe:stopTime>
            <safe:extension>
              <s1:timeANX>
                <s1:startTimeANX>{start_anx:.6e}</s1:startTimeANX>
                <s1:stopTimeANX>{stop_anx:.6e}</s1:stopTimeANX>
              </s1:timeANX>
            </safe:extension>
          </safe:acquisitionPeriod>"""
    return _wrap("acquisitionPeriod", "Acquisition Period", body)


def _frame(products: Sequence[SwathProduct]) -> str:
    corners = " ".join(f"{lat:.6f},{lon:.6f}" for lon, lat in footprint(products))
    body = f"""          <safe:frameSet>
            <safe:frame>
              <safe:footPrint srsName="http://www.opengis.net/gml/srs/epsg.xml#4326">
                <gml:coordinates>{corners}</gml:coordinates>
              </safe:footPrint>
            </safe:frame>
          </safe:frameSet>"""
    return _wrap("measurementFrameSet", "Frame Set", body)


def _syntax() -> str:
    schemas = {
        "s1Level1ProductSchema": "product", "s1Level1NoiseSchema": "noise", "s1Level1CalibrationSchema": "calibration",
        "s1Level1MeasurementSchema": "measurement", "s1Level1QuickLookSchema": "quicklook",
    }  # fmt: skip
    rows = [(k, f"s1-level-1-{v}") for k, v in schemas.items()] + [("s1Level1MapOverlaySchema", "s1-map-overlay")]
    return "\n".join(
        f"""    <metadataObject ID="{identifier}" classification="SYNTAX" category="REP">
      <metadataReference mimeType="text/xml" vocabularyName="XML Schema" locatorType="URL" href="./support/{name}.xsd"/>
    </metadataObject>"""
        for identifier, name in rows
    )


def _objects(files: Sequence[PackedFile]) -> str:
    schema = {**_SCHEMA, "measurement": "s1Level1MeasurementSchema", "mapoverlay": "s1Level1MapOverlaySchema",
              "quicklook": "s1Level1QuickLookSchema"}  # fmt: skip
    objects = []
    for file in files:
        mime = "application/octet-stream" if file.kind in ("measurement", "quicklook") else "text/xml"
        digest = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
        objects.append(f"""    <dataObject ID="{file.id}" repID="{schema[file.kind]}">
      <byteStream mimeType="{mime}" size="{len(file.content)}">
        <fileLocation locatorType="URL" href="./{file.path}"/>
        <checksum checksumName="MD5">{digest}</checksum>
      </byteStream>
    </dataObject>""")
    return "  <dataObjectSection>\n" + "\n".join(objects) + "\n  </dataObjectSection>"
