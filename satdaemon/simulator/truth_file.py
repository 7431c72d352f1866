"""The text of truth.json: what was put in, and what is expected of each date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from satdaemon.simulator.ground import COHERENT, Cover, Ground
from satdaemon.simulator.instrument import LINE_INTERVAL_S, RANGE_SPACING_M, WAVELENGTH_M
from satdaemon.simulator.scatterers import BEHAVIOUR, NOISE_DN
from satdaemon.simulator.scenario import Acquisition
from satdaemon.simulator.surroundings import FRAME_ID
from satdaemon.simulator.xmltree import stamp

EXPECTED = {
    "missing_burst": "the last burst of the last subswath is absent: usable for the rest of the frame, or excluded where "
                     "the frame asks for full coverage",
    "duplicate": "two products of one acquisition: the one with the newer processing time is used; the older one has 0.8 "
                 "of the amplitude",
    "split": "two slices that share a burst: together one complete date",
    "corrupt": "a member of the zip fails its CRC: download fails with the reason, the rest of the frame goes on",
    "resorb_only": "no precise orbit file: the restituted one is used, and the date turns stale when a precise one comes",
    "no_orbit": "no orbit file covers it: blocked, waiting for an orbit",
}  # fmt: skip


def truth_document(ground: Ground, written: Mapping[int, Mapping[str, Any]], rasters: list[str]) -> dict[str, Any]:
    """All of truth.json."""
    motion = asdict(ground.motion)
    motion["fault_day"] = ground.motion.fault_day.isoformat()
    return {
        "format": 1, "frame": FRAME_ID, "options": ground.options.to_json(),
        "conventions": {
            "displacement": "mm in the line of sight, positive towards the satellite; expected measurement = motion + "
                            "atmosphere, both relative to the first date",
            "azimuth_shift_px": "a target stands in the product at its true line plus this",
            "bperp_m": "to the reference orbit; positive where the satellite is higher, normal to the line of sight",
            "timing": "annotated times are exact zero-Doppler times but for azimuth_shift_px: no bistatic or other residual "
            "correction is to be applied",
            "local": "along and across the track, metres from the centre; across is positive to far range",
        },
        "radar": {
            "wavelength_m": WAVELENGTH_M, "line_interval_s": LINE_INTERVAL_S, "range_spacing_m": RANGE_SPACING_M,
        },
        "centre": {"lon_deg": ground.lon_deg, "lat_deg": ground.lat_deg, "heading_deg": ground.heading_deg},
        "motion": motion,
        "classes": {
            c.name.lower(): {"value": int(c), "coherent": c in COHERENT, **asdict(BEHAVIOUR[c])} for c in Cover
        },
        "thermal_noise_dn": NOISE_DN if ground.options.thermal_noise else 0.0,
        "dates": [_date(a, written[a.index]) for a in ground.acquisitions],
        "rasters": rasters,
    }  # fmt: skip


def _date(acquisition: Acquisition, written: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "date": acquisition.date.isoformat(), "platform": acquisition.platform,
        "absolute_orbit": acquisition.absolute_orbit, "ascending_node_utc": stamp(acquisition.node_utc),
        "bperp_m": acquisition.bperp_m, "azimuth_shift_px": acquisition.azimuth_shift_px,
        "burst_ids": {
            swath: [f"132_{round(10 * s)}_{swath}" for s in starts[: acquisition.burst_count(swath)]]
            for swath, starts in acquisition.burst_start_s.items()
        },
        "cases": list(acquisition.cases), "expected": [EXPECTED[c] for c in acquisition.cases], **written,
    }  # fmt: skip
