"""Orbit files: reading with checks, and the choice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from eof.products import SentinelOrbit
from orbit_files import START, STOP, minutes, precise, restituted, write_orbit
from realdata import data_dir

from satdaemon.archive import orbits
from satdaemon.archive.eof import OrbitFile, StateVectors, hermite_m, read_eof
from satdaemon.domain import ORBIT_S
from satdaemon.errors import CorruptProduct, NotReady


def test_the_precise_orbit_wins(tmp_path: Path) -> None:
    restituted(tmp_path, 150, 30)
    wanted = precise(tmp_path)
    assert orbits.choose(tmp_path, "S1A", START, STOP) == orbits.OrbitChoice((wanted,), "POEORB")


def test_the_newest_of_several_and_those_in_subdirectories(tmp_path: Path) -> None:
    precise(tmp_path, created=STOP + timedelta(days=20))
    (tmp_path / "2023").mkdir()
    newer = precise(tmp_path / "2023", created=STOP + timedelta(days=40))
    assert orbits.choose(tmp_path, "S1A", START, STOP).paths == (newer,)


def test_one_orbit_and_a_minute_before_must_be_covered(tmp_path: Path) -> None:
    lead = ORBIT_S / 60 + 1
    short = write_orbit(tmp_path, START - minutes(lead) + timedelta(seconds=1), STOP + minutes(9))
    with pytest.raises(NotReady):
        orbits.choose(tmp_path, "S1A", START, STOP)
    short.unlink()
    write_orbit(tmp_path, START - minutes(lead) - timedelta(seconds=1), STOP + minutes(1))
    assert orbits.choose(tmp_path, "S1A", START, STOP).kind == "POEORB"


def test_a_naive_time_counts_as_utc(tmp_path: Path) -> None:
    precise(tmp_path)
    assert orbits.choose(tmp_path, "S1A", START.replace(tzinfo=None), STOP.replace(tzinfo=None)).kind == "POEORB"


def test_one_restituted_orbit_where_there_is_no_precise_one(tmp_path: Path) -> None:
    wanted = restituted(tmp_path, 105, 30)
    assert orbits.choose(tmp_path, "S1A", START, STOP) == orbits.OrbitChoice((wanted,), "RESORB")


def test_two_restituted_orbits_that_join(tmp_path: Path) -> None:
    early, late = restituted(tmp_path, 150, 0.2), restituted(tmp_path, 60, 100)
    assert orbits.choose(tmp_path, "S1A", START, STOP) == orbits.OrbitChoice((early, late), "RESORB")


def test_of_two_pairs_the_one_with_the_acquisition_in_one_file(tmp_path: Path) -> None:
    early = restituted(tmp_path, 150, 0.2)
    restituted(tmp_path, 0.1, 60, created=STOP + timedelta(days=9))
    whole = restituted(tmp_path, 60, 100, created=STOP + timedelta(days=1))
    assert orbits.choose(tmp_path, "S1A", START, STOP).paths == (early, whole)


def test_two_that_leave_a_gap_or_disagree_do_not_join(tmp_path: Path) -> None:
    restituted(tmp_path, 150, -40)
    late = restituted(tmp_path, 30, 100)
    with pytest.raises(NotReady, match=r"restituted orbits \(RESORB\) there do not cover it"):
        orbits.choose(tmp_path, "S1A", START, STOP)
    late.unlink()
    restituted(tmp_path, 60, 100, offset_m=25.0)
    with pytest.raises(NotReady, match="expected orbits within 1 m, got 25"):
        orbits.choose(tmp_path, "S1A", START, STOP)


def test_restituted_orbits_may_be_refused(tmp_path: Path) -> None:
    restituted(tmp_path, 105, 30)
    with pytest.raises(NotReady) as caught:
        orbits.choose(tmp_path, "S1A", START, STOP, accept_resorb=False, retry_after_s=77)
    assert "accept_resorb = no" in str(caught.value)
    assert "A precise orbit is expected about 2023-01-28" in str(caught.value)
    assert caught.value.retry_after_s == 77


def test_no_orbit_says_what_is_missing_and_when_it_comes(tmp_path: Path) -> None:
    precise(tmp_path, platform="S1B")
    with pytest.raises(NotReady) as caught:
        orbits.choose(tmp_path, "S1A", START, STOP)
    message = str(caught.value)
    assert message.startswith("waits for an orbit of S1A from 2023-01-08 12:13:04 to 2023-01-08 13:54:16")
    assert "no precise orbit (POEORB) and no restituted one (RESORB)" in message and str(tmp_path) in message


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"expected a directory at .*gone"):
        orbits.choose(tmp_path / "gone", "S1A", START, STOP)


def test_has_precise_needs_no_content(tmp_path: Path) -> None:
    precise(tmp_path).write_text("")
    files = orbits.scan(tmp_path)
    assert orbits.has_precise(files, "S1A", START, STOP)
    assert not orbits.has_precise(files, "S1B", START, STOP)
    assert not orbits.has_precise(files, "S1A", START + timedelta(days=1), STOP + timedelta(days=1))


def test_other_files_and_impossible_times_in_a_name_are_not_seen(tmp_path: Path) -> None:
    precise(tmp_path)
    (tmp_path / "readme.EOF").write_text("x")
    (tmp_path / "S1A_OPER_AUX_POEORB_OPOD_20230128T000000_V20239908T115249_20230108T145316.EOF").write_text("x")
    half = next(tmp_path.glob("S1A*2023010*.EOF"))
    (tmp_path / f".{half.name}.part").write_text("x")
    assert [f.path for f in orbits.scan(tmp_path)] == [half]


DAMAGE = {
    "empty": (lambda text: "", "got an empty file"),
    "cut short": (lambda text: text[: len(text) // 2], "expected a complete XML document"),
    "vectors lost": (lambda text: text.replace("<OSV>", "<LOST>", 5).replace("</OSV>", "</LOST>", 5), "state vectors as the"),
    "other times": (lambda text: text.replace("<Validity_Start>UTC=2023", "<Validity_Start>UTC=2021"), "Validity_Start"),
    "no time": (lambda text: text.replace("<UTC>UTC=2023", "<UTC>UTC=soon", 1), "expected a time such as"),
    "no number": (lambda text: text.replace("<VX>", "<VX>x", 1), "in each state vector"),
    "no axis": (lambda text: text.replace("VZ>", "VQ>"), "no VZ"),
    "other frame": (lambda text: text.replace("EARTH_FIXED", "INERTIAL"), "expected Ref_Frame EARTH_FIXED, got INERTIAL"),
    "other type": (lambda text: text.replace("AUX_POEORB<", "AUX_PREORB<"), "expected a POEORB as its name says"),
    "out of orbit": (lambda text: text.replace("<X>", "<X>9", 1), "expected radius"),
    "no header": (lambda text: text.replace("Fixed_Header", "Other"), "Earth Explorer header"),
    "no vectors": (lambda text: text.replace("List_of_OSVs", "List"), "expected state vectors, got 0"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_refused_with_the_reason_and_passed_over(tmp_path: Path, name: str) -> None:
    edit, words = DAMAGE[name]
    bad = precise(tmp_path, edit=edit, created=STOP + timedelta(days=50))
    file = OrbitFile.from_name(bad)
    assert file is not None
    with pytest.raises(CorruptProduct) as caught:
        read_eof(file)
    assert words in str(caught.value) and "delete the file and fetch it again" in str(caught.value)
    with pytest.raises(NotReady, match="Passed over: .*" + str(bad)[-30:]):
        orbits.choose(tmp_path, "S1A", START, STOP)
    good = restituted(tmp_path, 105, 30)
    choice = orbits.choose(tmp_path, "S1A", START, STOP)
    assert choice.paths == (good,) and words in choice.notes[0]


def test_a_file_of_another_satellite_under_a_false_name(tmp_path: Path) -> None:
    bad = precise(tmp_path, mission="Sentinel-1B")
    with pytest.raises(CorruptProduct, match="expected an orbit of S1A as its name says, got one of S1B"):
        read_eof(OrbitFile.from_name(bad))  # type: ignore[arg-type]


def test_a_gap_or_vectors_that_end_early(tmp_path: Path) -> None:
    def without(first: int, last: int):
        def edit(text: str) -> str:
            parts = text.split("<OSV>")
            del parts[first:last]
            return "<OSV>".join(parts).replace('count="', 'was="')

        return edit

    for cut, words in ((without(100, 110), "s apart"), (without(2, 100), "s apart"), (without(1, 100), "vectors over")):
        bad = OrbitFile.from_name(precise(tmp_path, edit=cut))
        with pytest.raises(CorruptProduct, match=words):
            read_eof(bad)  # type: ignore[arg-type]


@pytest.mark.realdata
def test_real_restituted_orbits() -> None:
    folder = data_dir() / "s1reader"
    first, second = orbits.scan(folder)
    for file in (first, second):
        parsed = SentinelOrbit(file.path.name)
        assert (parsed.mission, parsed.orbit_type) == (file.platform, "restituted")
        assert file.kind == "RESORB"
        assert parsed.start_time.replace(tzinfo=UTC) == file.start_utc
        assert len(read_eof(file).times_s) == 1186
    one, other = read_eof(first), read_eof(second)
    shift_s = (other.epoch_utc - one.epoch_utc).total_seconds()
    shared = one.times_s > shift_s
    apart_m = np.linalg.norm(hermite_m(other, one.times_s[shared] - shift_s) - one.positions_m[shared], axis=1)
    assert shared.sum() > 500 and apart_m.max() < 0.3, "two determinations of one orbit, 5 cm each"
    every_second = StateVectors(one.epoch_utc, one.times_s[::2], one.positions_m[::2], one.velocities_m_s[::2])
    off_m = np.linalg.norm(hermite_m(every_second, one.times_s[1:-1:2]) - one.positions_m[1:-1:2], axis=1)
    assert off_m.max() < 0.01, "(n h)^4 / 384 of the radius at h = 20 s is 4 mm"


@pytest.mark.realdata
def test_choice_among_real_restituted_orbits() -> None:
    folder = data_dir() / "s1reader"
    first, second = (f.path for f in orbits.scan(folder))

    def at(clock: str) -> tuple[Path, ...]:
        start = datetime.fromisoformat(f"2023-08-23T{clock}+00:00")
        return orbits.choose(folder, "S1A", start, start + timedelta(seconds=27)).paths

    assert at("15:40:00") == (first,)
    assert at("16:40:00") == (second,)
    assert at("15:48:30") == (first, second), "the first ends too early, the second begins too late"
    with pytest.raises(NotReady):
        at("17:40:00")
