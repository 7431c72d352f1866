"""The interferograms of a frame over time and perpendicular baseline, for plots."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from satdaemon.db.ledger import Entry
from satdaemon.db.models import Ifg, Product
from satdaemon.db.store import Store
from satdaemon.domain import product_key
from satdaemon.status import LedgerState, RowKind, Stage

COHERENCE = "coherence_mean"


@dataclass(frozen=True, slots=True)
class Node:
    """A date."""

    date: dt.date
    bperp_m: float | None
    """To the master, metres; None where it is not known."""
    state: LedgerState
    is_master: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A pair of dates."""

    date1: date
    date2: date
    stage: Stage
    state: LedgerState
    reason: str
    coherence: float | None
    """Mean, 0 to 1, as its coherence product says."""


@dataclass(frozen=True, slots=True)
class Network:
    """All of a frame."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def network_of(db: Store, frame_id: str, standing: list[Entry]) -> Network:
    """From the current entries of the frame's ledger."""
    with db.read_scope() as session:
        bperp = {day: value for day, value in session.execute(select(Ifg.date, Ifg.bperp_m).where(Ifg.frame_id == frame_id))}
        made = select(Product.key, Product.metrics).where(Product.frame_id == frame_id, Product.stage == Stage.COHERENCE.value)
        coherence = {key: metrics.get(COHERENCE) for key, metrics in session.execute(made) if metrics}
    nodes, edges = [], []
    for entry in standing:
        if entry.kind is not RowKind.RSAR_IFG:
            is_master = entry.kind is RowKind.MASTER
            nodes.append(Node(entry.date1, 0.0 if is_master else bperp.get(entry.date1), entry.state, is_master))
        elif entry.date2 is not None:
            value = coherence.get(product_key(entry.kind, Stage.COHERENCE, entry.date1, entry.date2))
            found = float(value) if isinstance(value, int | float) else None
            edges.append(Edge(entry.date1, entry.date2, entry.stage, entry.state, entry.reason, found))
    return Network(tuple(sorted(nodes, key=lambda node: node.date)), tuple(edges))
