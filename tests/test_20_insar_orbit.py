"""Orbit files and arcs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from realdata import data_dir
from simulated import small_archive

from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.geometry import fit_track
from satdaemon.insar.orbit import OrbitArc, OrbitFile, orbit_arc, read_orbit_file

SECOND = timedelta(seconds=1)


def _resorbs() -> list[Path]:
    return sorted((data_dir() / "s1reader").glob("*RESORB*.EOF"))


@pytest.mark.realdata
def test_real_resorb_is_smooth_to_a_millimetre() -> None:
    """Interpolation on every other state vector meets the ones between."""
    file = read_orbit_file(_resorbs()[0])
    assert (file.platform, file.type, len(file.time_utc)) == ("S1A", "RESORB", 1186)
    start = datetime(2023, 8, 23, 14, 0, tzinfo=UTC)
    arc = orbit_arc([file], "S1A", start, start + 30 * SECOND)
    half = OrbitArc(arc.type, arc.files, arc.epoch_utc, arc.time_s[::2], arc.position_m[::2], arc.velocity_m_s[::2])
    inside = slice(3, -3)
    difference = fit_track(half).position(arc.time_s[inside]) - arc.position_m[inside]
    assert np.abs(difference).max() < 1e-3


@pytest.mark.realdata
def test_two_real_resorbs_join() -> None:
    """An acquisition at the end of the first file needs both; the joined arc has no gap and stays smooth."""
    first, second = (read_orbit_file(p) for p in _resorbs())
    stop = first.time_utc[-1].astype("datetime64[s]").item().replace(tzinfo=UTC)
    early = OrbitFile(
        second.path, second.type, second.platform, second.time_utc[590:], second.position_m[590:], second.velocity_m_s[590:]
    )
    assert early.time_utc[0] < first.time_utc[-1] or early.time_utc[0] - first.time_utc[-1] < np.timedelta64(20, "s")
    arc = orbit_arc([early, first], "S1A", stop - 30 * SECOND, stop - 3 * SECOND)
    assert arc.files == (first.path.name, second.path.name)
    assert np.diff(arc.time_s).max() <= 16
    assert np.linalg.norm(fit_track(arc).position(arc.time_s) - arc.position_m, axis=1).max() < 0.1


@pytest.mark.realdata
def test_reading_around_a_time_gives_the_same_arc() -> None:
    start = datetime(2023, 8, 23, 14, 0, tzinfo=UTC)
    whole = orbit_arc([read_orbit_file(_resorbs()[0])], "S1A", start, start + 30 * SECOND)
    cut = orbit_arc([read_orbit_file(_resorbs()[0], (start, start + 30 * SECOND))], "S1A", start, start + 30 * SECOND)
    assert np.array_equal(whole.time_s, cut.time_s) and np.array_equal(whole.position_m, cut.position_m)
    assert np.array_equal(OrbitArc.from_json(json.loads(json.dumps(cut.to_json()))).position_m, cut.position_m)


def _file(platform: str = "S1A") -> Path:
    return sorted((small_archive() / "orbits").glob(f"{platform}*POEORB*.EOF"))[0]


def test_gap_wrong_satellite_and_uncovered_time() -> None:
    file = read_orbit_file(_file())
    middle = file.time_utc[len(file.time_utc) // 2].astype("datetime64[s]").item().replace(tzinfo=UTC)
    with pytest.raises(DataError, match="expected S1B"):
        orbit_arc([file], "S1B", middle, middle + SECOND)
    with pytest.raises(DataError, match="without a gap"):
        orbit_arc([file], "S1A", middle + timedelta(days=3), middle + timedelta(days=3, seconds=20))
    keep = np.ones(len(file.time_utc), bool)
    keep[len(keep) // 2 + 1 : len(keep) // 2 + 3] = False
    holed = OrbitFile(file.path, file.type, file.platform, file.time_utc[keep], file.position_m[keep], file.velocity_m_s[keep])
    with pytest.raises(DataError, match="without a gap"):
        orbit_arc([holed], "S1A", middle, middle + 20 * SECOND)


def test_precise_orbit_is_preferred() -> None:
    precise = read_orbit_file(_file())
    restituted = OrbitFile(
        precise.path.with_name("r.EOF"), "RESORB", "S1A", precise.time_utc, precise.position_m, precise.velocity_m_s
    )
    middle = precise.time_utc[len(precise.time_utc) // 2].astype("datetime64[s]").item().replace(tzinfo=UTC)
    assert orbit_arc([restituted, precise], "S1A", middle, middle + SECOND).type == "POEORB"


def test_damaged_orbit_files(tmp_path: Path) -> None:
    text = _file().read_text()
    cut = tmp_path / "cut.EOF"
    cut.write_text(text[: len(text) // 2])
    with pytest.raises(CorruptProduct, match="not a complete orbit file"):
        read_orbit_file(cut)
    other = tmp_path / "frame.EOF"
    other.write_text(text.replace("EARTH_FIXED", "GEO_J2000"))
    with pytest.raises(DataError, match="EARTH_FIXED"):
        read_orbit_file(other)
    with pytest.raises(DataError, match="found nothing"):
        read_orbit_file(tmp_path / "none.EOF")


def test_vectors_off_the_orbit_are_refused() -> None:
    file = read_orbit_file(_file())
    middle = len(file.time_utc) // 2
    start = file.time_utc[middle].astype("datetime64[s]").item().replace(tzinfo=UTC)
    file.position_m[middle + 1, 0] += 5000.0
    with pytest.raises(DataError, match="off a smooth orbit"):
        fit_track(orbit_arc([file], "S1A", start, start + 20 * SECOND))
