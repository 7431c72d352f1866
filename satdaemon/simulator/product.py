"""One Sentinel-1 IW SLC product: a zip with a SAFE directory."""

from __future__ import annotations

import binascii
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from satdaemon.errors import ProcessingError
from satdaemon.simulator.annotation import Measurement, datatake, product_annotation
from satdaemon.simulator.calibration import calibration_annotation, noise_annotation
from satdaemon.simulator.layout import SwathProduct
from satdaemon.simulator.manifest import NAMESPACES, PackedFile, Processing, footprint, manifest
from satdaemon.simulator.measurement import measurement_tiff

Bursts = Mapping[tuple[str, int], npt.NDArray[np.int16]]
"""Samples (polarisations, lines, samples, 2) of each (subswath, place)."""
_MEMBER_TIME = (2021, 1, 1, 0, 0, 0)


def write_product(
    folder: Path,
    products: Sequence[SwathProduct],
    polarisations: Sequence[str],
    bursts: Bursts,
    processing: Processing,
    compression: int,
) -> Path:
    """Write the zip of one product (one SwathProduct a subswath) into `folder`."""
    files: list[PackedFile] = []
    for index, polarisation in enumerate(polarisations):
        for product in products:
            number = (len(polarisations) - 1 - index) * 3 + int(product.swath_name[2])
            files += _swath_files(product, polarisation, index, number, bursts)
    files += [_overlay(products), _quicklook(products, bursts)]
    order = {"product": 0, "noise": 0, "calibration": 0, "mapoverlay": 1, "measurement": 2, "quicklook": 3}
    files.sort(key=lambda f: (order[f.kind], f.path))
    content = manifest(products, polarisations, files, processing)
    name = product_name(products, polarisations, content)
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        _add(archive, f"{name}.SAFE/", b"", 0)
        _add(archive, f"{name}.SAFE/manifest.safe", content, compression)
        for file in files:
            _add(archive, f"{name}.SAFE/{file.path}", file.content, compression)
    return path


def product_name(products: Sequence[SwathProduct], polarisations: Sequence[str], manifest_bytes: bytes) -> str:
    """ESA's product name; the last field is the CRC-16 of the manifest."""
    first, last = min(p.first_utc for p in products), max(p.last_utc for p in products)
    acquisition = products[0].acquisition
    polar = "DV" if len(polarisations) == 2 else "SV"
    crc = binascii.crc_hqx(manifest_bytes, 0xFFFF)
    return (
        f"{acquisition.platform}_IW_SLC__1S{polar}_{first:%Y%m%dT%H%M%S}_{last:%Y%m%dT%H%M%S}"
        f"_{acquisition.absolute_orbit:06d}_{datatake(products[0]):06X}_{crc:04X}"
    )


def corrupt(path: Path) -> str:
    """Spoil the middle of the largest member's compressed data: directory and headers stay right. Returns its name."""
    with zipfile.ZipFile(path) as archive:
        member = max(archive.infolist(), key=lambda m: m.compress_size)
    with path.open("r+b") as file:
        file.seek(member.header_offset + 26)
        lengths = file.read(4)
        data = member.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        file.seek(data + member.compress_size // 2)
        spoilt = bytes(b ^ 0x5A for b in file.read(64))
        file.seek(data + member.compress_size // 2)
        file.write(spoilt)
    return member.filename


def _swath_files(product: SwathProduct, polarisation: str, index: int, number: int, bursts: Bursts) -> list[PackedFile]:
    samples = np.concatenate([bursts[product.swath_name, k][index] for k in product.bursts])
    if samples.shape[0] != product.lines:
        raise ProcessingError(f"{product.swath_name}: expected {product.lines} lines, got {samples.shape[0]}")
    tiff, offsets = measurement_tiff(product, samples)
    parts = samples.reshape(-1, 2).astype(np.float32)
    mean, std = parts.mean(axis=0), parts.std(axis=0)
    about = Measurement(polarisation, number, offsets, complex(float(mean[0]), float(mean[1])), (float(std[0]), float(std[1])))
    acquisition = product.acquisition
    stem = (
        f"{acquisition.platform}-{product.swath_name}-slc-{polarisation}-{product.first_utc:%Y%m%dT%H%M%S}-"
        f"{product.last_utc:%Y%m%dT%H%M%S}-{acquisition.absolute_orbit:06d}-{datatake(product):06x}-{number:03d}"
    ).lower()
    calibration = "annotation/calibration"
    return [
        PackedFile(f"annotation/{stem}.xml", product_annotation(product, about), "product"),
        PackedFile(f"{calibration}/calibration-{stem}.xml", calibration_annotation(product, about), "calibration"),
        PackedFile(f"{calibration}/noise-{stem}.xml", noise_annotation(product, about), "noise"),
        PackedFile(f"measurement/{stem}.tiff", tiff, "measurement"),
    ]


def _overlay(products: Sequence[SwathProduct]) -> PackedFile:
    corners = " ".join(f"{lon:.6f},{lat:.6f}" for lon, lat in footprint(products))
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<kml {NAMESPACES}>
  <Document>
    <name>Sentinel-1 Map Overlay</name>
    <Folder>
      <name>Sentinel-1 Scene Overlay</name>
      <GroundOverlay>
        <name>Sentinel-1 Image Overlay</name>
        <Icon>
          <href>quick-look.png</href>
        </Icon>
        <gx:LatLonQuad>
          <coordinates>{corners}</coordinates>
        </gx:LatLonQuad>
      </GroundOverlay>
    </Folder>
  </Document>
</kml>
"""
    return PackedFile("preview/map-overlay.kml", text.encode(), "mapoverlay")


def _quicklook(products: Sequence[SwathProduct], bursts: Bursts) -> PackedFile:
    """Amplitude of the first polarisation, averaged over 20 lines and 4 samples, subswaths side by side."""
    strips = []
    for product in products:
        samples = np.concatenate([bursts[product.swath_name, k][0] for k in product.bursts]).astype(np.float32)
        power = (samples**2).sum(axis=-1)
        rows, cols = power.shape[0] // 20, power.shape[1] // 4
        strips.append(np.sqrt(power[: rows * 20, : cols * 4].reshape(rows, 20, cols, 4).mean(axis=(1, 3))))
    rows = min(s.shape[0] for s in strips)
    grey = np.clip(np.concatenate([s[:rows] for s in strips], axis=1)[::-1], 0, 255).astype(np.uint8)
    return PackedFile("preview/quick-look.png", _png(grey), "quicklook")


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """Grey-scale PNG (RFC 2083)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    rows = np.pad(grey, ((0, 0), (1, 0))).tobytes()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _add(archive: zipfile.ZipFile, name: str, content: bytes, compression: int) -> None:
    info = zipfile.ZipInfo(name, _MEMBER_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED if compression and content else zipfile.ZIP_STORED
    info.external_attr = (0o40755 << 16) | 0x10 if name.endswith("/") else 0o644 << 16
    archive.writestr(info, content, compresslevel=compression or None)


def processing_time(product: SwathProduct, hours: float) -> datetime:
    """Processing time `hours` after the acquisition."""
    return datetime.fromtimestamp(product.first_utc.timestamp() + hours * 3600, UTC)
