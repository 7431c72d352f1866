"""Truth and evaluation: perfect measurements score perfectly, and each kind of error shows in its own number."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from simulated import SMALL, member, small_archive, small_truth, zip_of

from satdaemon.errors import DataError, RequestError
from satdaemon.simulator import Truth, evaluate
from satdaemon.simulator.evaluate import fitted_velocity
from satdaemon.simulator.ground import Cover

MASTER = 4


def measurement() -> dict[str, Any]:
    """A perfect measurement of every coherent pixel of a coarse piece of the master's grid."""
    truth = small_truth()
    acquisition = truth.ground.acquisitions[MASTER]
    start = np.datetime64(acquisition.utc(acquisition.burst_start_s["IW1"][0]).replace(tzinfo=None), "ns")
    rows, cols = 80, 60
    row, col = np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")
    # Every 50th line and 2nd sample of the real grid stands for a coarse "frame grid".
    time = start + (row * 50 * 2.0555563e6).astype("timedelta64[ns]")
    slant = 5.6635e-3 * 299792458.0 / 2 + col * 2 * 2.3295617
    day = truth.dates[MASTER]
    lon, lat, height = truth.locate(day, time, slant)
    chosen = truth.coherent(lon, lat)
    dates = [d for k, d in enumerate(truth.dates) if k not in (2, 7)]
    points = (lon[chosen], lat[chosen], height[chosen])
    displacement = np.stack([truth.expected_mm(*points, d) for d in dates], axis=1)
    displacement = (displacement - displacement[:, :1]).astype(np.float32)
    return {
        "row": row[chosen], "col": col[chosen], "lon": points[0], "lat": points[1], "height": points[2],
        "velocity": fitted_velocity(displacement, dates, "linear"),
        "temporal_coherence": np.full(chosen.sum(), 0.95, np.float32), "displacement": displacement, "dates": dates,
        "master_date": day, "azimuth_time": time[chosen], "slant_range_m": slant[chosen], "grid_lon": lon,
        "grid_lat": lat, "grid_valid": np.ones(lon.shape, bool),
    }  # fmt: skip


def test_a_perfect_measurement_has_no_error() -> None:
    result = evaluate(small_truth(), **measurement())
    assert result["displacement_rms_mm"] < 1e-4
    assert result["unwrap_jump_fraction"] == result["unwrap_jump_fraction_all"] == 0.0
    assert result["coherent_recall"] == 1.0
    assert result["incoherent_share"] == 0.0
    assert result["geolocation_rms_m"] < 1e-3
    assert result["velocity_rms_mm_per_year"] < 1e-3
    assert result["velocity_rms_mm_per_year_motion"] > 1.0, "air is not motion"
    json.dumps(result)


def test_a_constant_does_not_count_but_noise_does() -> None:
    data, rng = measurement(), np.random.default_rng(0)
    data["displacement"] = data["displacement"].astype(np.float64)
    data["displacement"][:, 1:] += 3.0 + rng.normal(0, 0.8, data["displacement"][:, 1:].shape)
    result = evaluate(small_truth(), **data)
    assert result["displacement_rms_mm"] == pytest.approx(0.8, rel=0.05)
    assert set(result["displacement_rms_mm_by_date"]) == {d.isoformat() for d in data["dates"][1:]}


def test_errors_are_told_relative_to_the_reference_area() -> None:
    data = measurement()
    area = np.hypot(data["row"] - 40, data["col"] - 30) < 8
    assert area.any()
    data["displacement"] = data["displacement"].astype(np.float64)
    data["displacement"][area, 1:] += 2.0
    assert evaluate(small_truth(), **data)["displacement_rms_mm"] == pytest.approx(2.0 * np.sqrt(area.mean()), rel=1e-3)
    moved = evaluate(small_truth(), **data, reference_mask=area)["displacement_rms_mm"]
    assert moved == pytest.approx(2.0 * np.sqrt(1 - area.mean()), rel=1e-3)


def test_a_point_that_begins_later_is_compared_from_its_own_first_date() -> None:
    data = measurement()
    late = slice(0, len(data["row"]) // 3)
    whole = data["displacement"].astype(np.float64)
    whole[late] -= whole[late, 2][:, None]
    whole[late, :2] = np.nan
    data["displacement"] = whole
    data["velocity"] = data["velocity"].copy()
    data["velocity"][late] = fitted_velocity(whole[late, 2:], data["dates"][2:], "linear")
    result = evaluate(small_truth(), **data)
    assert result["displacement_rms_mm"] < 1e-4
    assert result["velocity_rms_mm_per_year"] < 1e-3
    whole[late, 3:] += 1.0
    assert evaluate(small_truth(), **data)["displacement_rms_mm"] > 0.3


def test_a_cycle_slip_is_a_jump() -> None:
    data = measurement()
    count = len(data["row"])
    data["displacement"] = data["displacement"].copy()
    data["displacement"][: count // 50, 4:] += small_truth().wavelength_m * 1e3 / 2
    result = evaluate(small_truth(), **data)
    assert result["unwrap_jump_fraction"] == pytest.approx((count // 50) / count)


def test_missing_points_points_on_water_and_misplaced_points_are_counted() -> None:
    truth, data = small_truth(), measurement()
    wet = truth.incoherent(data["grid_lon"], data["grid_lat"])
    keep = np.arange(len(data["row"])) % 4 != 0
    for name in ("row", "col", "lon", "lat", "height", "velocity", "temporal_coherence", "displacement", "azimuth_time",
                 "slant_range_m"):  # fmt: skip
        data[name] = data[name][keep]
    assert evaluate(truth, **data)["coherent_recall"] == pytest.approx(0.75, abs=0.01)
    data["lat"] = data["lat"] + 5.0 / 111194.9
    assert evaluate(truth, **data)["geolocation_rms_m"] == pytest.approx(5.0, rel=0.01)
    data["lon"] = np.full_like(data["lon"], data["grid_lon"][wet][0])
    data["lat"] = np.full_like(data["lat"], data["grid_lat"][wet][0])
    assert evaluate(truth, **data)["incoherent_share"] == 1.0


def test_inputs_that_do_not_fit_are_refused() -> None:
    data = measurement()
    with pytest.raises(RequestError, match="displacement: expected shape"):
        evaluate(small_truth(), **{**data, "displacement": data["displacement"][:, 1:]})
    with pytest.raises(RequestError, match="velocity: expected shape"):
        evaluate(small_truth(), **{**data, "velocity": data["velocity"][1:]})
    with pytest.raises(RequestError, match="temporal coherence"):
        evaluate(small_truth(), **{**data, "temporal_coherence": 0 * data["temporal_coherence"]})
    with pytest.raises(RequestError, match="linear or seasonal"):
        evaluate(small_truth(), **data, velocity_model="cubic")
    with pytest.raises(RequestError, match="simulated dates"):
        small_truth().acquisition(data["dates"][0].replace(year=1999))


def test_locate_agrees_with_the_annotated_geolocation_grid() -> None:
    truth = small_truth()
    root = ET.fromstring(member(zip_of(MASTER), "annotation", "IW2"))
    points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
    assert len(points) == 4 * 21
    time = np.array([np.datetime64(p.findtext("azimuthTime"), "ns") for p in points])
    slant = np.array([float(p.findtext("slantRangeTime")) for p in points]) * 299792458.0 / 2
    lon, lat, height = truth.locate(truth.dates[MASTER], time, slant)
    told = np.array([[float(p.findtext(n)) for n in ("longitude", "latitude", "height")] for p in points]).T
    metres = 111195 * np.hypot((lon - told[0]) * np.cos(np.radians(lat)), lat - told[1])
    # The annotated orbit is some centimetres off, the timing some hundredths of a line.
    assert metres.max() < 0.5
    assert np.abs(height - told[2]).max() < 0.1
    seconds = time.astype("datetime64[ns]").astype(np.int64) / 1e9
    np.testing.assert_allclose(truth.locate(truth.dates[MASTER], seconds, slant)[1], lat, atol=1e-7)


def test_motion_has_its_signs_and_dates() -> None:
    truth = small_truth()
    motion, ground = truth.ground.motion, truth.ground
    lon, lat = np.meshgrid(np.linspace(-1.6, -1.1, 300), np.linspace(52.5, 53.4, 300))
    along, across = ground.local(lon, lat)

    def near(x: float, y: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k = np.unravel_index(np.argmin((along - x) ** 2 + (across - y) ** 2), lon.shape)
        return lon[k], lat[k], np.zeros(())

    last = truth.dates[-1]
    bowl = truth.los_mm(*near(motion.bowl_along_m, motion.bowl_across_m), last)
    assert bowl < -5.0, "subsidence moves away from the satellite"
    fault = near(motion.fault_along_m + 300.0, 0.0)
    after = truth.dates.index(motion.fault_day)
    step = truth.los_mm(*fault, truth.dates[after]) - truth.los_mm(*fault, truth.dates[after - 1])
    assert step == pytest.approx(motion.fault_step_mm, abs=0.5)
    assert np.all(truth.expected_mm(lon, lat, lon, truth.dates[0]) == 0.0)
    assert 1.0 < truth.atmosphere_mm(lon, lat, lon, last).std() < 8.0


def test_ground_has_the_wanted_shares() -> None:
    truth = small_truth()
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 0.5, 40000) * truth.ground.length_m
    y = rng.uniform(-0.5, 0.5, 40000) * truth.ground.width_m
    cover = truth.ground._cover(x, y)
    coherent = np.isin(cover, [Cover.TOWN, Cover.ROCK]).mean()
    assert 0.45 < coherent < 0.62
    assert 0.06 < (cover == Cover.WATER).mean() < 0.12


def test_truth_of_nothing_or_of_another_version_is_refused(tmp_path: Any) -> None:
    with pytest.raises(DataError, match="simulate first"):
        Truth.load(tmp_path)
    document = json.loads((small_archive() / "truth" / "truth.json").read_text())
    document["motion"]["bowl_along_m"] += 1.0
    with pytest.raises(DataError, match="another version"):
        Truth(document)
    assert Truth.load(small_archive() / "truth").options == SMALL
