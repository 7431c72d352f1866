"""Synthetic SLC stacks whose coherence, motion and atmosphere are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WAVELENGTH_M = 0.05546576
WATER, FIELD, ROCK, TOWN = range(4)
AMPLITUDE = np.array([0.2, 0.8, 1.0, 2.0])


def band_limited(rng: np.random.Generator, shape: tuple[int, int], band: float = 0.75) -> np.ndarray:
    """Complex circular Gaussian speckle of unit power whose spectrum fills `band` of the sampling on both axes."""
    white = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    spectrum = np.fft.fft2(white)
    for axis in (0, 1):
        keep = np.abs(np.fft.fftfreq(shape[axis])) < band / 2
        spectrum *= keep[:, None] if axis == 0 else keep[None, :]
    field = np.fft.ifft2(spectrum)
    return field / np.sqrt(np.mean(np.abs(field) ** 2))


def coherence_matrix(days: np.ndarray, start: float, lasting: float, scale_days: float) -> np.ndarray:
    """Coherence between dates: falls from `start` to `lasting` with the days between them."""
    apart = np.abs(days[:, None] - days[None, :])
    matrix = lasting + (start - lasting) * np.exp(-apart / scale_days)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def class_matrices(days: np.ndarray) -> list[np.ndarray]:
    """Coherence matrices of water, field, rock and town."""
    return [
        np.eye(len(days)),
        coherence_matrix(days, 0.45, 0.0, 10.0),
        coherence_matrix(days, 0.80, 0.65, 60.0),
        coherence_matrix(days, 0.93, 0.85, 200.0),
    ]


def class_map(shape: tuple[int, int]) -> np.ndarray:
    """Water on the left, then rock with a town in it; a field below."""
    rows, cols = shape
    classes = np.full(shape, ROCK)
    shore = (cols * 0.15 + rows * 0.04 * np.sin(np.arange(rows) / rows * 9)).astype(int)
    classes[np.arange(cols)[None, :] < shore[:, None]] = WATER
    classes[rows // 5 : rows // 2, cols // 3 : cols * 3 // 4] = TOWN
    classes[rows * 7 // 10 :, cols // 2 :] = FIELD
    return classes


@dataclass(frozen=True)
class Stack:
    """SLCs (dates, rows, cols) complex64 and their truth."""

    days: np.ndarray
    slc: np.ndarray
    classes: np.ndarray
    phase: np.ndarray
    """Phase of each date without noise, rad, (dates, rows, cols)."""


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], power: float = 3.0) -> np.ndarray:
    """Power-law random field, zero mean, unit standard deviation (turbulent atmosphere: amplitude ~ k^-power/2 ...)."""
    ky = np.fft.fftfreq(shape[0])[:, None] * shape[0]
    kx = np.fft.fftfreq(shape[1])[None, :] * shape[1]
    k = np.hypot(ky, kx)
    k[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal(shape)) * k ** (-power / 2 - 0.5)
    field = np.fft.ifft2(spectrum).real
    return field / field.std()


def make_stack(
    shape: tuple[int, int] = (300, 400), dates: int = 10, step_days: int = 12, seed: int = 1,
    motion_mm_per_year: float = 0.0, atmosphere_mm: float = 0.0, gains: np.ndarray | None = None,
) -> Stack:
    """A stack of four ground classes; a subsidence bowl and an atmosphere a date give the phase."""
    rng = np.random.default_rng(seed)
    days = np.arange(dates) * step_days
    classes = class_map(shape)
    matrices = class_matrices(days)
    roots = np.stack([np.linalg.cholesky(m + 1e-9 * np.eye(dates)) for m in matrices])
    white = np.stack([band_limited(rng, shape) for _ in range(dates)])
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    bowl = -np.exp(-(((y / shape[0] - 0.35) / 0.15) ** 2 + ((x / shape[1] - 0.5) / 0.15) ** 2))
    slc = np.zeros((dates, *shape), np.complex64)
    phase = np.zeros((dates, *shape))
    for date in range(dates):
        for kind in range(4):
            here = classes == kind
            slc[date][here] = np.tensordot(roots[kind, date], white[:, here], 1) * AMPLITUDE[kind]
        los_mm = bowl * motion_mm_per_year * days[date] / 365.25
        los_mm = los_mm + (atmosphere_mm * smooth_field(rng, shape) if atmosphere_mm else 0)
        # towards the satellite shortens the range: phase -4 pi R / lambda grows
        phase[date] = 4 * np.pi / WAVELENGTH_M * los_mm * 1e-3
        slc[date] *= np.exp(1j * phase[date])
        if gains is not None:
            slc[date] *= gains[date]
    return Stack(days, slc, classes, phase)
