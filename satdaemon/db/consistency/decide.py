"""Where a row belongs by the products that are there: pure rules, no database and no disk.

Forward only by news: a product that the database does not know shows that more was done than it says. A product that
it does know says nothing new: where its row waits all the same, somebody wants it made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from satdaemon.db.consistency.contents import State, Verdict
from satdaemon.db.consistency.report import Place
from satdaemon.status import STAGES_OF, ProcStatus, RowKind, Stage

LASTING: dict[RowKind, frozenset[int]] = {
    RowKind.MASTER: frozenset(STAGES_OF[RowKind.MASTER].index(s) + 1 for s in (Stage.SATSAR, Stage.COHERENCE)),
    RowKind.IFG: frozenset(),
    RowKind.RSAR_IFG: frozenset(),
}
"""Stages whose products every later date reads too (geometry, siblings): without them later ones count for nothing."""
_S = ProcStatus
_HAS = (_S.DONE, _S.DONE_WITH_WARNINGS, _S.STALE)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a row goes, and why."""

    after: Place
    why: str


def claimed(place: Place) -> int:
    """The furthest stage whose product a row says is there; 0 for none."""
    return place.stage if place.status in _HAS else place.stage - 1


def furthest(kind: RowKind, verdicts: Mapping[int, Verdict]) -> int:
    """The most advanced stage with a product that serves; 0 for none."""
    best = 0
    for number in range(1, len(STAGES_OF[kind]) + 1):
        if verdicts[number].serves:
            best = number
        elif number in LASTING[kind]:
            break
    return best


def decide(kind: RowKind, place: Place, verdicts: Mapping[int, Verdict]) -> Decision | None:
    """The move that a row needs; None where it stands right. `verdicts` has every stage of the kind.

    The row must not have a live job.
    """
    if place.status is _S.EXCLUDED or any(v.state is State.UNSURE for v in verdicts.values()):
        return None
    best, claim = furthest(kind, verdicts), claimed(place)
    if (best > claim or (best == claim and place.status in _HAS)) and best and _is_evidence(place, best, verdicts):
        return _forward(kind, place, best, verdicts)
    if best < claim:
        return _back(kind, place, best, claim, verdicts)
    old = next((n for n in range(1, claim + 1) if verdicts[n].state is State.OUTDATED), None)
    if old is not None and place.status not in _HAS:
        return Decision(Place(_first_to_make(old, verdicts), _S.WAITING), verdicts[old].why)
    if place.status is _S.RUNNING:
        return Decision(Place(place.stage, _S.WAITING), "marked running without a job")
    if place.status is _S.STALE and place.stale_from is not None:
        first = _first_to_make(place.stale_from, verdicts)
        if first < place.stale_from:
            return Decision(Place(place.stage, _S.STALE, first), f"{verdicts[first].why}: it is needed to make it again")
    return None


def _is_evidence(place: Place, best: int, verdicts: Mapping[int, Verdict]) -> bool:
    """News of the furthest stage; for a stale row, news of every stage that was to be made again."""
    if not verdicts[best].is_news:
        return False
    if place.status is _S.STALE and place.stale_from is not None and place.stale_from <= best:
        again = [verdicts[n] for n in range(place.stale_from, best + 1)]
        return all(v.is_news or v.state is State.MISSING for v in again)
    return True


def _forward(kind: RowKind, place: Place, best: int, verdicts: Mapping[int, Verdict]) -> Decision | None:
    outdated = [n for n in range(1, best + 1) if verdicts[n].state is State.OUTDATED]
    name = STAGES_OF[kind][best - 1]
    if outdated:
        after = Place(best, _S.STALE, _first_to_make(outdated[0], verdicts))
        return None if after == place else Decision(after, f"{name} is there; {verdicts[outdated[0]].why}")
    if place.stage == best and place.status in (_S.DONE, _S.DONE_WITH_WARNINGS):
        return None
    return Decision(Place(best, _S.DONE), f"a whole product of {name} is there")


def _back(kind: RowKind, place: Place, best: int, claim: int, verdicts: Mapping[int, Verdict]) -> Decision:
    first = best + 1
    if place.status is _S.STALE and place.stale_from is not None:
        first = min(first, place.stale_from)
    lacking = next(n for n in range(best + 1, claim + 1) if not verdicts[n].serves)
    why = f"{STAGES_OF[kind][lacking - 1]}: {verdicts[lacking].why}"
    return Decision(Place(_first_to_make(first, verdicts), _S.WAITING), why)


def _first_to_make(stage: int, verdicts: Mapping[int, Verdict]) -> int:
    """The stage to begin with so that `stage` finds what it reads: the one before it, back to one that is there."""
    while stage > 1 and not verdicts[stage - 1].serves:
        stage -= 1
    return stage
