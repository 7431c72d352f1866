"""General part of the product annotation: quality, downlink, state vectors, attitude, replica, noise, FM rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from satdaemon.simulator.instrument import RADAR_FREQUENCY_HZ, RANGE_SAMPLING_HZ
from satdaemon.simulator.layout import SwathProduct
from satdaemon.simulator.tops import MEAN_HEIGHT_M, fm_polynomial
from satdaemon.simulator.xmltree import Repeated, polynomial, vector

_BIT_ERRORS = (
    "numErrSyncMarker", "numErrDataTakeId", "numErrEccNumber", "numErrTestMode", "numErrRxChannelId",
    "numErrInstrumentConfigId", "numErrPacketCount", "numErrPriCount", "numErrSsbErrorFlag", "numErrBaqMode",
    "numErrBaqBlockLength", "numErrRangeDecimation", "numErrRxGain", "numErrTxRampRate",
    "numErrTxPulseStartFrequency", "numErrRank", "numErrPri", "numErrSwst", "numErrSwl", "numErrPolarisation",
    "numErrTempComp", "numErrElevationBeamAddress", "numErrAzimuthBeamAddress", "numErrSasTestMode", "numErrCalType",
    "numErrCalibrationBeamAddress", "numErrCalMode", "numErrTxPulseNumber", "numErrSignalType", "numErrSwapFlag",
    "numErrSwathNumber", "numErrNumberOfQuads", "numIspHeaderErrors",
)  # fmt: skip
_PULSE_LENGTH_S = 5.240481033595628e-05


def quality_information(product: SwathProduct, mean: complex, std: tuple[float, float]) -> dict[str, Any]:
    """Nothing is wrong with simulated raw data."""
    gaps = {
        "numDownlinkInputDataGaps": 0, "downlinkGapsInInputDataSignificantFlag": False,
        "numDownlinkInputMissingLines": 0, "downlinkMissingLinesSignificantFlag": False,
        "numInstrumentInputDataGaps": 0, "instrumentGapsInInputDataSignificantFlag": False,
        "numInstrumentInputMissingLines": 0, "instrumentMissingLinesSignificantFlag": False,
        "numSsbErrorInputDataGaps": 0, "ssbErrorGapsInInputDataSignificantFlag": False,
        "numSsbErrorInputMissingLines": 0, "ssbErrorMissingLinesSignificantFlag": False,
    }  # fmt: skip
    downlink = {
        "iInputDataMean": 0.0, "qInputDataMean": 0.0, "inputDataMeanOutsideNominalRangeFlag": False,
        "iInputDataStdDev": 5.93, "qInputDataStdDev": 5.93, "inputDataStDevOutsideNominalRangeFlag": False, **gaps,
        "chirpSourceUsed": "Nominal", "pgSourceUsed": "Extracted", "rrfSpectrumUsed": "Extended Tapered",
        "replicaReconstructionFailedFlag": False, "meanPgProductAmplitude": 0.666, "stdDevPgProductAmplitude": 0.0038,
        "meanPgProductPhase": -1.476, "stdDevPgProductPhase": 0.0172, "pgProductDerivationFailedFlag": False,
        "invalidDownlinkParamsFlag": False,
    }  # fmt: skip
    statistics = {
        "outputDataMean": {"re": f"{mean.real:.6e}", "im": f"{mean.imag:.6e}"},
        "outputDataStdDev": {"re": f"{std[0]:.6e}", "im": f"{std[1]:.6e}"},
    }
    data = {
        "azimuthTime": product.first_utc,
        "downlinkQuality": downlink,
        "rawDataAnalysisQuality": {
            "iBias": 0.0, "iBiasSignificanceFlag": False, "qBias": 0.0, "qBiasSignificanceFlag": False,
            "iqGainImbalance": 1.0, "iqGainSignificanceFlag": False, "iqQuadratureDeparture": 0.0,
            "iqQuadratureDepartureSignificanceFlag": False,
        },
        "dopplerCentroidQuality": {"dcMethod": "Data Analysis", "dopplerCentroidUncertainFlag": False},
        "imageQuality": {
            "imageStatistics": statistics, "outputDataMeanOutsideNominalRangeFlag": False,
            "outputDataStDevOutsideNominalRangeFlag": False,
        },
    }  # fmt: skip
    return {"productQualityIndex": 0.0, "qualityDataList": Repeated("qualityData", [data])}


def general_annotation(product: SwathProduct) -> dict[str, Any]:
    """`generalAnnotation` of the product annotation."""
    times = product.around()
    width = product.samples / RANGE_SAMPLING_HZ
    orbit = product.acquisition.annotated_orbit
    rates = [
        {
            "azimuthTime": product.utc(t), "t0": product.range_time_s,
            "azimuthFmRatePolynomial": polynomial(fm_polynomial(orbit, t, product.range_time_s, width)),
        }
        for t in times
    ]  # fmt: skip
    noise = [
        {"swath": product.swath_name, "azimuthTime": product.utc(t), "noisePowerCorrectionFactor": 1.0,
         "numberOfNoiseLines": 8}
        for t in times
    ]  # fmt: skip
    heights = [{"azimuthTime": product.utc(t), "value": MEAN_HEIGHT_M} for t in times]
    return {
        "productInformation": {
            "pass": "Ascending", "timelinessCategory": "Fast-24h",
            "platformHeading": product.ground.heading_deg, "projection": "Slant Range",
            "rangeSamplingRate": RANGE_SAMPLING_HZ, "radarFrequency": RADAR_FREQUENCY_HZ,
            "azimuthSteeringRate": product.swath.steering_rate_deg_s,
        },
        "downlinkInformationList": Repeated("downlinkInformation", [_downlink(product)]),
        "orbitList": Repeated("orbit", _orbit(product)),
        "attitudeList": Repeated("attitude", _attitude(product)),
        "rawDataAnalysisList": Repeated("rawDataAnalysis", [_raw_data(product)]),
        "replicaInformationList": Repeated("replicaInformation", [_replica(product)]),
        "noiseList": Repeated("noise", noise),
        "terrainHeightList": Repeated("terrainHeight", heights),
        "azimuthFmRateList": Repeated("azimuthFmRate", rates),
    }  # fmt: skip


def _downlink(product: SwathProduct) -> dict[str, Any]:
    swath, start = product.swath, product.starts_s[0]
    length = _PULSE_LENGTH_S
    window = {"azimuthTime": product.utc(start - 1.62)}
    values = {
        "pri": 1 / swath.prf_hz, "rank": swath.rank, "dataTakeId": product.acquisition.absolute_orbit, "eccNumber": 8,
        "rxChannelId": 0, "instrumentConfigId": 7,
        "dataFormat": {
            "baqBlockLength": 256, "echoFormat": "FDBAQ", "noiseFormat": "BAQ 5 Bit",
            "calibrationFormat": "Decimation", "meanBitRate": 0.54,
        },
        "rangeDecimation": {
            "decimationFilterBandwidth": 5.659e7, "samplingFrequencyAfterDecimation": RANGE_SAMPLING_HZ,
            "filterLength": 36,
        },
        "rxGain": -4.0, "txPulseLength": length, "txPulseStartFrequency": -2.825153419637256e07,
        "txPulseRampRate": 2 * 2.825153419637256e07 / length, "swathNumber": 9 + int(product.swath_name[2]),
        "swlList": Repeated("swl", [{**window, "value": product.samples / RANGE_SAMPLING_HZ + length}]),
        "swstList": Repeated("swst", [{**window, "value": product.range_time_s - swath.rank / swath.prf_hz}]),
        "pointingStatusList": Repeated("pointingStatus", [{
            **window, "aocsOpMode": "Normal Pointing Mode", "rollErrorFlag": False, "pitchErrorFlag": False,
            "yawErrorFlag": False,
        }]),
    }  # fmt: skip
    return {
        "swath": product.swath_name, "azimuthTime": product.utc(start - 2.76),
        "firstLineSensingTime": product.first_utc, "lastLineSensingTime": product.last_utc, "prf": swath.prf_hz,
        "bitErrorCount": dict.fromkeys(_BIT_ERRORS, 0), "downlinkValues": values,
    }  # fmt: skip


def _orbit(product: SwathProduct) -> list[dict[str, Any]]:
    def xyz(v: np.ndarray) -> dict[str, float]:
        return {"x": float(v[0]), "y": float(v[1]), "z": float(v[2])}

    return [
        {"time": product.utc(float(t)), "frame": "Earth Fixed", "position": xyz(p), "velocity": xyz(v)}
        for t, p, v in zip(*product.state_vectors(), strict=True)
    ]


def _attitude(product: SwathProduct) -> list[dict[str, Any]]:
    """Constant nominal attitude, one record a second."""
    count = int(product.starts_s[-1] + product.burst_length_s - product.starts_s[0]) + 1
    return [
        {
            "time": product.utc(product.starts_s[0] + k), "frame": "GM2000", "q0": "-3.691180e-01",
            "q1": "2.703475e-01", "q2": "7.065514e-02", "q3": "8.863814e-01", "wx": 5.0888e-05, "wy": -9.4745e-04,
            "wz": -4.8315e-04, "roll": 29.45, "pitch": 0.0, "yaw": 0.0,
        }
        for k in range(count)
    ]  # fmt: skip


def _raw_data(product: SwathProduct) -> dict[str, Any]:
    support = {
        "iBiasUpperBound": 0.0065, "iBiasLowerBound": -0.0065, "qBiasUpperBound": 0.0067, "qBiasLowerBound": -0.0067,
        "iqGainUpperBound": 1.0011, "iqGainLowerBound": 0.9989, "iqQuadratureDepartureUpperBound": 0.99,
        "iqQuadratureDepartureLowerBound": -0.79, "iBiasUsedForCorrection": 0.0, "qBiasUsedForCorrection": 0.0,
        "iqGainImbalanceUsedForCorrection": 1.0, "iqQuadratureDepartureUsedForCorrection": 0.0,
    }  # fmt: skip
    return {
        "azimuthTime": product.utc(product.starts_s[0] - 2.76), "iBias": 0.0, "qBias": 0.0,
        "iqQuadratureDeparture": 0.0, "iqGainImbalance": 1.0, "support": support,
    }  # fmt: skip


def _replica(product: SwathProduct) -> dict[str, Any]:
    time = product.utc(product.starts_s[0] - 1.62)
    reference = {
        "azimuthTime": time, "chirpSource": "Nominal", "pgSource": "Extracted",
        "amplitudeCoefficients": vector([1.0, 0.0, 0.0, 0.0]),
        "phaseCoefficients": vector([0.0, 693.5456, 5.391152e11, 0.0]), "timeDelay": "4.366372e-07",
        "gain": {"re": "1.000000e+00", "im": "0.000000e+00"},
    }  # fmt: skip
    replica = {
        "azimuthTime": time, "crossCorrelationBandwidth": "9.853164e-01", "crossCorrelationPslr": "-1.268529e+01",
        "crossCorrelationIslr": "-9.553169e+00", "crossCorrelationPeakLocation": "0.000000e+00",
        "reconstructedReplicaValidFlag": True, "pgProductAmplitude": "9.420448e-04",
        "pgProductPhase": "-1.470441e+00", "modelPgProductAmplitude": "6.607000e-01",
        "modelPgProductPhase": "0.000000e+00", "relativePgProductValidFlag": True, "absolutePgProductValidFlag": True,
        "internalTimeDelay": "4.366415e-07",
    }  # fmt: skip
    return {"swath": product.swath_name, "referenceReplica": reference, "replicaList": Repeated("replica", [replica])}
