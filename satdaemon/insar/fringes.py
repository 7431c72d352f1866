"""The slope of an interferogram's phase, taken off within each sibling window.

Motion and atmosphere change the phase across a window. Averaging over such a slope loses coherence and, where a pixel's
siblings lie to one side (a shore, an edge), gives the phase of another place. The slope is found from sums over nodes of a coarse
grid that is fixed to the frame, so the result does not depend on how the frame is cut into blocks.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Complex = NDArray[np.complex64]
Floats = NDArray[np.float32]
NODE = (8, 24)
"""Rows and columns of one node; slopes up to pi over a node are told apart."""
HALO_ROWS = 3 * NODE[0]
"""Rows beyond the pixels wanted that their slope depends on."""
CERTAIN = 0.6
"""Slopes whose phasors agree less than this (1 = all alike) are noise and taken as 0: 13 random ones reach it in 1 %."""
_WEIGHTS = (0.125, 0.375, 0.375, 0.125)


def phase_slopes(product: Complex, first_row: int) -> tuple[Floats, Floats]:
    """Phase slope along rows and along columns at each node, rad/px, shape (ceil(rows / 8), ceil(cols / 24)).

    Parameters
    ----------
    product
        `s1 conj(s2)`, 0 where there is no data, shape (rows, cols).
    first_row
        Row of the frame that is row 0 of `product`; must be a multiple of `NODE[0]`.
    """
    if first_row % NODE[0]:
        raise ValueError(f"first row: expected a multiple of {NODE[0]}, got {first_row}")
    nodes = np.zeros((-(-product.shape[0] // NODE[0]), -(-product.shape[1] // NODE[1])), np.complex64)
    _sum_nodes(product, nodes)
    # bright ground must not speak for its neighbours
    size = np.abs(nodes)
    nodes = np.divide(nodes, np.sqrt(size), out=np.zeros_like(nodes), where=size > 0)
    return _slope(nodes, 0), _slope(nodes, 1)


def _slope(nodes: Complex, axis: int) -> Floats:
    """Smoothed phasor of the step from node to node along `axis`, as rad/px; 0 where it is not certain."""
    n = nodes.shape[axis]
    step = np.take(nodes, range(1, n), axis) * np.take(nodes, range(n - 1), axis).conj()
    total, size = (_smooth(values, axis) for values in (step, np.abs(step).astype(np.complex64)))
    certain = np.abs(total) > CERTAIN * size.real
    return np.where(certain, np.angle(total) / NODE[axis], 0).astype(np.float32)


def _smooth(step: Complex, axis: int) -> Complex:
    """Steps lie between nodes along `axis`: four of them around each node; five across."""
    along = np.pad(step, [(2, 2) if k == axis else (0, 0) for k in (0, 1)])
    n = step.shape[axis] + 1
    parts = [weight * np.take(along, range(k, k + n), axis) for k, weight in enumerate(_WEIGHTS)]
    across = np.pad(np.sum(parts, axis=0), [(2, 2) if k != axis else (0, 0) for k in (0, 1)])
    n = step.shape[1 - axis]
    binomial = enumerate((1, 4, 6, 4, 1))
    result: Complex = np.sum(
        [weight / 16 * np.take(across, range(k, k + n), 1 - axis) for k, weight in binomial], axis=0, dtype=np.complex64
    )
    return result


@kernel(parallel=True)
def _sum_nodes(product: Complex, nodes: Complex) -> None:
    for u in prange(nodes.shape[0]):
        for i in range(u * 8, min(u * 8 + 8, product.shape[0])):
            for j in range(product.shape[1]):
                nodes[u, j // 24] += product[i, j]
