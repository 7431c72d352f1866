"""Our resampling kernel against eos-sar's resampler on the same TOPS burst: deramp, shift, reramp.

One line of JSON: CPU times a megapixel, their ratio, and the error of each against the exact shift. Alternating,
the best of some rounds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
from eos.products.sentinel1.burst_resamp import Sentinel1BurstResample
from eos.products.sentinel1.doppler_info import Sentinel1Doppler

from satdaemon.insar.doppler import DopplerRamp
from satdaemon.insar.grid import Window
from satdaemon.insar.lattice import Lattice
from satdaemon.insar.resample import deramp, resample
from satdaemon.insar.swath import BurstMeta

LINES, SAMPLES = 1500, 4096
LINE_S, RANGE_HZ, NEAR_S = 2.0555563e-3, 64.34523812571428e6, 5.34e-3
SHIFT = (3.37, -1.72)
ROUNDS = 3
START = datetime(2021, 4, 4, tzinfo=UTC)
STEERING_HZ_S = 7592.0
MID_S = NEAR_S + SAMPLES / 2 / RANGE_HZ
FM_RATE = (NEAR_S, -2319.7, 4.5e5, -7.9e7)
CENTROID = (NEAR_S, 13.0, -7.0e4)
META = BurstMeta(
    "132_8603_IW2",
    "132_8603_IW2",
    "IW2",
    "bench",
    LINES,
    SAMPLES,
    START,
    0,
    LINES,
    LINE_S,
    NEAR_S,
    RANGE_HZ,
    0.0554658,
    MID_S,
    0.0171,
    FM_RATE,
    CENTROID,
    (NEAR_S, 0.0, 0.0),
    0.75,
    0.65,
)
DOPPLER = Sentinel1Doppler(
    MID_S, START.timestamp() + (LINES - 1) / 2 * LINE_S, list(FM_RATE), CENTROID[0], list(CENTROID[1:]), STEERING_HZ_S
)


def make_ramp() -> DopplerRamp:
    """The burst's ramp for our kernel, from the same Doppler model."""
    range_s = NEAR_S + np.arange(SAMPLES) / RANGE_HZ
    fm_rate, centroid = DOPPLER.get_rg_dpt_dop_rate(range_s), DOPPLER.get_dop_centroid(range_s)
    return DopplerRamp(
        -(LINES - 1) / 2 * LINE_S, LINE_S, DOPPLER.get_dop_rate(fm_rate), centroid, DOPPLER.get_ref_time(centroid, fm_rate)
    )


def signal(ramp: DopplerRamp, shift: tuple[float, float]) -> np.ndarray:
    """A band-limited TOPS burst sampled `shift` lines and samples further on."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.fft2(rng.standard_normal((LINES, SAMPLES)) + 1j * rng.standard_normal((LINES, SAMPLES)))
    for axis, (size, band) in enumerate(((LINES, META.azimuth_band), (SAMPLES, META.range_band))):
        f = np.fft.fftfreq(size)
        window = np.where(np.abs(f) < band / 2, 0.75 + 0.25 * np.cos(2 * np.pi * f / band), 0)
        along = window * np.exp(2j * np.pi * f * shift[axis])
        spectrum *= along[:, None] if axis == 0 else along[None]
    sample = np.arange(SAMPLES) + shift[1]
    at = np.arange(SAMPLES)
    rate, centroid, reference = (np.interp(sample, at, v) for v in (ramp.rate_hz_s, ramp.centroid_hz, ramp.reference_s))
    e = (ramp.start_s + (np.arange(LINES) + shift[0]) * LINE_S)[:, None] - reference
    return (np.fft.ifft2(spectrum) * np.exp(2j * np.pi * (rate / 2 * e + centroid) * e) * 1e3).astype(np.complex64)


def measure(runs: dict[str, Callable[[], np.ndarray]], truth: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds and error in dB of each run."""
    seconds, error_db = {name: np.inf for name in runs}, {}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.process_time()
            found = run()
            seconds[name] = min(seconds[name], time.process_time() - started)
            inside = (slice(30, -30), slice(30, -30))
            ratio = np.mean(np.abs(found - truth)[inside] ** 2) / np.mean(np.abs(truth[inside]) ** 2)
            error_db[name] = round(float(10 * np.log10(ratio)), 1)
    return seconds, error_db


def main() -> int:
    """Run the bench; fails where the two disagree."""
    cv2.setNumThreads(1)
    ramp = make_ramp()
    source, truth = signal(ramp, (0.0, 0.0)), signal(ramp, SHIFT)
    lattice = Lattice(0.0, 0.0, float(LINES - 1), float(SAMPLES - 1), 0.0, 1.0, np.zeros((4, 3, 2, 2)))
    lattice.terms[:2, 0] = np.array(SHIFT)[:, None, None]
    window, heights = Window(0, 0, LINES, SAMPLES), np.zeros((LINES, SAMPLES), np.float32)
    matrix = np.array([[1.0, 0.0, SHIFT[0]], [0.0, 1.0, SHIFT[1]], [0.0, 0.0, 1.0]])
    first = START.timestamp()
    theirs = Sentinel1BurstResample(
        (0, 0, SAMPLES, LINES),
        (LINES, SAMPLES),
        matrix,
        DOPPLER,
        LINES,
        1 / LINE_S,
        RANGE_HZ,
        NEAR_S,
        (first, first, first + LINES * LINE_S),
    )
    blocks = [source[k : k + 256] for k in range(0, LINES, 256)]
    runs: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: resample(deramp(blocks, META, ramp), lattice, window, window, heights, META.wavelength_m),
        "ours_iw1_band": lambda: resample(
            deramp(blocks, replace(META, range_band=0.878), ramp), lattice, window, window, heights, META.wavelength_m
        ),
        "eos": lambda: theirs.resample(source),
    }
    seconds, error_db = measure(runs, truth)
    megapixels = LINES * SAMPLES / 1e6
    print(
        json.dumps(
            {
                "bench": "resample",
                "megapixels": round(megapixels, 2),
                "cpu_s_per_megapixel": {name: round(value / megapixels, 4) for name, value in seconds.items()},
                "eos_over_ours": round(seconds["eos"] / seconds["ours"], 2),
                "eos_over_ours_iw1_band": round(seconds["eos"] / seconds["ours_iw1_band"], 2),
                "error_db": error_db,
            }
        )
    )
    return 0 if error_db["ours"] < -48 and error_db["eos"] < -20 else 1


if __name__ == "__main__":
    sys.exit(main())
