"""The resampling kernel against the exact shift of band-limited TOPS signals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from satdaemon.insar.doppler import DopplerRamp
from satdaemon.insar.grid import Window
from satdaemon.insar.lattice import Lattice, quantity_at
from satdaemon.insar.resample import (
    LARGEST_ERROR,
    DerampedBurst,
    _correlation,
    deramp,
    interpolation_table,
    resample,
)
from satdaemon.insar.swath import BurstMeta
from satdaemon.insar.warm import warm

SIZE = 512
LINE_S = 2.0555563e-3
RATE, CENTROID, REFERENCE = 1780.0, 25.0, 0.01
INNER = slice(24, -24)

META = BurstMeta(
    "132_8603_IW1",
    "132_8603_IW1",
    "IW1",
    "scene",
    SIZE,
    SIZE,
    datetime(2021, 4, 4, tzinfo=UTC),
    0,
    SIZE,
    LINE_S,
    5.6e-3,
    64.3e6,
    0.0555,
    5.6e-3,
    0.0277,
    (0.0, -2300.0, 0.0, 0.0),
    (0.0, 0.0),
    (0.0, 0.0, 0.0),
    0.75,
    0.67,
)
RAMP = DopplerRamp(-SIZE / 2 * LINE_S, LINE_S, np.full(SIZE, RATE), np.full(SIZE, CENTROID), np.full(SIZE, REFERENCE))


def _spectrum(band: float) -> np.ndarray:
    f = np.fft.fftfreq(SIZE)
    return np.where(np.abs(f) < band / 2, 0.75 + 0.25 * np.cos(2 * np.pi * f / band), 0)


def _ramp_phase(line: np.ndarray) -> np.ndarray:
    e = RAMP.start_s + line * LINE_S - REFERENCE
    return np.exp(2j * np.pi * (RATE / 2 * e + CENTROID) * e)[:, None]


def _signal(meta: BurstMeta, shift: tuple[float, float]) -> np.ndarray:
    """A TOPS signal sampled `shift` lines and samples further on; periodic, so exact."""
    rng = np.random.default_rng(4)
    f = np.fft.fftfreq(SIZE)
    noise = np.fft.fft2(rng.standard_normal((SIZE, SIZE)) + 1j * rng.standard_normal((SIZE, SIZE)))
    noise *= _spectrum(meta.azimuth_band)[:, None] * _spectrum(meta.range_band)
    noise *= np.exp(2j * np.pi * (f[:, None] * shift[0] + f[None] * shift[1]))
    return np.fft.ifft2(noise) * _ramp_phase(np.arange(SIZE) + shift[0])


def _constant(line: float, sample: float, range_m: float = 0.0) -> Lattice:
    lattice = Lattice(0.0, 0.0, float(SIZE - 1), float(SIZE - 1), 0.0, 1.0, np.zeros((4, 3, 2, 2)))
    lattice.terms[:3, 0] = np.array([line, sample, range_m])[:, None, None]
    return lattice


WHOLE = Window(0, 0, SIZE, SIZE)
FLAT = np.zeros((SIZE, SIZE), np.float32)


@pytest.mark.parametrize("range_band", [0.665, 0.75, 0.878])
@pytest.mark.parametrize("shift", [(0.1, -0.1), (0.25, 0.75), (2.5, -3.5)])
def test_error_below_48_db(range_band: float, shift: tuple[float, float]) -> None:
    meta = replace(META, range_band=range_band)
    source = _signal(meta, (0.0, 0.0)).astype(np.complex64)
    burst = deramp([source[:200], source[200:]], meta, RAMP)
    found = resample(burst, _constant(*shift), WHOLE, WHOLE, FLAT, meta.wavelength_m, cores=2)
    truth = _signal(meta, shift)
    error = np.mean(np.abs(found - truth)[INNER, INNER] ** 2) / np.mean(np.abs(truth) ** 2)
    assert 10 * np.log10(error) < -48.0


def test_range_difference_and_shift_enter_the_phase() -> None:
    """Flattening multiplies by exp(+j 4 pi dR / wavelength); `shift_lines` moves the sampling."""
    burst = deramp([_signal(META, (0.0, 0.0)).astype(np.complex64)], META, RAMP)
    moved = resample(burst, _constant(0.3, 0.0), WHOLE, WHOLE, FLAT, META.wavelength_m)
    same = resample(burst, _constant(0.0, 0.0), WHOLE, WHOLE, FLAT, META.wavelength_m, shift_lines=0.3)
    assert np.nanmax(np.abs(moved - same)[INNER, INNER]) < 1e-3 * np.nanstd(np.abs(moved))
    range_m = 123.4567
    flat = resample(burst, _constant(0.3, 0.0, range_m), WHOLE, WHOLE, FLAT, META.wavelength_m)
    turn = np.angle(np.nansum(flat * np.conj(moved)) * np.exp(-4j * np.pi * range_m / META.wavelength_m))
    assert abs(turn) < 1e-4


def test_part_of_a_burst_gives_the_same_pixels() -> None:
    source = _signal(META, (0.0, 0.0)).astype(np.complex64)
    whole, part = deramp([source], META, RAMP), deramp([source[100:300]], META, RAMP, (100, 300))
    window = Window(150, 40, 80, 300)
    heights = np.zeros((80, 300), np.float32)
    a = resample(whole, _constant(1.4, 0.2), window, WHOLE, heights, META.wavelength_m)
    b = resample(part, _constant(1.4, 0.2), window, WHOLE, heights, META.wavelength_m)
    assert np.abs(a - b).max() <= 2e-4 * np.abs(a).max()


def test_no_data_where_the_burst_or_the_height_ends() -> None:
    burst = deramp([_signal(META, (0.0, 0.0)).astype(np.complex64)], META, RAMP)
    heights = FLAT.copy()
    heights[200, 100] = np.nan
    found = resample(burst, _constant(-20.0, 0.0), WHOLE, WHOLE, heights, META.wavelength_m)
    assert np.isnan(found[:20]).all() and np.isnan(found[200, 100])
    assert np.isfinite(found[30:200, 20:-20]).all()


def test_height_moves_the_offset_along_a_parabola() -> None:
    lattice = _constant(0.0, 0.0)
    lattice.terms[3] = np.array([10.0, 2.0, 0.5])[:, None, None]
    heights = np.array([[-1.0, 0.0, 2.0]], np.float32)
    assert quantity_at(lattice, 3, Window(5, 5, 1, 3), heights)[0] == pytest.approx([8.5, 10.0, 16.0])


@pytest.mark.parametrize("band", [0.5, 0.7, 0.75, 0.88])
def test_tables_keep_the_promised_error(band: float) -> None:
    """The table's own error formula, checked by summing the spectrum."""
    table = interpolation_table(band).astype(np.float64)
    taps = table.shape[1]
    f = np.linspace(-band / 2, band / 2, 4001)
    power = (0.75 + 0.25 * np.cos(2 * np.pi * f / band)) ** 2
    power /= power.sum()
    at = np.arange(taps) - (taps // 2 - 1)
    fractions = np.arange(table.shape[0]) / (table.shape[0] - 1)
    for k in (0, 100, 512, 1024):
        error = np.exp(2j * np.pi * f * fractions[k]) - np.exp(2j * np.pi * f[:, None] * at) @ table[k]
        assert np.sum(power * np.abs(error) ** 2) < 2 * LARGEST_ERROR
    lag = np.array([0.0, 0.3, 4.0])
    assert np.allclose(_correlation(lag, band), [np.sum(power * np.cos(2 * np.pi * f * x)) for x in lag], atol=1e-3)


def test_warm_loads_what_jobs_use() -> None:
    """After `warm` no kernel is compiled again, whatever slices a job passes."""
    from satdaemon.insar import lattice, terrain
    from satdaemon.insar import resample as module

    warm()
    kernels = (module._deramp, module._resample, lattice._quantity_at, terrain._find_ground)
    before = [len(k.signatures) for k in kernels]  # type: ignore[attr-defined]
    burst = deramp([_signal(META, (0.0, 0.0)).astype(np.complex64)], META, RAMP)
    assert isinstance(burst, DerampedBurst)
    resample(burst, _constant(0.0, 0.0), WHOLE, WHOLE, FLAT, META.wavelength_m, cores=2)
    quantity_at(_constant(0.0, 0.0), 3, WHOLE, FLAT)
    assert [len(k.signatures) for k in kernels] == before  # type: ignore[attr-defined]
