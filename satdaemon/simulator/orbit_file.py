"""ESA's precise (POEORB) and restituted (RESORB) orbit files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from satdaemon.domain import ORBIT_S
from satdaemon.simulator.orbit import Orbit
from satdaemon.simulator.scenario import Acquisition

_TAI_UTC_S = 37
_INTERVAL_S = 10
_HEAD = """<?xml version="1.0" ?>
<Earth_Explorer_File>
  <Earth_Explorer_Header>
    <Fixed_Header>
      <File_Name>{name}</File_Name>
      <File_Description>{description}</File_Description>
      <Notes></Notes>
      <Mission>Sentinel-1{letter}</Mission>
      <File_Class>OPER</File_Class>
      <File_Type>AUX_{kind}</File_Type>
      <Validity_Period>
        <Validity_Start>UTC={start:%Y-%m-%dT%H:%M:%S}</Validity_Start>
        <Validity_Stop>UTC={stop:%Y-%m-%dT%H:%M:%S}</Validity_Stop>
      </Validity_Period>
      <File_Version>0001</File_Version>
      <Source>
        <System>OPOD</System>
        <Creator>OPOD</Creator>
        <Creator_Version>3.4.0</Creator_Version>
        <Creation_Date>UTC={created:%Y-%m-%dT%H:%M:%S}</Creation_Date>
      </Source>
    </Fixed_Header>
    <Variable_Header>
      <Ref_Frame>EARTH_FIXED</Ref_Frame>
      <Time_Reference>UTC</Time_Reference>
    </Variable_Header>
  </Earth_Explorer_Header>
  <Data_Block type="xml">
    <List_of_OSVs count="{count}">
"""
_FOOT = """    </List_of_OSVs>
  </Data_Block>
</Earth_Explorer_File>
"""


def write_precise(folder: Path, acquisition: Acquisition) -> Path:
    """POEORB: the true orbit, 26 h around the acquisition's day, published 20 days later."""
    midnight = datetime(acquisition.date.year, acquisition.date.month, acquisition.date.day, tzinfo=UTC)
    start, stop = midnight - timedelta(seconds=3618), midnight + timedelta(seconds=86400 + 3582)
    created = midnight + timedelta(days=20, hours=12, minutes=20, seconds=43)
    return _write(folder, acquisition, acquisition.orbit, "POEORB", "Precise Orbit Ephemerides (POE) Orbit File",
                  start, stop, created)  # fmt: skip


def write_restituted(folder: Path, acquisition: Acquisition) -> Path:
    """RESORB: some centimetres off, two orbits long, published within three hours."""
    node = acquisition.node_utc.replace(microsecond=0)
    start = node - timedelta(seconds=ORBIT_S // 1 + 600)
    return _write(folder, acquisition, acquisition.restituted_orbit, "RESORB", "Restituted Orbit File",
                  start, start + timedelta(seconds=11850), start + timedelta(seconds=11850 + 2500))  # fmt: skip


def _write(
    folder: Path,
    acquisition: Acquisition,
    orbit: Orbit,
    kind: str,
    description: str,
    start: datetime,
    stop: datetime,
    created: datetime,
) -> Path:
    name = f"{acquisition.platform}_OPER_AUX_{kind}_OPOD_{created:%Y%m%dT%H%M%S}_V{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}"
    count = int((stop - start).total_seconds()) // _INTERVAL_S + 1
    offset_s = (start - acquisition.node_utc) / timedelta(seconds=1)
    since_node = offset_s + _INTERVAL_S * np.arange(count, dtype=np.float64)
    position, velocity = orbit.position(since_node), orbit.velocity(since_node)
    text = [_HEAD.format(name=name, description=description, letter=acquisition.platform[-1], kind=kind, start=start,
                         stop=stop, created=created, count=count)]  # fmt: skip
    for k in range(count):
        utc = start + timedelta(seconds=_INTERVAL_S * k)
        tai = utc + timedelta(seconds=_TAI_UTC_S)
        turn = acquisition.absolute_orbit + int(since_node[k] // ORBIT_S)
        (x, y, z), (vx, vy, vz) = position[k], velocity[k]
        text.append(f"""      <OSV>
        <TAI>TAI={tai:%Y-%m-%dT%H:%M:%S}.000000</TAI>
        <UTC>UTC={utc:%Y-%m-%dT%H:%M:%S}.000000</UTC>
        <UT1>UT1={utc:%Y-%m-%dT%H:%M:%S}.000000</UT1>
        <Absolute_Orbit>+{turn}</Absolute_Orbit>
        <X unit="m">{x:.6f}</X>
        <Y unit="m">{y:.6f}</Y>
        <Z unit="m">{z:.6f}</Z>
        <VX unit="m/s">{vx:.6f}</VX>
        <VY unit="m/s">{vy:.6f}</VY>
        <VZ unit="m/s">{vz:.6f}</VZ>
        <Quality>NOMINAL</Quality>
      </OSV>
""")
    text.append(_FOOT)
    path = folder / f"{name}.EOF"
    path.write_text("".join(text))
    return path
