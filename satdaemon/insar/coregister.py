"""One date's bursts brought onto the frame grid, one burst in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from satdaemon.insar.acquisition import Acquisition, burst_file
from satdaemon.insar.doppler import doppler_ramp
from satdaemon.insar.esd import OverlapImage
from satdaemon.insar.geometry import Track, fit_track
from satdaemon.insar.grid import FrameGrid, GridBurst, Overlap, Window
from satdaemon.insar.lattice import Lattice, pair_lattice, quantity_at
from satdaemon.insar.rasters import open_radar, read_window
from satdaemon.insar.resample import MOST_TAPS, DerampedBurst, deramp, resample
from satdaemon.insar.swath import BurstMeta

BLOCK_ROWS = 256
BASELINE = 3
"""Place of the perpendicular baseline among the quantities of a pair's lattice."""


@dataclass(frozen=True, slots=True, eq=False)
class Coregistration:
    """A date against the frame grid."""

    grid: FrameGrid
    track: Track
    """The master's."""
    date: Acquisition
    slc_dir: Path
    height_path: Path
    """The master's height.tif."""
    date_track: Track
    cores: int = 1
    _lattices: dict[str, Lattice] = field(default_factory=dict)

    def bursts(self) -> list[tuple[GridBurst, BurstMeta]]:
        """Master bursts that the date has, with the date's own."""
        pairs = ((b, self.date.burst(b.meta.id)) for b in self.grid.bursts)
        return [(b, own) for b, own in pairs if own is not None]

    def overlaps(self) -> list[Overlap]:
        """Overlaps of which the date has both bursts."""
        present = {b.id for b in self.date.bursts}
        return [o for o in self.grid.overlaps() if {o.earlier, o.later} <= present]

    def lattice(self, burst: GridBurst, own: BurstMeta) -> Lattice:
        """Offsets, range difference and baseline over a burst; solved once."""
        if own.id not in self._lattices:
            heights = self._height_range(burst.outer)
            self._lattices[own.id] = pair_lattice(burst, self.track, own, self.date_track, burst.outer, heights)
        return self._lattices[own.id]

    def heights(self, window: Window) -> NDArray[np.float32]:
        """Ellipsoidal heights of a window, NaN where the master has none."""
        with open_radar(self.height_path) as source:
            return np.asarray(read_window(source, window.row, window.col, window.rows, window.cols), np.float32)

    def load(self, own: BurstMeta, lines: tuple[int, int] | None = None) -> DerampedBurst:
        """The date's burst, or some of its lines, without its phase ramp."""
        first, end = lines or (0, own.lines)
        with open_radar(self.slc_dir / burst_file(own.id)) as source:
            blocks = (
                read_window(source, line, 0, min(BLOCK_ROWS, end - line), own.samples) for line in range(first, end, BLOCK_ROWS)
            )
            return deramp(blocks, own, doppler_ramp(own, self.date_track), (first, end))

    def sample(
        self, burst: GridBurst, data: DerampedBurst, lattice: Lattice, window: Window, shift_px: float
    ) -> NDArray[np.complex64]:
        """A window of the frame grid out of the date's burst, flattened."""
        return resample(data, lattice, window, burst.outer, self.heights(window), self.grid.wavelength_m, shift_px, self.cores)

    def baseline(self, lattice: Lattice, window: Window) -> NDArray[np.float32]:
        """Perpendicular baseline over a window, m."""
        return quantity_at(lattice, BASELINE, window, self.heights(window)).astype(np.float32)

    def names(self) -> set[str]:
        """Overlaps of which the date has both bursts, by name."""
        return {o.name for o in self.overlaps()}

    def read(self, name: str) -> OverlapImage:
        """An overlap as both bursts see it, coregistered by geometry alone; reads only the lines needed."""
        overlap = next(o for o in self.overlaps() if o.name == name)
        return self._side(overlap, overlap.earlier), self._side(overlap, overlap.later)

    def _side(self, overlap: Overlap, burst_id: str) -> NDArray[np.complex64]:
        burst, own = next((b, o) for b, o in self.bursts() if o.id == burst_id)
        lattice = self.lattice(burst, own)
        data = self.load(own, self._lines(burst, own, lattice, overlap.window))
        return self.sample(burst, data, lattice, overlap.window, 0.0)

    def _lines(self, burst: GridBurst, own: BurstMeta, lattice: Lattice, window: Window) -> tuple[int, int]:
        """Lines of the date's burst that a window needs."""
        offset = lattice.terms[0, 0]
        spread = np.abs(lattice.terms[0, 1:]).sum(axis=0).max()
        first = window.row - burst.outer.row + float(offset.min() - spread) - MOST_TAPS
        end = window.end_row - burst.outer.row + float(offset.max() + spread) + MOST_TAPS
        low = min(max(0, int(first)), own.lines - 1)
        return low, max(low + 1, min(own.lines, int(np.ceil(end))))

    def _height_range(self, window: Window) -> tuple[float, float]:
        low, high = np.inf, -np.inf
        for block in split_rows(window):
            height = self.heights(block)
            if np.isfinite(height).any():
                low, high = min(low, float(np.nanmin(height))), max(high, float(np.nanmax(height)))
        return (low, high) if low <= high else (0.0, 0.0)


def coregistration(grid: FrameGrid, date: Acquisition, slc_dir: Path, master_dir: Path, cores: int) -> Coregistration:
    """Set up a date against a frame grid; fits both orbits."""
    return Coregistration(grid, fit_track(grid.arc), date, slc_dir, master_dir / "height.tif", fit_track(date.arc), cores)


def split_rows(window: Window, rows: int = BLOCK_ROWS) -> Iterator[Window]:
    """The window in bands of at most `rows` rows."""
    for row in range(window.row, window.end_row, rows):
        yield Window(row, window.col, min(rows, window.end_row - row), window.cols)
