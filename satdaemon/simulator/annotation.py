"""The product annotation of one subswath and polarisation (ESA S1-RS-MDA-52-7441, level-1 product annotation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from satdaemon.simulator.annotation_general import general_annotation, quality_information
from satdaemon.simulator.instrument import (
    AZIMUTH_BANDWIDTH_HZ,
    HAMMING,
    LINE_INTERVAL_S,
    RANGE_BANDWIDTH_HZ,
    RANGE_SAMPLING_HZ,
    RANGE_SPACING_M,
)
from satdaemon.simulator.layout import SENSING_OFFSET_S, SwathProduct
from satdaemon.simulator.orbit import EARTH_A_M, EARTH_F
from satdaemon.simulator.render import valid_samples
from satdaemon.simulator.tops import MEAN_HEIGHT_M
from satdaemon.simulator.xmltree import Repeated, Text, document, join, polynomial, vector


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the annotation tells about its measurement file."""

    polarisation: str
    image_number: int
    byte_offsets: tuple[int, ...]
    """Position of each burst's first sample in the TIFF."""
    mean: complex
    std: tuple[float, float]


def ads_header(product: SwathProduct, measurement: Measurement, kind: str = "SLC") -> dict[str, Any]:
    """Header that all annotation files share."""
    acquisition = product.acquisition
    return {
        "missionId": acquisition.platform,
        "productType": kind,
        "polarisation": measurement.polarisation.upper(),
        "mode": "IW",
        "swath": product.swath_name,
        "startTime": product.first_utc,
        "stopTime": product.last_utc,
        "absoluteOrbitNumber": acquisition.absolute_orbit,
        "missionDataTakeId": datatake(product),
        "imageNumber": f"{measurement.image_number:03d}",
    }


def datatake(product: SwathProduct) -> int:
    """Mission data take id of the date."""
    return product.acquisition.absolute_orbit * 8 + 3


def product_annotation(product: SwathProduct, measurement: Measurement) -> bytes:
    """The whole file."""
    return document("product", {
        "adsHeader": ads_header(product, measurement),
        "qualityInformation": quality_information(product, measurement.mean, measurement.std),
        "generalAnnotation": general_annotation(product),
        "imageAnnotation": {
            "imageInformation": _image_information(product, measurement),
            "processingInformation": _processing_information(product),
        },
        "dopplerCentroid": {"dcEstimateList": Repeated("dcEstimate", _doppler(product))},
        "antennaPattern": {"antennaPatternList": Repeated("antennaPattern", _antenna(product))},
        "swathTiming": {
            "linesPerBurst": product.swath.lines_per_burst, "samplesPerBurst": product.samples,
            "burstList": Repeated("burst", _bursts(product, measurement)),
        },
        "geolocationGrid": {"geolocationGridPointList": Repeated("geolocationGridPoint", _grid(product))},
        "coordinateConversion": {"coordinateConversionList": Repeated("coordinateConversion", [])},
        "swathMerging": {"swathMergeList": Repeated("swathMerge", [])},
    })  # fmt: skip


def _image_information(product: SwathProduct, measurement: Measurement) -> dict[str, Any]:
    acquisition, grid = product.acquisition, product.grid
    speed = float(np.linalg.norm(acquisition.annotated_orbit.velocity(np.array(product.starts_s[0]))))
    ground_speed = speed * 6371e3 / 7075e3
    return {
        "productFirstLineUtcTime": product.first_utc, "productLastLineUtcTime": product.last_utc,
        "ascendingNodeTime": acquisition.node_utc, "anchorTime": product.utc(product.starts_s[0] - 10.0),
        "productComposition": "Slice", "sliceNumber": product.slice_number,
        "sliceList": Repeated("slice", [{
            "sliceNumber": product.slice_number, "sensingStartTime": product.first_utc, "sensingStopTime": product.last_utc,
        }]),
        "slantRangeTime": product.range_time_s, "pixelValue": "Complex", "outputPixels": "16 bit Signed Integer",
        "rangePixelSpacing": f"{RANGE_SPACING_M:.6e}",
        "azimuthPixelSpacing": f"{ground_speed * LINE_INTERVAL_S:.6e}",
        "azimuthTimeInterval": LINE_INTERVAL_S, "azimuthFrequency": 1 / LINE_INTERVAL_S,
        "numberOfSamples": product.samples, "numberOfLines": product.lines,
        "zeroDopMinusAcqTime": 0.0,
        "incidenceAngleMidSwath": float(grid.incidence_deg[:, grid.incidence_deg.shape[1] // 2].mean()),
        "imageStatistics": {
            "outputDataMean": {"re": f"{measurement.mean.real:.6e}", "im": f"{measurement.mean.imag:.6e}"},
            "outputDataStdDev": {"re": f"{measurement.std[0]:.6e}", "im": f"{measurement.std[1]:.6e}"},
        },
    }  # fmt: skip


def _processing_information(product: SwathProduct) -> dict[str, Any]:
    def look(bandwidth: float) -> dict[str, Any]:
        return {
            "windowType": "Hamming", "windowCoefficient": HAMMING, "totalBandwidth": bandwidth,
            "processingBandwidth": bandwidth, "lookBandwidth": bandwidth, "numberOfLooks": 1, "lookOverlap": 0.0,
        }  # fmt: skip

    return {
        "rawDataAnalysisUsed": True, "orbitDataFileUsed": True, "attitudeDataFileUsed": False,
        "rxVariationCorrectionApplied": True, "antennaElevationPatternApplied": True,
        "antennaAzimuthPatternApplied": True, "antennaAzimuthElementPatternApplied": True,
        "dcMethod": "Data Analysis", "dcInputData": "Range Compressed",
        "rangeSpreadingLossCompensationApplied": True, "srgrConversionApplied": False, "detectionPerformed": False,
        "thermalNoiseCorrectionPerformed": False, "rfiMitigationPerformed": "Never", "rfiMitigationDomain": "Time",
        "chirpSource": "Nominal", "pgSource": "Extracted", "rrfSpectrum": "Extended Tapered",
        "applicationLutId": "IW_Default",
        "swathProcParamsList": Repeated("swathProcParams", [{
            "swath": product.swath_name, "rangeProcessing": look(RANGE_BANDWIDTH_HZ),
            "azimuthProcessing": look(AZIMUTH_BANDWIDTH_HZ), "processorScalingFactor": f"{8.5e11:.6e}",
        }]),
        "inputDimensionsList": Repeated("inputDimensions", [{
            "azimuthTime": product.utc(product.starts_s[0] - 1.62), "swath": product.swath_name,
            "numberOfInputSamples": product.samples + 1000,
            "numberOfInputLines": int(product.swath.prf_hz * 0.82 * len(product.bursts)),
        }]),
        "referenceRange": 8.0e5, "ellipsoidName": "WGS84", "ellipsoidSemiMajorAxis": EARTH_A_M,
        "ellipsoidSemiMinorAxis": EARTH_A_M * (1 - EARTH_F), "bistaticDelayCorrectionApplied": True,
        "topsFilterConvention": "Only Echo Lines", "orbitSource": "Auxiliary", "attitudeSource": "Downlink",
    }  # fmt: skip


def _doppler(product: SwathProduct) -> list[dict[str, Any]]:
    """One estimate a burst cycle; each burst's own stands at its middle, the outer ones repeat their neighbour."""
    values = [product.doppler_hz[0], *product.doppler_hz, product.doppler_hz[-1]]
    fine = product.range_time_s + np.linspace(0, product.samples - 1, 20) / RANGE_SAMPLING_HZ
    estimates = []
    for time, value in zip(product.around(), values, strict=True):
        coefficients = polynomial([value, 0.0, 0.0])
        estimates.append({
            "azimuthTime": product.utc(time), "t0": product.range_time_s, "geometryDcPolynomial": coefficients,
            "dataDcPolynomial": coefficients, "dataDcRmsError": 0.0, "dataDcRmsErrorAboveThreshold": False,
            "fineDceAzimuthStartTime": product.utc(time - 1.38), "fineDceAzimuthStopTime": product.utc(time + 1.38),
            "fineDceList": Repeated("fineDce", [{"slantRangeTime": float(t), "frequency": value} for t in fine]),
        })  # fmt: skip
    return estimates


def _antenna(product: SwathProduct) -> list[dict[str, Any]]:
    grid, size = product.grid, product.grid.line.shape[1]
    return [
        {
            "swath": product.swath_name, "azimuthTime": product.utc(float(time)),
            "slantRangeTime": vector(grid.range_time_s[k], ".15e"), "elevationAngle": vector(grid.elevation_deg[k]),
            # Complex gains: (re, im) after each other.
            "elevationPattern": vector(np.column_stack([np.ones(size), np.zeros(size)])),
            "incidenceAngle": vector(grid.incidence_deg[k]), "terrainHeight": MEAN_HEIGHT_M, "roll": 29.45,
        }
        for k, time in enumerate(grid.time_s[:, 0])
    ]  # fmt: skip


def _bursts(product: SwathProduct, measurement: Measurement) -> list[dict[str, Any]]:
    records = []
    lines = product.swath.lines_per_burst
    for place, start, offset in zip(product.bursts, product.starts_s, measurement.byte_offsets, strict=True):
        top, bottom, left, right = valid_samples(product.swath, place, product.samples)
        line = np.arange(lines)
        valid = (line >= top) & (line <= bottom)
        relative, absolute = product.burst_ids(place)
        count = {"count": str(lines)}
        records.append({
            "azimuthTime": product.utc(start), "azimuthAnxTime": start,
            "sensingTime": product.utc(start + SENSING_OFFSET_S[product.swath_name]), "byteOffset": offset,
            "firstValidSample": Text(join(np.where(valid, left, -1), "d"), count),
            "lastValidSample": Text(join(np.where(valid, right, -1), "d"), count),
            "burstId": Text(str(relative), {"absolute": str(absolute)}),
        })  # fmt: skip
    return records


def _grid(product: SwathProduct) -> list[dict[str, Any]]:
    g = product.grid
    return [
        {
            "azimuthTime": product.utc(float(g.time_s[i])), "slantRangeTime": float(g.range_time_s[i]),
            "line": int(g.line[i]), "pixel": int(g.pixel[i]), "latitude": float(g.lat_deg[i]),
            "longitude": float(g.lon_deg[i]), "height": float(g.height_m[i]),
            "incidenceAngle": float(g.incidence_deg[i]), "elevationAngle": float(g.elevation_deg[i]),
        }
        for i in np.ndindex(g.line.shape)
    ]  # fmt: skip
