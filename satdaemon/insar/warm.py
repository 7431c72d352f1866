"""Compiled kernels of the slc and satsar stages loaded ahead of time, for a process from which jobs are forked."""

from __future__ import annotations

import numpy as np

from satdaemon.insar.dem import Dem
from satdaemon.insar.doppler import DopplerRamp
from satdaemon.insar.grid import Window
from satdaemon.insar.lattice import Lattice, quantity_at
from satdaemon.insar.resample import DerampedBurst, deramp_block, resample
from satdaemon.insar.terrain import Terrain, find_ground


def warm() -> None:
    """Compile, or load from disk, every kernel by a call on a few pixels. Starts no thread."""
    lattice = Lattice(0.0, 0.0, 32.0, 64.0, 0.0, 1.0, np.zeros((4, 3, 2, 2)))
    window, height = Window(0, 0, 2, 2), np.zeros((2, 2), np.float32)
    ramp = DopplerRamp(0.0, 0.002, np.ones(32), np.zeros(32), np.zeros(32))
    real, imag = np.zeros((32, 32), np.float32), np.zeros((32, 32), np.float32)
    deramp_block(np.zeros((32, 32), np.complex64), ramp, 0, real, imag)
    resample(DerampedBurst(real, imag, ramp, 0.7, 0.75), lattice, window, window, height, 0.0555)
    quantity_at(lattice, 0, window, height)
    dem = Dem(np.zeros((2, 2), np.float32), np.ones((2, 2), bool), 0.0, 0.0, 1.0, -1.0)
    find_ground(Terrain(lattice, dem), window)
