"""Why one product is not what would be made now: a comparison of what was recorded with what is there.

What was not recorded, or cannot be seen now, is unknown and no reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from satdaemon.config import Settings
from satdaemon.db.frames import network_settings
from satdaemon.db.staleness.conditions import (
    GATES,
    ON_FRAME_GRID,
    Processors,
    counting,
    digest,
    names_playing,
    program_of,
    recorded,
    stage_settings,
)
from satdaemon.db.staleness.facts import Facts, Key, Shown
from satdaemon.domain import some_of
from satdaemon.status import RowKind, Stage

PROGRAM = "processor "
"""How reasons begin that are about the program."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a product of one stage and kind of row would be recorded with now."""

    values: Mapping[str, Any]
    """As `conditions.recorded`."""
    program: tuple[str, str] | None
    known: frozenset[str]
    """Settings that the stage's section has."""
    names: frozenset[str] | None
    """Settings that play a part; None for a site's own program, where keys beyond the section's count too."""

    @property
    def token(self) -> str:
        """Digest of all this."""
        return digest([self.values, self.program])


def expected(facts: Facts, settings: Settings, kind: RowKind, stage: Stage, processors: Processors | None) -> Expected:
    """What would be recorded with a new product of a frame."""
    network = network_settings(settings, facts.frame)
    given = stage_settings(settings, facts.frame, stage, network)
    values = json.loads(json.dumps(recorded(settings, kind, stage, given, facts.master, facts.bursts), default=str))
    section = frozenset(type(settings.stage(stage)).model_fields)
    return Expected(values, program_of(settings, stage, processors), section, names_playing(settings, kind, stage))


def changed_conditions(given: Mapping[str, Any], now: Expected, stage: Stage) -> list[str]:
    """Settings, program, DEM, master and bursts that are others now."""
    if stage is Stage.DOWNLOAD:
        return _program(given, now.program)
    reasons = []
    if "settings" in given:
        before = counting(now.names, given["settings"])
        reasons += _settings(before, now.values.get("settings", {}), now)
    names = ["polarisation", "command", *(["master"] if stage in ON_FRAME_GRID else [])]
    for name in names:
        if name in given and name in now.values and given[name] != now.values[name]:
            reasons.append(f"{name} {given[name]} became {now.values[name]}")
    if "bursts" in given and "bursts" in now.values:
        reasons += _bursts(set(given["bursts"]), set(now.values["bursts"]))
    if given.get("dem") and now.values.get("dem") and given["dem"][1:] != now.values["dem"][1:]:
        reasons.append(f"the DEM {given['dem'][0]} was replaced by {now.values['dem'][0]}")
    return reasons + _program(given, now.program)


def _settings(before: Mapping[str, Any], after: Mapping[str, Any], now: Expected) -> list[str]:
    reasons = [
        f"{name} {_plain(before[name])} became {_plain(after[name])}"
        for name in sorted(before.keys() & after.keys() - GATES)
        if before[name] != after[name]
    ]
    if now.names is None:
        # The section's own keys may be new with a release; others are the frame's, and absent means not given.
        one_sided = sorted((before.keys() ^ after.keys()) - now.known - GATES)
        reasons += [f"{name} is {'given' if name in after else 'not given'} now" for name in one_sided]
    return reasons


def _plain(value: Any) -> str:
    return "empty" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _bursts(before: set[str], after: set[str]) -> list[str]:
    parts = [f"{word} {some_of(sorted(some))}" for word, some in (("with", after - before), ("without", before - after)) if some]
    return [f"the frame is {' and '.join(parts)} now"] if parts else []


def _program(given: Mapping[str, Any], now: tuple[str, str] | None) -> list[str]:
    name, version = given.get("processor"), given.get("processor_version")
    if now is None or not name:
        return []
    if name != now[0]:
        return [f"{PROGRAM}{name} became {now[0]}"]
    if version and now[1] and is_newer(now[1], version):
        return [f"{PROGRAM}{name} {version} became {now[1]}"]
    return []


def is_newer(version: str, than: str) -> bool:
    """True where a version is newer, or another that is not comparable.

    An older one is no reason to make anything again: a planner that was not restarted yet after an update
    must not fight with workers that were.
    """
    try:
        return [int(part) for part in version.split(".")] > [int(part) for part in than.split(".")]
    except ValueError:
        return version != than


def changed_scenes(given: Mapping[str, Any], files: Sequence[Shown]) -> list[str]:
    """A reissued product, one more slice, or a file with other contents. One that has gone from disk is no change."""
    if not given.get("scenes") or not files:
        return []
    before = {scene: checksum for scene, checksum in given["scenes"]}
    now = {file.id: file.checksum for file in files}
    new = sorted(now.keys() - before.keys())
    if new:
        gone = some_of(sorted(before.keys() - now.keys())) or "fewer files"
        return [f"made from {gone}; now valid: {some_of(new)}"]
    other = [scene for scene in sorted(now) if _differ(before[scene], now[scene])]
    return [f"the contents of {some_of(other)} have changed"] if other else []


def _differ(one: str | None, other: str | None) -> bool:
    """True for different digests by the same algorithm."""
    return bool(one and other and one != other and one.partition(":")[0] == other.partition(":")[0])


def changed_pairs(given: Mapping[str, str], present: Mapping[str, str], usable: set[str], left_out: set[str]) -> list[str]:
    """Pairs that the series was not given as they are now, by name and fingerprint; and those left out since."""
    new = [pair for pair in sorted(present) if pair in usable and given.get(pair) != present[pair]]
    gone = sorted(given.keys() & left_out)
    reasons = [f"{len(new)} new or changed unwrapped pairs since the series was made"] if new else []
    return reasons + ([f"{len(gone)} pairs were left out since: {some_of(gone)}"] if gone else [])


def made_again(keys: Sequence[Key]) -> list[str]:
    """In words: these products were made again, with another outcome."""
    names = [f"{stage.value} {name}".removesuffix(" frame") for stage, name in keys]
    return [f"{some_of(names)} made again since"] if names else []
