"""Calibration and noise annotation of one subswath and polarisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from satdaemon.simulator.annotation import Measurement, ads_header
from satdaemon.simulator.instrument import LINE_INTERVAL_S
from satdaemon.simulator.layout import SwathProduct
from satdaemon.simulator.scatterers import NOISE_DN
from satdaemon.simulator.xmltree import Repeated, Text, document, join, vector

BETA_NOUGHT = 237.0
"""DN of unit radar brightness, the constant that ESA's processor uses."""
_RANGE_STEP, _AZIMUTH_STEP = 40, 10
_VECTOR_STEP_S = 1.0


def _pixels(product: SwathProduct) -> np.ndarray:
    return np.unique(np.append(np.arange(0, product.samples, _RANGE_STEP), product.samples - 1))


def calibration_annotation(product: SwathProduct, measurement: Measurement) -> bytes:
    """`calibration-*.xml`: look-up tables of constant brightness and its projections."""
    pixels, grid = _pixels(product), product.grid
    incidence = np.radians(np.interp(pixels, grid.pixel[0], grid.incidence_deg.mean(axis=0)))
    length = product.starts_s[-1] + product.burst_length_s - product.starts_s[0]
    tables = {
        "pixel": Text(join(pixels, "d"), {"count": str(len(pixels))}),
        "sigmaNought": vector(BETA_NOUGHT / np.sqrt(np.sin(incidence))),
        "betaNought": vector(np.full(len(pixels), BETA_NOUGHT)),
        "gamma": vector(BETA_NOUGHT / np.sqrt(np.tan(incidence))),
        "dn": vector(np.full(len(pixels), BETA_NOUGHT)),
    }
    vectors: list[dict[str, Any]] = []
    for offset in np.arange(-_VECTOR_STEP_S, length + 2 * _VECTOR_STEP_S, _VECTOR_STEP_S):
        line = int(np.floor(offset / LINE_INTERVAL_S))
        vectors.append({"azimuthTime": product.utc(product.starts_s[0] + offset), "line": line, **tables})
    return document("calibration", {
        "adsHeader": ads_header(product, measurement),
        "calibrationInformation": {"absoluteCalibrationConstant": f"{1.0:.6e}"},
        "calibrationVectorList": Repeated("calibrationVector", vectors),
    })  # fmt: skip


def noise_annotation(product: SwathProduct, measurement: Measurement) -> bytes:
    """`noise-*.xml`: the thermal noise that the simulation put in, as power."""
    pixels = _pixels(product)
    power = NOISE_DN**2 if product.ground.options.thermal_noise else 0.0
    lines = np.arange(0, product.lines, _AZIMUTH_STEP)
    ranges = [
        {
            "azimuthTime": product.utc(start), "line": k * product.swath.lines_per_burst,
            "pixel": Text(join(pixels, "d"), {"count": str(len(pixels))}),
            "noiseRangeLut": vector(np.full(len(pixels), power)),
        }
        for k, start in enumerate(product.starts_s)
    ]  # fmt: skip
    azimuth = {
        "swath": product.swath_name, "firstAzimuthLine": 0, "firstRangeSample": 0,
        "lastAzimuthLine": product.lines - 1, "lastRangeSample": product.samples - 1,
        "line": Text(join(lines, "d"), {"count": str(len(lines))}), "noiseAzimuthLut": vector(np.ones(len(lines))),
    }  # fmt: skip
    return document("noise", {
        "adsHeader": ads_header(product, measurement),
        "noiseRangeVectorList": Repeated("noiseRangeVector", ranges),
        "noiseAzimuthVectorList": Repeated("noiseAzimuthVector", [azimuth]),
    })  # fmt: skip
