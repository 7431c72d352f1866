"""What can be asked for; what happens to an output directory; same options, same bytes."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import pytest

from satdaemon.domain import Burst
from satdaemon.errors import ConfigError, RequestError
from satdaemon.simulator import CASES, SimulationOptions, simulate
from satdaemon.simulator.scenario import acquisitions

TINY = SimulationOptions(dates=2, seed=5, samples=96, range_overlap=40, bursts=1, polarisations=("vv", "vh"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dates": 1}, "dates: expected 2 to 400, got 1"),
        ({"samples": 20}, "samples: expected 96 to 2000"),
        ({"range_overlap": 300}, "range_overlap"),
        ({"subswaths": 3}, "subswaths: expected 1 to 2"),
        ({"polarisations": ("hh",)}, "polarisations: expected"),
        ({"special_cases": ("flood",)}, "special_cases: expected names out of missing_burst"),
        ({"dates": 6, "special_cases": ("split",)}, "need at least 10 dates, got 6"),
        ({"bursts": 2, "special_cases": ("split",)}, "split needs at least 3 bursts"),
        ({"bursts": 1, "special_cases": ("missing_burst",)}, "missing_burst needs at least 2 bursts"),
        ({"single_dates": 20}, "single_dates: expected 1 to 14"),
        ({"azimuth_shift_px": 1.0}, "azimuth_shift_px"),
        ({"compression": 11}, "compression"),
    ],
)
def test_bad_options_say_what_was_expected(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulationOptions(**changes)


def test_options_survive_json() -> None:
    options = SimulationOptions(dates=12, special_cases=("split",))
    assert SimulationOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    with pytest.raises(ConfigError, match="unknown colour"):
        SimulationOptions.from_json({**options.to_json(), "colour": 1})


def test_default_has_all_cases_and_a_sound_middle() -> None:
    dates = acquisitions(SimulationOptions())
    assert [c for a in dates for c in a.cases] == list(CASES)
    assert all(not a.cases for a in dates[4:9])
    assert {a.platform for a in dates} == {"S1A", "S1B"}
    spacing = [(b.date - a.date).days for a, b in pairwise(dates)]
    assert set(spacing) == {6, 12}
    assert len({round(a.bperp_m, 3) for a in dates}) == 14
    assert all(abs(a.bperp_m) <= 100 for a in dates)
    assert all(0.005 <= abs(a.azimuth_shift_px) <= 0.02 for a in dates)
    assert acquisitions(SimulationOptions(seed=2)) != dates


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_same_options_give_the_same_bytes_and_a_finished_one_is_left_alone(tmp_path: Path) -> None:
    calls: list[tuple[float, str]] = []
    first = simulate(tmp_path / "a", TINY, lambda f, m: calls.append((f, m)))
    assert calls[0][0] == 0.0
    assert calls[-1] == (1.0, "done")
    assert [f for f, _ in calls] == sorted(f for f, _ in calls)
    before = digest(first)
    assert before == digest(simulate(tmp_path / "b", TINY))
    assert {"dem.tif", "frame.json", "simulation.json", "truth/truth.json", "truth/cover.tif"} <= set(before)

    times = {p: p.stat().st_mtime_ns for p in first.rglob("*")}
    simulate(first, TINY)
    assert times == {p: p.stat().st_mtime_ns for p in first.rglob("*")}

    mark = json.loads((first / "simulation.json").read_text())
    (first / "simulation.json").write_text(json.dumps({**mark, "complete": False}))
    (first / "dem.tif").unlink()
    assert digest(simulate(first, TINY)) == before

    frame = json.loads((first / "frame.json").read_text())
    assert frame["id"] == "132A_DEMO_SIM"
    bursts = [Burst(**{**b, "footprint": tuple(map(tuple, b["footprint"]))}) for b in frame["bursts"]]
    assert [b.id for b in bursts] == ["132_8603_IW1", "132_8612_IW2"]
    assert bursts[0].esa_id == 281691


def test_a_directory_of_others_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RequestError, match=r"notes\.txt"):
            simulate(tmp_path, TINY, overwrite=overwrite)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_another_simulation_is_replaced_only_when_asked(tmp_path: Path) -> None:
    other = SimulationOptions(dates=2, seed=6, samples=96, range_overlap=40, bursts=1, polarisations=("vv",))
    (tmp_path / "simulation.json").write_text(json.dumps({"options": other.to_json(), "complete": True}))
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "old.zip").write_text("old")
    with pytest.raises(RequestError, match="other options"):
        simulate(tmp_path, TINY)
    assert (tmp_path / "archive" / "old.zip").exists()
    simulate(tmp_path, TINY, overwrite=True)
    assert not (tmp_path / "archive" / "old.zip").exists()
    assert json.loads((tmp_path / "simulation.json").read_text())["options"] == TINY.to_json()
