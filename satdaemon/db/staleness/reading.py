"""Which products a product reads: by the structure of the chain, and by what was recorded with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from satdaemon.db.staleness.facts import FRAME_KEY, Facts, Key
from satdaemon.status import Stage

UNKNOWN = "unknown"
"""Recorded where the product that was read had no row."""
BY_RECORD = frozenset({(Stage.COHERENCE, FRAME_KEY), (Stage.TIMESERIES, FRAME_KEY)})
"""Products that read many others; which, only their record says."""
_TRANSMITS = {
    "download": Stage.DOWNLOAD,
    "slc": Stage.SLC,
    "siblings": Stage.COHERENCE,
    "coherence": Stage.COHERENCE,
    "timeseries": Stage.TIMESERIES,
}


def order(facts: Facts) -> list[Key]:
    """The frame's products, each after what it reads."""
    ranks = {stage: place for place, stage in enumerate(Stage)}
    return sorted(facts.products, key=lambda k: (ranks[k[0]], k[1] not in (FRAME_KEY, facts.master_key), k[1]))


def reads(facts: Facts, key: Key) -> list[Key]:
    """What the product reads by the structure of the chain; not the many of `BY_RECORD`."""
    stage, name = key
    geometry = (Stage.SATSAR, facts.master_key)
    match stage:
        case Stage.SLC:
            return [(Stage.DOWNLOAD, name)]
        case Stage.SATSAR:
            return [(Stage.SLC, name)] if name == facts.master_key else [(Stage.SLC, name), geometry]
        case Stage.COHERENCE if name != FRAME_KEY:
            return [(Stage.COHERENCE, FRAME_KEY), *((Stage.SATSAR, day) for day in name.split("_"))]
        case Stage.UNWRAP:
            return [(Stage.COHERENCE, name), geometry]
        case Stage.COHERENCE | Stage.TIMESERIES:
            return [geometry]
        case Stage.INGEST:
            return [(Stage.TIMESERIES, FRAME_KEY)]
        case _:
            return []


def recorded_reads(facts: Facts, key: Key, given: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """What the product was given, with the fingerprint that it had then.

    Neighbouring dates are left out: they only steady a date's timing, and each date would hang on every other.
    """
    for role, print_ in given.get("inputs", {}).items():
        head, _, tail = role.partition("/")
        if head == "neighbour":
            continue
        if head in ("master", "geometry"):
            yield (Stage.SATSAR, facts.master_key), print_
        elif head in ("satsar", "unwrap"):
            yield (Stage(head), tail), print_
        elif head in _TRANSMITS:
            name = FRAME_KEY if head == "siblings" else key[1]
            yield (_TRANSMITS[head], name), print_
