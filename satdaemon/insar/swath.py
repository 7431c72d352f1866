"""What the geometry and phase of one burst need from the annotation, as one flat record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from satdaemon.insar.annotation import SafeBurst, iso_utc, text_of

SPEED_OF_LIGHT_M_S = 299792458.0
Vector = tuple[str, tuple[float, ...], tuple[float, ...]]
"""UTC, Earth-fixed position in metres, velocity in m/s."""


@dataclass(frozen=True, slots=True)
class BurstMeta:
    """One burst of one date. Lines and samples count from the first valid ones, as in `bursts/<id>.tif`."""

    id: str
    """The frame's id of the burst."""
    source_id: str
    """The id by this date's own annotation."""
    swath: str
    scene: str
    """Product that it was read from."""
    lines: int
    samples: int
    azimuth_utc: datetime
    """Annotated azimuth time of the burst's first line, valid or not."""
    first_line: int
    """First valid line in the burst."""
    burst_lines: int
    """Lines of the burst with its invalid ones."""
    line_s: float
    first_sample_s: float
    """Two-way slant range time of the first valid sample."""
    range_sampling_hz: float
    wavelength_m: float
    mid_range_s: float
    """Two-way slant range time of the middle of the swath."""
    steering_rate_rad_s: float
    fm_rate: tuple[float, ...]
    """(t0, c0, c1, c2): azimuth FM rate in Hz/s as a polynomial of slant range time minus t0."""
    doppler: tuple[float, ...]
    """(t0, c0, c1, ...): Doppler centroid in Hz, likewise."""
    timing: tuple[float, float, float]
    """(t0, a, b): zero-Doppler time minus annotated line time = a + b (slant range time - t0), seconds."""
    range_band: float
    """Processed range bandwidth over the sampling frequency."""
    azimuth_band: float
    """Processed azimuth bandwidth over the line frequency."""

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back equal."""
        return {**asdict(self), "azimuth_utc": self.azimuth_utc.isoformat()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        tuples = {k: tuple(value[k]) for k in ("fm_rate", "doppler", "timing")}
        return cls(**{**value, **tuples, "azimuth_utc": datetime.fromisoformat(value["azimuth_utc"])})

    def line_time_s(self, epoch_utc: datetime) -> float:
        """Annotated time of the first valid line, seconds since `epoch_utc`."""
        return (self.azimuth_utc - epoch_utc) / timedelta(seconds=1) + self.first_line * self.line_s

    def mid_time_s(self, epoch_utc: datetime) -> float:
        """Middle of the burst with its invalid lines, the origin of the Doppler model, seconds since `epoch_utc`."""
        return (self.azimuth_utc - epoch_utc) / timedelta(seconds=1) + (self.burst_lines - 1) / 2 * self.line_s

    def to_zero_doppler_s(self, range_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to add to an annotated line time to get the zero-Doppler time, at two-way slant range times."""
        t0, a, b = self.timing
        return a + b * (range_s - t0)

    def named(self, frame_id: str) -> Self:
        """The same burst under the frame's id."""
        return replace(self, id=frame_id)


def burst_metas(root: Element, bursts: list[SafeBurst], scene: str) -> list[BurstMeta]:
    """A record for each burst of the swath whose annotation is `root`.

    The FM rate and Doppler centroid of a burst are the estimates nearest to its middle. Doppler comes from
    data analysis where the processor used it (dcMethod), else from geometry.

    Raises
    ------
    ValueError
        An element is missing or not a number or time.
    """
    info, general = "imageAnnotation/imageInformation", "generalAnnotation/productInformation"
    line_s = float(text_of(root, f"{info}/azimuthTimeInterval"))
    near_s = float(text_of(root, f"{info}/slantRangeTime"))
    sampling_hz = float(text_of(root, f"{general}/rangeSamplingRate"))
    steering = np.radians(float(text_of(root, f"{general}/azimuthSteeringRate")))
    rates = _fm_rates(root)
    centroids = _centroids(root)
    timing = timing_offset(root)
    metas = []
    for burst in bursts:
        mid = burst.azimuth_time_utc + timedelta(seconds=(burst.lines - 1) / 2 * line_s)
        metas.append(
            BurstMeta(
                id=burst.id,
                source_id=burst.id,
                swath=burst.swath,
                scene=scene,
                lines=burst.valid_lines[1] - burst.valid_lines[0] + 1,
                samples=burst.valid_samples[1] - burst.valid_samples[0] + 1,
                azimuth_utc=burst.azimuth_time_utc,
                first_line=burst.valid_lines[0],
                burst_lines=burst.lines,
                line_s=line_s,
                first_sample_s=near_s + burst.valid_samples[0] / sampling_hz,
                range_sampling_hz=sampling_hz,
                wavelength_m=SPEED_OF_LIGHT_M_S / float(text_of(root, f"{general}/radarFrequency")),
                mid_range_s=near_s + burst.samples / 2 / sampling_hz,
                steering_rate_rad_s=float(steering),
                fm_rate=_nearest(rates, mid),
                doppler=_nearest(centroids, mid),
                timing=timing,
                range_band=_bandwidth_hz(root, "range") / sampling_hz,
                azimuth_band=_bandwidth_hz(root, "azimuth") * line_s,
            )
        )
    return metas


def state_vectors(root: Element) -> tuple[Vector, ...]:
    """The annotation's own state vectors."""
    return tuple(
        (
            text_of(e, "time"),
            tuple(float(text_of(e, f"position/{k}")) for k in "xyz"),
            tuple(float(text_of(e, f"velocity/{k}")) for k in "xyz"),
        )
        for e in root.iterfind("generalAnnotation/orbitList/orbit")
    )


def timing_offset(root: Element) -> tuple[float, float, float]:
    """Zero-Doppler time minus annotated line time, linear in slant range time: (t0, a, b), seconds.

    ESA's processor removes the motion between transmission and reception for the middle of IW2 only; the
    geolocation grid carries, for each grid line, the true zero-Doppler time. What is left is fitted here:
    half the two-way time from mid IW2 on ESA's products (b = 0.5), nothing where a product needs none.
    """
    line_s = float(text_of(root, "imageAnnotation/imageInformation/azimuthTimeInterval"))
    per_burst = int(text_of(root, "swathTiming/linesPerBurst"))
    starts = [iso_utc(text_of(b, "azimuthTime")) for b in root.iterfind("swathTiming/burstList/burst")]
    range_s, offset_s = [], []
    for point in root.iterfind("geolocationGrid/geolocationGridPointList/geolocationGridPoint"):
        line = int(text_of(point, "line"))
        burst = line // per_burst
        if burst >= len(starts):
            continue  # products cut down to single bursts keep the row of the burst that was cut off
        line_utc = starts[burst] + timedelta(seconds=(line - burst * per_burst) * line_s)
        offset_s.append((iso_utc(text_of(point, "azimuthTime")) - line_utc) / timedelta(seconds=1))
        range_s.append(float(text_of(point, "slantRangeTime")))
    if len(range_s) < 2:
        raise ValueError("geolocationGrid has no points on the lines of its bursts")
    mid = float(np.mean(range_s))
    b, a = np.polyfit(np.array(range_s) - mid, offset_s, 1)
    if abs(a) > line_s or abs(b) > 1.0:
        raise ValueError(f"geolocationGrid: its times are {a:.2e} s off the lines', more than a line; wrong ANX or grid")
    return mid, float(a), float(b)


def _bandwidth_hz(root: Element, direction: str) -> float:
    params = "imageAnnotation/processingInformation/swathProcParamsList/swathProcParams"
    return float(text_of(root, f"{params}/{direction}Processing/processingBandwidth"))


def _fm_rates(root: Element) -> list[tuple[datetime, tuple[float, ...]]]:
    found = []
    for e in root.iterfind("generalAnnotation/azimuthFmRateList/azimuthFmRate"):
        text = e.findtext("azimuthFmRatePolynomial")
        # before IPF 2.43 the coefficients were three elements
        terms = [float(c) for c in text.split()] if text else [float(text_of(e, k)) for k in ("c0", "c1", "c2")]
        found.append((iso_utc(text_of(e, "azimuthTime")), (float(text_of(e, "t0")), *terms)))
    return found


def _centroids(root: Element) -> list[tuple[datetime, tuple[float, ...]]]:
    method = text_of(root, "imageAnnotation/processingInformation/dcMethod")
    name = "dataDcPolynomial" if method == "Data Analysis" else "geometryDcPolynomial"
    return [
        (iso_utc(text_of(e, "azimuthTime")), (float(text_of(e, "t0")), *map(float, text_of(e, name).split())))
        for e in root.iterfind("dopplerCentroid/dcEstimateList/dcEstimate")
    ]


def _nearest(estimates: list[tuple[datetime, tuple[float, ...]]], time: datetime) -> tuple[float, ...]:
    if not estimates:
        raise ValueError("expected an FM rate and a Doppler estimate, found none")
    return min(estimates, key=lambda e: abs(e[0] - time))[1]
