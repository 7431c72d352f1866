"""Perpendicular baselines from a few state vectors: against the stages' own geometry, ISCE2's numbers and ASF's."""

from __future__ import annotations

import json
import re
import tarfile
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
from real_products import pair_t108
from realdata import data_dir
from test_20_insar_geometry import swaths

from satdaemon.errors import DataError
from satdaemon.insar.baseline import baseline_m, perpendicular_baseline_m, view
from satdaemon.insar.ellipsoid import to_cartesian
from satdaemon.insar.geometry import locate, zero_doppler
from satdaemon.insar.orbit import OrbitArc, annotated_arc
from satdaemon.insar.safe import read_product
from satdaemon.insar.swath import SPEED_OF_LIGHT_M_S

ASF_STACK = "yml_tests/Resources/S1A_IW_SLC__1SSV_20160528T141908_20160528T141938_011460_011746_335C_stack.yml"


@pytest.mark.realdata
@pytest.mark.parametrize("swath", ["IW1", "IW2", "IW3"])
@pytest.mark.parametrize(("which", "place"), [("first", 0), ("last", -1)])
def test_a_few_state_vectors_give_the_baselines_of_isce2_and_of_the_stages(swath: str, which: str, place: int) -> None:
    text = (data_dir() / "isce2_pair_t108_2025" / "topsProc_slc.xml").read_text()
    theirs = float(re.search(rf"<IW-{swath[2]}_Bperp_at_midrange_for_{which}_common_burst>([^<]+)<", text)[1])  # type: ignore[index]
    products = [read_product(path) for path in pair_t108()]
    first, second = (annotated_arc(p.state_vectors, p.start_utc) for p in products)
    (_, _, metas, track), (_, _, _, other) = (swaths(p)[swath, "vv"] for p in pair_t108())
    time = np.array([metas[place].mid_time_s(track.arc.epoch_utc)])
    point = locate(track, time, np.array([metas[place].mid_range_s * SPEED_OF_LIGHT_M_S / 2]), np.zeros(1))
    ours = baseline_m(view(first, point[0]), view(second, point[0]), point[0])
    assert ours == pytest.approx(-theirs, abs=0.5)
    seconds, _ = zero_doppler(other, point, time)
    exact = perpendicular_baseline_m(track.position(time), other.position(seconds), track.velocity(time), point)
    assert ours == pytest.approx(float(exact[0]), abs=0.002)
    assert ours == pytest.approx(-baseline_m(view(second, point[0]), view(first, point[0]), point[0]), abs=0.05)


def test_an_arc_survives_the_way_through_bytes_and_one_that_does_not_reach_the_place_is_refused() -> None:
    time_s = np.arange(-60.0, 100.0, 10.0)
    angle = time_s * 1.08e-3
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1) * 7.07e6
    along = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=1) * 7.07e6 * 1.08e-3
    arc = OrbitArc("annotation", (), datetime.fromisoformat("2023-01-01T06:00:00+00:00"), time_s, circle, along)
    again = OrbitArc.from_bytes("annotation", arc.epoch_utc, arc.to_bytes())
    assert all(np.array_equal(getattr(arc, name), getattr(again, name)) for name in ("time_s", "position_m", "velocity_m_s"))
    here = np.array([6.37e6 * np.cos(0.013), 6.37e6 * np.sin(0.013), 4e5])
    seen = view(again, here)
    assert abs((here - seen.position_m) @ seen.velocity_m_s) < 10  # metres squared a second: a micrometre along the path
    assert np.linalg.norm(seen.position_m) == pytest.approx(7.07e6, abs=1e-3)
    far = np.array([6.37e6 * np.cos(0.4), 6.37e6 * np.sin(0.4), 4e5])
    with pytest.raises(DataError, match="expected state vectors around the place"):
        view(again, far)


@cache
def asf_stack() -> list[dict[str, Any]]:
    with tarfile.open(data_dir() / "search_api" / "asf_search" / "resources.tar.xz") as archive:
        member = archive.extractfile(ASF_STACK)
        assert member is not None
        found = json.load(member)
    return [scene for scene in found if scene["properties"].get("perpendicularBaseline") is not None]


def asf_arc(scene: dict[str, Any]) -> OrbitArc:
    """Their two state vectors, 10 s apart."""
    moments, vectors = scene["baseline"]["stateVectors"]["positions"], scene["baseline"]["stateVectors"]["velocities"]
    when = [datetime.fromisoformat(moments[f"{k}PositionTime"].replace("Z", "+00:00")) for k in ("pre", "post")]
    given = ((moments, "Position"), (vectors, "Velocity"))
    position, velocity = ([one[f"{k}{name}"] for k in ("pre", "post")] for one, name in given)
    time_s = np.array([(t - when[0]) / timedelta(seconds=1) for t in when])
    return OrbitArc("annotation", (), when[0], time_s, np.array(position), np.array(velocity))


@pytest.mark.realdata
def test_baselines_of_asf_have_our_sign_and_size() -> None:
    """A stack of one place from 2015 on: ASF rounds to metres, and takes the geometry of a whole scene as one.

    Its two state vectors lie in the middle of the scene; scenes cut elsewhere along the track do not reach the place.
    """
    scenes = asf_stack()
    (reference,) = [s for s in scenes if s["properties"]["temporalBaseline"] == 0]
    point = to_cartesian(*(np.array([reference["properties"][k]]) for k in ("centerLon", "centerLat")), np.zeros(1))[0]
    first, ours, theirs = view(asf_arc(reference), point), [], []
    for scene in scenes:
        try:
            ours.append(baseline_m(first, view(asf_arc(scene), point), point))
        except DataError:
            continue
        theirs.append(scene["properties"]["perpendicularBaseline"])
    assert len(ours) >= 25
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    away = np.abs(np.array(ours) - theirs)
    assert np.median(away) < 8 and away.max() < 22
