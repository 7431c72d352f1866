"""A small synthetic frame taken through coherence, unwrap, timeseries and ingest once for all tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from stack_products import INCIDENCE_DEG, RANGE_M, Chain, write_chain
from stack_truth import WAVELENGTH_M, Stack, make_stack

SHAPE = (192, 256)
DATES = 9
ABSENT = 2
"""The date that lacks the frame's first rows."""
ABSENT_ROWS = 40


@dataclass(frozen=True)
class Finished:
    """The frame's products and the truth behind them."""

    chain: Chain
    stack: Stack
    truth_mm: np.ndarray
    """LOS displacement of each date (motion + atmosphere), (dates, rows, cols)."""
    metrics: dict[str, dict]


@pytest.fixture(scope="session")
def stack_chain(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    rng = np.random.default_rng(12)
    stack = make_stack(SHAPE, DATES, motion_mm_per_year=60, atmosphere_mm=2, seed=4)
    truth_mm = stack.phase * WAVELENGTH_M / (4 * np.pi) * 1000
    stack.slc[ABSENT][:ABSENT_ROWS] = np.nan
    bperp = rng.normal(0, 60, DATES)
    chain = write_chain(tmp_path_factory.mktemp("frame"), stack, bperp)
    metrics = {"siblings": dict(chain.siblings().metrics)}
    for pair in chain.pairs():
        metrics["coherence"] = dict(chain.coherence(*pair).metrics)
        metrics["unwrap"] = dict(chain.unwrap(*pair).metrics)
    metrics["timeseries"] = dict(chain.timeseries(chain.pairs()).metrics)
    metrics["ingest"] = dict(chain.ingest().metrics)
    return Finished(chain, stack, truth_mm, metrics)


def mm_per_m(bperp_m: float) -> float:
    """Apparent displacement of one metre of DEM error."""
    return 1000 * bperp_m / (RANGE_M * np.sin(np.radians(INCIDENCE_DEG)))
