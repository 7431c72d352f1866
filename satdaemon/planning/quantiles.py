"""Quantiles of what was seen, kept in little room and brought up to date one value at a time.

A histogram over logarithmic bins, eight to a factor of two: a quantile is known within a twelfth of itself. Old values
count less and less, so that what is seen now decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

BINS = 8
"""Bins to a factor of two."""
LEAST = 1e-3
"""Values below count as this."""
MOST = 200.0
"""Once a histogram holds so much, all that is in it counts half."""


def add(counts: Mapping[str, float], value: float) -> dict[str, float]:
    """The histogram with one value more. A copy: the one given stays as it is."""
    grown = dict(counts)
    if sum(grown.values()) >= MOST:
        grown = {name: count / 2 for name, count in grown.items() if count >= 0.25}
    name = str(math.floor(math.log2(max(value, LEAST)) * BINS))
    grown[name] = grown.get(name, 0.0) + 1.0
    return grown


def quantile(counts: Mapping[str, float], share: float) -> float | None:
    """The value that this share of what was seen does not exceed, rounded up to its bin's edge; None where nothing was seen."""
    wanted = share * sum(counts.values())
    seen = 0.0
    for number in sorted(int(name) for name in counts):
        seen += counts[str(number)]
        if seen >= wanted:
            return float(2.0 ** ((number + 1) / BINS))
    return None


def round_up_gb(amount_gb: float) -> float:
    """Memory as jobs ask for it: in steps of 0.05 GB below 1, of 0.25 below 8, of 1 above. So that it seldom changes."""
    step = 0.05 if amount_gb < 1 else 0.25 if amount_gb < 8 else 1.0
    return round(math.ceil(amount_gb / step - 1e-9) * step, 6)


def size_class(bursts: int) -> int:
    """Class of a frame by its number of bursts: 0 for none or one, then one more at each factor of two."""
    return max(bursts, 1).bit_length() - 1
