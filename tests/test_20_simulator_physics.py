"""Phase, coherence and timing of simulated bursts, against predictions that do not use the simulator's resampling."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import rasterio
from scipy.interpolate import RectBivariateSpline
from simulated import SMALL, member, member_name, small_truth, zip_of

from satdaemon.simulator.geometry import locate, project, to_geodetic
from satdaemon.simulator.ground import Cover
from satdaemon.simulator.instrument import LINE_INTERVAL_S, RANGE_SPACING_M, SPEED_OF_LIGHT_M_S, WAVELENGTH_M
from satdaemon.simulator.scatterers import BEHAVIOUR, NOISE_DN
from satdaemon.simulator.scenario import near_range_time_s

FIRST, SECOND = 0, 4
"""Dates of the pair: 24 days and both satellites apart, whatever the seed, without special cases."""
HALF = 8
"""Half the length of the resampling kernel."""


@dataclass(frozen=True)
class Burst:
    """A burst as a stranger reads it: samples and the annotation's deramping quantities."""

    samples: np.ndarray
    row: int
    """First line of the burst within `samples`' own numbering: always 0."""
    start_s: float
    rate_hz_s: np.ndarray
    reference_s: np.ndarray
    centroid_hz: np.ndarray

    def ramp(self, line: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Phase of the TOPS steering at any (line, sample), rad (ESA's deramping document)."""
        at = np.arange(len(self.rate_hz_s))
        rate, reference, centroid = (np.interp(col, at, v) for v in (self.rate_hz_s, self.reference_s, self.centroid_hz))
        eta = (line - (self.samples.shape[0] - 1) / 2) * LINE_INTERVAL_S - reference
        return np.pi * rate * eta**2 + 2 * np.pi * centroid * eta


@cache
def read(index: int, swath: str, place: int) -> Burst:
    path = zip_of(index)
    root = ET.fromstring(member(path, "annotation", swath))
    lines = int(root.findtext("swathTiming/linesPerBurst"))
    with rasterio.open(f"/vsizip/{path}/{member_name(path, 'measurement', swath)}") as file:
        samples = file.read(1)[place * lines : (place + 1) * lines]
    info = root.find("imageAnnotation/imageInformation")
    time = float(info.findtext("slantRangeTime")) + np.arange(samples.shape[1]) / float(root.findtext(".//rangeSamplingRate"))
    burst = root.findall("swathTiming/burstList/burst")[place]
    middle = np.datetime64(burst.findtext("azimuthTime")) + np.timedelta64(round((lines - 1) / 2 * LINE_INTERVAL_S * 1e6), "us")

    def nearest(items: list[ET.Element], name: str) -> np.ndarray:
        item = min(items, key=lambda i: abs(np.datetime64(i.findtext("azimuthTime")) - middle))
        coefficients = np.array(item.findtext(name).split(), float)
        return np.polynomial.polynomial.polyval(time - float(item.findtext("t0")), coefficients)

    k_a = nearest(root.findall(".//azimuthFmRate"), "azimuthFmRatePolynomial")
    centroid = nearest(root.findall(".//dcEstimate"), "dataDcPolynomial")
    vectors = root.findall(".//orbit")
    near = min(vectors, key=lambda o: abs(np.datetime64(o.findtext("time")) - middle))
    speed = np.linalg.norm([float(near.findtext(f"velocity/{c}")) for c in "xyz"])
    steering = np.radians(float(root.findtext(".//azimuthSteeringRate")))
    k_s = 2 * speed * float(root.findtext(".//radarFrequency")) / SPEED_OF_LIGHT_M_S * steering
    reference = -centroid / k_a
    reference = reference - reference[len(reference) // 2]
    return Burst(samples, 0, float(burst.findtext("azimuthAnxTime")), k_a * k_s / (k_a - k_s), reference, centroid)


@cache
def ground_of(swath: str, place: int) -> dict[str, np.ndarray]:
    """Exact solutions on a coarse grid of the first date's pixels: relief, places and ranges on the second date."""
    truth = small_truth()
    one, two = (truth.ground.acquisitions[k] for k in (FIRST, SECOND))
    row, col = np.arange(0.0, 1520.0, 20.0), np.arange(0.0, SMALL.samples + 4.0, 4.0)
    full_row, full_col = np.meshgrid(row, col, indexing="ij")
    near = near_range_time_s(SMALL, swath) * SPEED_OF_LIGHT_M_S / 2
    time = one.burst_start_s[swath][place] + (full_row - one.azimuth_shift_px) * LINE_INTERVAL_S
    slant = near + full_col * RANGE_SPACING_M
    height = np.full(time.shape, 150.0)
    for _ in range(30):
        point = locate(one.orbit, time, slant, height)
        lon, lat, _ = (np.degrees(v) for v in to_geodetic(point))
        height = truth.ground.height_m(lon, lat)
    point = locate(one.orbit, time, slant, height)
    time_two, slant_two = project(two.orbit, point, 860.0)
    return {
        "row": row, "col": col, "lon": lon, "lat": lat,
        "row_two": (time_two - two.burst_start_s[swath][place]) / LINE_INTERVAL_S + two.azimuth_shift_px,
        "col_two": (slant_two - near) / RANGE_SPACING_M,
        "range_change": slant - slant_two,
    }  # fmt: skip


def fine(ground: dict[str, np.ndarray], name: str, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bicubic interpolation of the coarse grid to every pixel."""
    return RectBivariateSpline(ground["row"], ground["col"], ground[name])(rows, cols)


@cache
def interferogram(swath: str, place: int, first_row: int, shift_px: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """First date times conjugate of the second, over the burst's lines `first_row`.. and COLS; and the range part of
    its predicted phase.

    The second date is brought onto the first by a 16-tap sinc, read `shift_px` lines too early.
    """
    rows = np.arange(first_row, LAST_ROW)
    one, two, ground = read(FIRST, swath, place), read(SECOND, swath, place), ground_of(swath, place)
    at_row, at_col = fine(ground, "row_two", rows, COLS) - shift_px, fine(ground, "col_two", rows, COLS)
    line, col = np.arange(two.samples.shape[0], dtype=float), np.arange(two.samples.shape[1], dtype=float)
    base = two.samples * np.exp(-1j * two.ramp(line[:, None], col[None, :]))
    top, left = np.floor(at_row).astype(int) - HALF + 1, np.floor(at_col).astype(int) - HALF + 1
    across = [taper(at_col - left - b) for b in range(2 * HALF)]
    out = np.zeros(at_row.shape, complex)
    for a in range(2 * HALF):
        line_sum = sum(across[b] * base[top + a, left + b] for b in range(2 * HALF))
        out += taper(at_row - top - a) * line_sum
    out *= np.exp(1j * two.ramp(at_row, at_col))
    change = fine(ground, "range_change", rows, COLS)
    return one.samples[np.ix_(rows, COLS)] * np.conj(out), -4 * np.pi / WAVELENGTH_M * change


@cache
def displacement_phase(swath: str, place: int, first_row: int) -> np.ndarray:
    """Phase of motion and air between the two dates: towards the satellite is negative."""
    truth, ground, rows = small_truth(), ground_of(swath, place), np.arange(first_row, LAST_ROW)
    lon, lat = fine(ground, "lon", rows, COLS), fine(ground, "lat", rows, COLS)
    first, second = (truth.expected_mm(lon, lat, np.zeros(1), truth.dates[k]) * 1e-3 for k in (FIRST, SECOND))
    return 4 * np.pi / WAVELENGTH_M * (first - second)


def taper(x: np.ndarray) -> np.ndarray:
    return np.sinc(x) * np.i0(5 * np.sqrt(np.clip(1 - (x / HALF) ** 2, 0, 1))) / np.i0(5.0)


def cover_of(swath: str, place: int, first_row: int) -> np.ndarray:
    ground, rows = ground_of(swath, place), np.arange(first_row, LAST_ROW)
    return small_truth().cover(fine(ground, "lon", rows, COLS), fine(ground, "lat", rows, COLS))


def block_phases(flat: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean phase of each 60 lines that hold enough of the chosen ground."""
    starts = [k for k in range(0, flat.shape[0] - 59, 60) if inside[k : k + 60].sum() > 600]
    return np.array([np.angle(flat[k : k + 60][inside[k : k + 60]].sum()) for k in starts])


FIRST_ROW, LAST_ROW = 50, 1450
COLS = np.arange(20, SMALL.samples - 20)


@pytest.mark.parametrize(("swath", "place"), [("IW1", 1), ("IW2", 0)])
def test_interferometric_phase_is_the_range_difference(swath: str, place: int) -> None:
    product, phase = interferogram(swath, place, FIRST_ROW)
    flat = product * np.exp(-1j * (phase + displacement_phase(swath, place, FIRST_ROW)))
    town = cover_of(swath, place, FIRST_ROW) == Cover.TOWN
    assert abs(np.angle(flat[town].sum())) < 0.01
    # Block by block: no slope, hence no error of ramp, timing or geometry along the burst.
    blocks = block_phases(flat, town)
    assert len(blocks) >= 10
    assert np.abs(blocks).max() < 0.06
    assert abs(np.polyfit(np.arange(len(blocks)), blocks, 1)[0]) * len(blocks) < 0.03


def test_motion_and_air_are_in_the_phase() -> None:
    """Without them the prediction does not fit: the agreement above is not an accident."""
    product, phase = interferogram("IW1", 1, FIRST_ROW)
    moved = displacement_phase("IW1", 1, FIRST_ROW)
    town = cover_of("IW1", 1, FIRST_ROW) == Cover.TOWN
    assert np.ptp(block_phases(product * np.exp(-1j * phase), town)) > 0.3
    assert np.ptp(moved) > 0.3


def test_overlap_of_bursts_shows_the_injected_azimuth_shift() -> None:
    """Enhanced spectral diversity: read by orbits and timing alone, what the double difference tells is the shift."""
    truth = small_truth()
    injected = truth.azimuth_shift_px(truth.dates[SECOND], truth.dates[FIRST])
    found = []
    for swath in SMALL.swath_names:
        for place in range(SMALL.bursts - 1):
            bursts = read(FIRST, swath, place), read(FIRST, swath, place + 1)
            offset = round((bursts[1].start_s - bursts[0].start_s) / LINE_INTERVAL_S)
            start = offset + 40
            upper, upper_phase = interferogram(swath, place, start, injected)
            lower, lower_phase = interferogram(swath, place + 1, start - offset, injected)
            count = upper.shape[0]
            double = upper * np.exp(-1j * upper_phase) * np.conj(lower * np.exp(-1j * lower_phase))[:count]
            solid = np.isin(cover_of(swath, place, start), [Cover.TOWN, Cover.ROCK])
            if solid.mean() < 0.3:
                continue
            rate = np.mean([b.rate_hz_s.mean() for b in bursts])
            difference_hz = rate * offset * LINE_INTERVAL_S
            found.append(np.angle(double[solid].sum()) / (2 * np.pi * difference_hz * LINE_INTERVAL_S))
    assert abs(injected) > 0.004
    assert len(found) >= 3
    assert np.mean(found) == pytest.approx(injected, abs=0.0005)
    np.testing.assert_allclose(found, injected, atol=0.002)


def test_coherence_of_each_class_is_what_truth_tells() -> None:
    truth = small_truth()
    days = (truth.dates[SECOND] - truth.dates[FIRST]).days
    product, phase = interferogram("IW1", 1, FIRST_ROW)
    flat = product * np.exp(-1j * (phase + displacement_phase("IW1", 1, FIRST_ROW)))
    power = np.abs(read(FIRST, "IW1", 1).samples[np.ix_(np.arange(FIRST_ROW, LAST_ROW), COLS)]) ** 2
    cover = cover_of("IW1", 1, FIRST_ROW)
    for kind in (Cover.TOWN, Cover.ROCK, Cover.FIELD):
        inside = eroded(cover == kind)
        assert inside.sum() > 300, kind
        p = BEHAVIOUR[kind]
        signal = p.amplitude_dn**2 * np.exp(2 * p.texture**2)
        share = (p.stay + p.fade * np.exp(-days / p.tau_days)) * signal / (signal + NOISE_DN**2)
        # Mean product over mean power: both dates have the same mean power.
        assert abs(flat[inside].sum()) / power[inside].sum() == pytest.approx(share, abs=0.06), kind
    water = eroded(cover == Cover.WATER)
    assert water.sum() > 300
    quiet = np.median(power[water])
    assert quiet < 3 * (BEHAVIOUR[Cover.WATER].amplitude_dn ** 2 + NOISE_DN**2)
    unit = flat[water] / np.maximum(np.abs(flat[water]), 1.0)
    assert abs(unit.mean()) < 0.15


def eroded(mask: np.ndarray) -> np.ndarray:
    """Without three pixels along edges, into which neighbours spill."""
    from scipy.ndimage import binary_erosion

    return binary_erosion(mask, iterations=3)


def test_spectrum_occupies_the_annotated_bandwidth() -> None:
    burst = read(FIRST, "IW2", 1)
    lines, samples = burst.samples.shape
    base = burst.samples * np.exp(-1j * burst.ramp(np.arange(lines)[:, None], np.arange(samples)[None, :]))
    azimuth = (np.abs(np.fft.fft(base, axis=0)) ** 2).mean(axis=1)
    frequency = np.fft.fftfreq(lines, LINE_INTERVAL_S)
    assert azimuth[np.abs(frequency) < 313 / 2 + 2].sum() > 0.995 * azimuth.sum()
    assert azimuth[np.abs(frequency) < 313 / 2 - 10].sum() < 0.995 * azimuth.sum()
    raw = (np.abs(np.fft.fft(burst.samples, axis=0)) ** 2).mean(axis=1)
    assert raw[np.abs(frequency) < 313 / 2 + 2].sum() < 0.75 * raw.sum(), "steering spreads the raw spectrum"
    inner = base[60:1440, 10:-10] * np.hanning(base.shape[1] - 20)
    spectrum = (np.abs(np.fft.fft(inner, axis=1)) ** 2).mean(axis=0)
    assert spectrum[np.abs(np.fft.fftfreq(inner.shape[1])) < 0.5 * 48.3 / 64.345 + 0.03].sum() > 0.995 * spectrum.sum()
