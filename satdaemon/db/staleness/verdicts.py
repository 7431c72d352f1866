"""Which products of a frame are stale: for a reason of their own, or for what they read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from satdaemon.config import Settings
from satdaemon.db.staleness.conditions import Processors
from satdaemon.db.staleness.facts import FRAME_KEY, Facts, Key, Row, look_into
from satdaemon.db.staleness.orbits import OrbitShelf
from satdaemon.db.staleness.reading import BY_RECORD, UNKNOWN, order, reads, recorded_reads
from satdaemon.db.staleness.reasons import (
    PROGRAM,
    Expected,
    changed_conditions,
    changed_pairs,
    changed_scenes,
    expected,
    made_again,
)
from satdaemon.status import ProcStatus, RowKind, Stage

_OUT = (int(ProcStatus.FAILED), int(ProcStatus.EXCLUDED))
SERIES: Key = (Stage.TIMESERIES, FRAME_KEY)


@dataclass(slots=True)
class Verdict:
    """On one stale product."""

    own: list[str] = field(default_factory=list)
    """Inputs that have changed, in words."""
    behind: Key | None = None
    """A stale product that it reads."""
    has_new_pairs: bool = False
    """The series: what it lacks is pairs, the everyday case."""
    in_vain: bool = False
    """It was made again for this already, with the same outcome: planner and workers do not see the same."""


@dataclass(slots=True)
class Judgement:
    """On all products of a frame."""

    stale: dict[Key, Verdict] = field(default_factory=dict)
    fresh: dict[int, str] = field(default_factory=dict)
    """Product id -> token, of products newly found up to date."""

    given_up: set[Key] = field(default_factory=set)
    """Stale products that are not made again by themselves: in vain, or of rows that failed or were left out."""

    def reason(self, key: Key) -> str:
        """Why a product is stale, with the root of it."""
        verdict, root = self.stale[key], key
        if verdict.own:
            return "; ".join(verdict.own)
        while (behind := self.stale[root].behind) is not None:
            root = behind
        return f"{root[0].value} {root[1]} is stale: {'; '.join(self.stale[root].own)}".replace(f" {FRAME_KEY} ", " ", 1)


def judge_new(
    facts: Facts, keys: Collection[Key], settings: Settings, processors: Processors | None, shelf: OrbitShelf
) -> Judgement | None:
    """Compare some products with what there is now, as `load_new` read them; None where one of them is stale."""
    now = _Expectations(facts, settings, processors)
    for key in keys:
        orbit = facts.products[key].orbit
        if _own(facts, key, now.of(key)).own or (orbit and _better_orbit(facts, key, orbit, shelf)):
            return None
    return Judgement(fresh={facts.products[key].id: _token(facts, key, now.of(key)) for key in keys if key not in BY_RECORD})


def judge(session: Session, facts: Facts, settings: Settings, processors: Processors | None, shelf: OrbitShelf) -> Judgement:
    """Compare every product with what there is now. Those found up to date before, with the same, are not looked into."""
    now = _Expectations(facts, settings, processors)
    found = Judgement()
    tokens = {key: _token(facts, key, now.of(key)) for key in facts.products}
    doubtful = [key for key, token in tokens.items() if facts.products[key].judged != token]
    look_into(session, facts, [facts.products[key].id for key in doubtful])
    own = {key: _own(facts, key, now.of(key)) for key in doubtful}
    for key in doubtful:
        if now.of(key)[0].program is None:  # not compared, so that what is known of it stays
            own[key].own += _known_of_program(facts, key)
    found.fresh = {facts.products[key].id: tokens[key] for key in doubtful if not own[key].own}
    for key, made in facts.products.items():
        better = _better_orbit(facts, key, made.orbit, shelf) if made.orbit else None
        if better is not None:
            own.setdefault(key, Verdict()).own.append(better)
    found.stale = {key: verdict for key, verdict in own.items() if verdict.own}
    for key, verdict in found.stale.items():
        noted = facts.noted.get(facts.products[key].id)
        verdict.in_vain = noted is not None and noted.in_vain and noted.reason == "; ".join(verdict.own)
    if found.stale:
        look_into(session, facts, [facts.products[key].id for key in BY_RECORD if key in facts.products])
        _inherit(facts, found)
    return found


class _Expectations:
    """`expected`, once for each stage and kind of row."""

    def __init__(self, facts: Facts, settings: Settings, processors: Processors | None) -> None:
        self._args = (facts, settings, processors)
        self._found: dict[tuple[RowKind, Stage], tuple[Expected, str]] = {}

    def of(self, key: Key) -> tuple[Expected, str]:
        """What a product would be recorded with now, and the digest of that."""
        facts, settings, processors = self._args
        place = facts.kind_of(key), key[0]
        if place not in self._found:
            found = expected(facts, settings, *place, processors)
            self._found[place] = found, found.token
        return self._found[place]


def _token(facts: Facts, key: Key, now: tuple[Expected, str]) -> str:
    """Digest of all that a product is compared with, apart from orbits."""
    stage, name = key
    parts: list[object] = [now[1], *(facts.products[read].id for read in reads(facts, key) if read in facts.products)]
    if stage in (Stage.DOWNLOAD, Stage.SLC):
        parts += [(file.id, file.checksum) for file in facts.files.get(name, ())]
    if key in BY_RECORD:
        parts += sorted(made.id for (stage, _), made in facts.products.items() if stage in (Stage.SATSAR, Stage.UNWRAP))
    if key == SERIES:
        usable, left_out = _pairs(facts)
        parts += [*sorted(usable), "-", *sorted(left_out)]
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _own(facts: Facts, key: Key, now: tuple[Expected, str]) -> Verdict:
    given = facts.given[facts.products[key].id]
    stage, name = key
    verdict = Verdict(changed_conditions(given, now[0], stage))
    if stage in (Stage.DOWNLOAD, Stage.SLC):
        verdict.own += changed_scenes(given, facts.files.get(name, ()))
    # A series reads dates by its pairs only: those that were made again take it along.
    read = [] if key == SERIES else recorded_reads(facts, key, given)
    other = [one for one, print_ in read if one in facts.products and _differ(print_, facts.products[one].fingerprint)]
    if key == SERIES and "inputs" in given:
        usable, left_out = _pairs(facts)
        present = {name: made.fingerprint for (stage, name), made in facts.products.items() if stage is Stage.UNWRAP}
        before = {read[1]: print_ for read, print_ in recorded_reads(facts, key, given) if read[0] is Stage.UNWRAP}
        pairs = changed_pairs(before, present, usable, left_out)
        verdict.has_new_pairs = bool(pairs)
        verdict.own += pairs
    verdict.own += made_again(other)
    return verdict


def _known_of_program(facts: Facts, key: Key) -> list[str]:
    noted = facts.noted.get(facts.products[key].id)
    if noted is None or not noted.own:
        return []
    return [reason for reason in noted.reason.split("; ") if reason.startswith(PROGRAM)]


def _differ(before: str, now: str) -> bool:
    return before != now and UNKNOWN not in (before, now)


def _pairs(facts: Facts) -> tuple[set[str], set[str]]:
    """(pairs whose unwrapped phase serves, pairs that are left out), by product key."""
    usable, left_out = set(), set()
    for (kind, name), row in facts.rows_by_name.items():
        if kind is not RowKind.RSAR_IFG:
            continue
        if row.proc_status == ProcStatus.EXCLUDED:
            left_out.add(name)
        elif row.proc_stage == 2 and row.proc_status in (ProcStatus.DONE, ProcStatus.DONE_WITH_WARNINGS, ProcStatus.STALE):
            usable.add(name)
    return usable, left_out


def _better_orbit(facts: Facts, key: Key, orbit: str, shelf: OrbitShelf) -> str | None:
    files = facts.files.get(key[1], ())
    starts = [file.start_utc for file in files if file.start_utc is not None]
    stops = [file.stop_utc for file in files if file.stop_utc is not None]
    platforms = {file.platform for file in files}
    if not starts or not stops or len(platforms) != 1 or (platform := platforms.pop()) is None:
        return None
    return shelf.better(orbit.split(), platform, min(starts), max(stops))


def _inherit(facts: Facts, found: Judgement) -> None:
    """What reads a stale product is stale too, at once and through all stages."""
    rows = facts.rows_by_name
    for key in order(facts):
        read = reads(facts, key)
        if key in BY_RECORD:
            given = facts.given[facts.products[key].id]
            read += [other for other, _ in recorded_reads(facts, key, given) if not _is_out(facts, rows, other)]
        behind = next((other for other in read if other in found.stale), None)
        if behind is not None:
            found.stale.setdefault(key, Verdict()).behind = behind
    found.given_up = {key for key, verdict in found.stale.items() if verdict.in_vain or _is_out(facts, rows, key)}


def _is_out(facts: Facts, rows: Mapping[tuple[RowKind, str], Row], key: Key) -> bool:
    """True for a product of a row that failed or was left out: it would not be read again."""
    row = rows.get(facts.row_of(key))
    return row is None or row.proc_status in _OUT
