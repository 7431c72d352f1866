"""Rules of staleness that need no database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orbit_files import START, STOP, minutes, precise, restituted, write_orbit

from satdaemon.config import CoherenceSettings, SatsarSettings, Settings, StageSettings
from satdaemon.db.staleness.conditions import GATES, command_of, dem_of, digest, names_playing, playing, program_of
from satdaemon.db.staleness.facts import Shown
from satdaemon.db.staleness.orbits import OrbitShelf, precise_names
from satdaemon.db.staleness.reasons import Expected, changed_conditions, changed_pairs, changed_scenes, is_newer
from satdaemon.status import STAGES_OF, RowKind, Stage

CELLS = [(kind, stage) for kind, stages in STAGES_OF.items() for stage in stages]


def now(**values: Any) -> Expected:
    return Expected(values, ("unwrap", "1.2"), frozenset({"a", "b"}), frozenset({"a", "b"}))


def test_every_setting_of_a_section_plays_a_part_for_some_row_or_is_a_gate() -> None:
    settings = Settings()
    for stage in set(Stage) - {Stage.DOWNLOAD}:
        own = set(type(settings.stage(stage)).model_fields) - set(StageSettings.model_fields)
        used: set[str] = set()
        for kind, other in CELLS:
            if other is stage:
                used |= names_playing(settings, kind, stage) or set()
        assert used == own - GATES, stage
    assert names_playing(settings, RowKind.IFG, Stage.DOWNLOAD) == frozenset()


def test_settings_of_siblings_and_of_pairs_are_told_apart() -> None:
    settings = Settings()
    siblings = names_playing(settings, RowKind.MASTER, Stage.COHERENCE)
    pairs = names_playing(settings, RowKind.RSAR_IFG, Stage.COHERENCE)
    assert siblings is not None and pairs is not None and not siblings & pairs
    assert siblings | pairs == set(CoherenceSettings.model_fields) - set(StageSettings.model_fields)
    assert names_playing(settings, RowKind.MASTER, Stage.SATSAR) == frozenset(), "timing is that of secondary dates"
    assert names_playing(settings, RowKind.IFG, Stage.SATSAR) == set(SatsarSettings.model_fields) - set(
        StageSettings.model_fields
    )


def test_a_sites_own_program_counts_by_its_command_and_may_look_at_any_key() -> None:
    settings = Settings()
    mine = settings.unwrap.model_copy(update={"processor": "command", "command": "/opt/site-2.1/bin/unwrap {input} {out}"})
    settings = settings.model_copy(update={"unwrap": mine})
    assert command_of(settings, Stage.UNWRAP) == mine.command and command_of(settings, Stage.SLC) is None
    assert program_of(settings, Stage.UNWRAP, None) == ("unwrap", "")
    assert playing(settings, RowKind.RSAR_IFG, Stage.UNWRAP, {"site_key": 1, "min_coverage": 0.5, "max_gap_m": 9}) == {
        "site_key": 1,
        "max_gap_m": 9,
    }
    other = Expected({"command": "new", "settings": {"site_key": 1}}, ("unwrap", ""), frozenset({"max_gap_m"}), None)
    given_ = {"command": "old", "settings": {"max_gap_m": 9, "other_key": 2}, "processor": "unwrap", "processor_version": ""}
    assert changed_conditions(given_, other, Stage.UNWRAP) == [
        "other_key is not given now", "site_key is given now", "command old became new"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("1.10", "1.9", True),
        ("1.9", "1.10", False),
        ("1.0", "1.0", False),
        ("2", "1.9.9", True),
        ("b", "a", True),
        ("a", "a", False),
    ],
)
def test_versions(version: str, than: str, newer: bool) -> None:
    assert is_newer(version, than) is newer


def test_what_was_not_recorded_is_unknown() -> None:
    everything = now(settings={"a": 1, "b": None}, polarisation="vv", master="2023-01-01", dem=["d", 1, 2], bursts=["x"])
    assert changed_conditions({}, everything, Stage.UNWRAP) == []
    assert changed_conditions({"settings": {"gone": 3, "a": 1}}, everything, Stage.UNWRAP) == []
    assert changed_conditions({"dem": ["other", 1, 2]}, everything, Stage.SATSAR) == [], "the same file under another name"
    assert changed_conditions({"dem": ["d", 1, 3]}, everything, Stage.SATSAR) == ["the DEM d was replaced by d"]
    assert changed_conditions({"settings": {"b": 0.5}}, everything, Stage.UNWRAP) == ["b 0.5 became empty"]
    assert changed_conditions({"master": "2022-12-20"}, everything, Stage.SLC) == [], "a cut burst knows no master"
    assert changed_conditions({"bursts": ["y"]}, everything, Stage.SLC) == ["the frame is with x and without y now"]
    assert changed_scenes({"scenes": []}, [Shown("s", "md5:1", "S1A", None, None)]) == []
    assert changed_scenes({"scenes": [["s", None]]}, [Shown("s", "md5:1", "S1A", None, None)]) == []
    assert changed_scenes({"scenes": [["s", "md5:1"], ["t", None]]}, [Shown("s", "md5:1", "S1A", None, None)]) == [], "t has gone"
    assert changed_scenes({"scenes": [["s", "md5:1"]]}, []) == []


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12")), st.sets(st.sampled_from("abcdef")))
def test_a_series_of_the_pairs_that_there_are_lacks_nothing(pairs: dict[str, str], left_out: set[str]) -> None:
    usable = set(pairs) - left_out
    given_ = {pair: pairs[pair] for pair in usable}
    assert changed_pairs(given_, pairs, usable, left_out) == []
    for pair in usable:
        assert changed_pairs(given_, {**pairs, pair: "3"}, usable, left_out)
        assert changed_pairs(given_, pairs, usable - {pair}, left_out | {pair})
        assert changed_pairs({p: f for p, f in given_.items() if p != pair}, pairs, usable, left_out)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.dictionaries(st.text(), v)))
def test_equal_values_give_equal_digests(value: Any) -> None:
    turned = dict(reversed(value.items())) if isinstance(value, dict) else value
    assert digest(value) == digest(turned)


def test_a_dem_that_is_not_there_is_unknown(tmp_path: Path) -> None:
    settings = Settings()
    assert dem_of(settings) is None
    lost = settings.parameters.model_copy(update={"dem": tmp_path / "lost.tif"})
    assert dem_of(settings.model_copy(update={"parameters": lost})) is None


def better(folder: Path, used: Path | str, platform: str = "S1A") -> str | None:
    name = used if isinstance(used, str) else used.name
    return OrbitShelf(folder).better([name], platform, START, STOP)


def test_a_precise_orbit_is_better_than_restituted_ones(tmp_path: Path) -> None:
    first = restituted(tmp_path, 120, 20)
    assert better(tmp_path, first) is None
    restituted(tmp_path, 130, 30, created=STOP + timedelta(days=90))
    assert better(tmp_path, first) is None, "another restituted one is as good"
    found = precise(tmp_path)
    assert found.name in str(better(tmp_path, first))
    assert better(tmp_path, found) is None
    assert better(tmp_path, first, "S1B") is None and OrbitShelf(tmp_path).better([], "S1A", START, STOP) is None


def test_an_orbit_that_was_issued_again_is_better_and_that_of_another_day_is_not(tmp_path: Path) -> None:
    used = precise(tmp_path)
    write_orbit(tmp_path, START - minutes(140), STOP + minutes(300), created=STOP + timedelta(days=500))
    assert better(tmp_path, used) is None
    again = precise(tmp_path, created=STOP + timedelta(days=900))
    assert again.name in str(better(tmp_path, used))
    assert OrbitShelf(tmp_path).issued_again == sorted([used.name, again.name])


def test_a_damaged_orbit_and_a_directory_that_is_not_there(tmp_path: Path) -> None:
    used = restituted(tmp_path, 120, 20)
    precise(tmp_path, edit=lambda text: text[:500])
    assert better(tmp_path, used) is None
    assert better(tmp_path / "not mounted", used) is None
    assert precise_names(tmp_path / "not mounted") == set()


def test_names_are_found_in_any_depth_and_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    deep = tmp_path / "S1A" / "2023"
    deep.mkdir(parents=True)
    found = precise(deep)
    (deep / "again").symlink_to(tmp_path)
    restituted(deep, 120, 20)
    assert precise_names(tmp_path) == {found.name}
