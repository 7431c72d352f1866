"""The demo's two pictures: a map of ground velocity, and a point's series beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from satdaemon.cli.demo.result import DemoResult
from satdaemon.simulator import Truth

GOOD = 0.7
"""Least temporal coherence of a point that is drawn."""
DRAWN = 60_000


def draw_velocity(result: DemoResult, truth: Truth, path: Path) -> None:
    """Map of LOS velocity: measured beside true, one colour scale."""
    plt = _pyplot()
    points = result.points
    good = np.flatnonzero((points["temporal_coherence"] >= GOOD) & np.isfinite(points["velocity"]))
    chosen = good[:: max(1, good.size // DRAWN)]
    lon, lat = points["lon"][chosen], points["lat"][chosen]
    true = _true_velocity(result, truth, chosen)
    limit = float(np.nanpercentile(np.abs(points["velocity"][chosen]), 99)) or 1.0
    figure, axes = plt.subplots(1, 2, figsize=(7, 11), sharex=True, sharey=True, layout="constrained")
    for axis, values, title in ((axes[0], points["velocity"][chosen], "measured"), (axes[1], true, "simulated truth")):
        dots = axis.scatter(lon, lat, c=values, s=0.6, cmap="RdYlBu", vmin=-limit, vmax=limit, linewidths=0, rasterized=True)
        axis.set_title(title)
        axis.set_xlabel("longitude (deg)")
        axis.tick_params(axis="x", rotation=45)
    axes[0].set_ylabel("latitude (deg)")
    figure.colorbar(dots, ax=axes, label="LOS velocity (mm/yr, positive towards the satellite)", shrink=0.6)
    figure.suptitle(f"{result.frame_id}: {good.size:,} points, {len(result.dates)} dates\n(longitude stretched)")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_series(result: DemoResult, truth: Truth, path: Path) -> int:
    """Series of a sinking point and of a stable one, with the truth. Returns the index of the first."""
    plt = _pyplot()
    points = result.points
    whole = np.isfinite(points["displacement"]).all(axis=1) & (points["temporal_coherence"] >= 0.9)
    moving, stable = _in_the_bowl(points["velocity"], points["coherence"], whole), int(result.reference[0])
    figure, axis = plt.subplots(figsize=(9, 5), layout="constrained")
    days = list(result.dates)
    for index, colour, name in ((moving, "tab:red", "in the bowl"), (stable, "tab:blue", "in the reference area")):
        axis.plot(days, points["displacement"][index], "o", color=colour, label=f"{name}: measured")
        axis.plot(days, _true_series(result, truth, np.array([index]))[0], "-", color=colour, label=f"{name}: truth")
    axis.set_ylabel("LOS displacement (mm, positive towards the satellite)")
    axis.set_title(
        f"{result.frame_id} at {points['lon'][moving]:.5f}, {points['lat'][moving]:.5f}: "
        f"{points['velocity'][moving]:.1f} ± {points['velocity_std'][moving]:.1f} mm/yr"
    )
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return moving


def _in_the_bowl(velocity: NDArray[Any], coherence: NDArray[Any], usable: NDArray[np.bool_]) -> int:
    """The most coherent of the fastest sinking 1 % of points: the fastest of all would be the worst outlier."""
    index = np.flatnonzero(usable)
    fast = index[velocity[index] <= np.quantile(velocity[index], 0.01)]
    return int(fast[np.argmax(coherence[fast])])


def _true_series(result: DemoResult, truth: Truth, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Motion + atmosphere, mm, against the first date and the reference area: (points, dates)."""
    reference = _absolute(result, truth, result.reference).mean(axis=0)
    return np.asarray(_absolute(result, truth, index) - reference, dtype=np.float64)


def _absolute(result: DemoResult, truth: Truth, index: NDArray[np.int64]) -> NDArray[np.float64]:
    lon, lat, height = (result.points[name][index] for name in ("lon", "lat", "height"))
    series = np.stack([truth.expected_mm(lon, lat, height, day) for day in result.dates], axis=1)
    return np.asarray(series - series[:, :1], dtype=np.float64)


def _true_velocity(result: DemoResult, truth: Truth, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Least-squares line through the true motion, mm/yr."""
    years = np.array([(day - result.dates[0]).days / 365.25 for day in result.dates])
    series = _true_series(result, truth, index)
    slope = np.polyfit(years, series.T, 1)[0]
    return np.asarray(slope, dtype=np.float64)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt
