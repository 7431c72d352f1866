"""The smooth part of an interferogram's phase, taken off before siblings are averaged and put back after.

Motion and atmosphere change the phase across a sibling window. Averaging over such a slope loses coherence and, where
a pixel's siblings lie to one side, gives the phase of another place. The smooth phase is found on a coarse grid of nodes that is
fixed to the frame, so the result does not depend on how the frame is cut into blocks.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from satdaemon.insar.kernel import kernel

Complex = NDArray[np.complex64]
NODE = (8, 24)
"""Rows and columns of one node."""
HALO_ROWS = 4 * NODE[0]
"""Rows beyond the pixels wanted that the smooth phase depends on (two nodes of smoothing, one of interpolation)."""
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def smooth_phase(product: Complex, first_row: int) -> Complex:
    """Unit phasors of the smooth phase, same shape as `product`.

    Parameters
    ----------
    product
        `s1 conj(s2)`, 0 where there is no data, shape (rows, cols).
    first_row
        Row of the frame that is row 0 of `product`; must be a multiple of `NODE[0]`.
    """
    if first_row % NODE[0]:
        raise ValueError(f"first row: expected a multiple of {NODE[0]}, got {first_row}")
    rows, cols = product.shape
    nodes = np.zeros((-(-rows // NODE[0]), -(-cols // NODE[1])), np.complex64)
    _sum_nodes(product, nodes)
    # every node counts alike where it is coherent: bright ground must not speak for its neighbours
    scale = np.abs(nodes)
    nodes = np.divide(nodes, np.sqrt(scale), out=np.zeros_like(nodes), where=scale > 0)
    for axis in (0, 1):
        nodes = _convolve(nodes, axis)
    result = np.empty_like(product)
    _interpolate(nodes, result)
    return result


def _convolve(nodes: Complex, axis: int) -> Complex:
    padded = np.pad(nodes, [(2, 2) if k == axis else (0, 0) for k in (0, 1)])
    size = nodes.shape[axis]
    parts = [weight * np.take(padded, range(k, k + size), axis) for k, weight in enumerate(_BINOMIAL)]
    result: Complex = np.sum(parts, axis=0, dtype=np.complex64)
    return result


@kernel(parallel=True)
def _sum_nodes(product: Complex, nodes: Complex) -> None:
    for u in prange(nodes.shape[0]):
        for i in range(u * 8, min(u * 8 + 8, product.shape[0])):
            for j in range(product.shape[1]):
                nodes[u, j // 24] += product[i, j]


@kernel(parallel=True)
def _interpolate(nodes: Complex, result: Complex) -> None:
    """Bilinear between node centres, normalised to 1; 1 where all nodes around are empty."""
    for i in prange(result.shape[0]):
        y = min(max((i + 0.5) / 8 - 0.5, 0.0), nodes.shape[0] - 1.0)
        u = min(int(y), max(nodes.shape[0] - 2, 0))
        u1 = min(u + 1, nodes.shape[0] - 1)
        fy = np.float32(y - u)
        for j in range(result.shape[1]):
            x = min(max((j + 0.5) / 24 - 0.5, 0.0), nodes.shape[1] - 1.0)
            v = min(int(x), max(nodes.shape[1] - 2, 0))
            v1 = min(v + 1, nodes.shape[1] - 1)
            fx = np.float32(x - v)
            value = (1 - fy) * ((1 - fx) * nodes[u, v] + fx * nodes[u, v1]) + fy * (
                (1 - fx) * nodes[u1, v] + fx * nodes[u1, v1]
            )
            size = np.sqrt(value.real * value.real + value.imag * value.imag)
            result[i, j] = value / size if size > 0 else 1
