"""Orbit files of a made-up circular orbit, with ESA's names and structure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2023, 1, 8, 13, 52, 49, tzinfo=UTC)
STOP = START + timedelta(seconds=27)
RADIUS_M = 7.0745e6
RATE_RAD_S = 7.59e3 / RADIUS_M
AXES = ("X", "Y", "Z", "VX", "VY", "VZ")
STAMP = "%Y%m%dT%H%M%S"


def write_orbit(
    folder: Path,
    start: datetime,
    stop: datetime,
    *,
    kind: str = "POEORB",
    platform: str = "S1A",
    created: datetime | None = None,
    mission: str | None = None,
    offset_m: float = 0.0,
    edit=lambda text: text,
) -> Path:
    """A circular orbit that is one and the same in every file, with ESA's names and structure."""
    created = created or stop + timedelta(days=20)
    name = f"{platform}_OPER_AUX_{kind}_OPOD_{created:{STAMP}}_V{start:{STAMP}}_{stop:{STAMP}}"
    count = int((stop - start).total_seconds() // 10) + 1
    vectors = []
    for i in range(count):
        moment = start + timedelta(seconds=10 * i)
        angle = RATE_RAD_S * (moment - datetime(2023, 1, 1, tzinfo=UTC)).total_seconds()
        position = (RADIUS_M * np.cos(angle) + offset_m, 0.0, RADIUS_M * np.sin(angle))
        velocity = (-RADIUS_M * RATE_RAD_S * np.sin(angle), 0.0, RADIUS_M * RATE_RAD_S * np.cos(angle))
        axes = "".join(f"<{a}>{v:.6f}</{a}>" for a, v in zip(AXES, (*position, *velocity), strict=True))
        vectors.append(f"<OSV><UTC>UTC={moment:%Y-%m-%dT%H:%M:%S.%f}</UTC>{axes}</OSV>")
    text = f"""<?xml version="1.0"?><Earth_Explorer_File><Earth_Explorer_Header><Fixed_Header><File_Name>{name}</File_Name>
<Mission>{mission or platform.replace("S", "Sentinel-")}</Mission><File_Type>AUX_{kind}</File_Type><Validity_Period>
<Validity_Start>UTC={start:%Y-%m-%dT%H:%M:%S}</Validity_Start><Validity_Stop>UTC={stop:%Y-%m-%dT%H:%M:%S}</Validity_Stop>
</Validity_Period></Fixed_Header><Variable_Header><Ref_Frame>EARTH_FIXED</Ref_Frame><Time_Reference>UTC</Time_Reference>
</Variable_Header></Earth_Explorer_Header><Data_Block type="xml"><List_of_OSVs count="{count}">{"".join(vectors)}
</List_of_OSVs></Data_Block></Earth_Explorer_File>"""
    path = folder / f"{name}.EOF"
    path.write_text(edit(text))
    return path


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def precise(folder: Path, **more) -> Path:
    return write_orbit(folder, START - minutes(160), STOP + minutes(60), **more)


def restituted(folder: Path, before: float, after: float, **more) -> Path:
    return write_orbit(folder, START - minutes(before), STOP + minutes(after), kind="RESORB", **more)
