"""Earth Explorer orbit files (`.EOF`): what the name promises, and whether the content keeps it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import numpy.typing as npt
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from satdaemon.errors import CorruptProduct

EOF_NAME = re.compile(
    r"^(?P<platform>S1[A-D])_OPER_AUX_(?P<kind>POEORB|RESORB)_[A-Z0-9]{4}_(?P<created>\d{8}T\d{6})"
    r"_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})\.EOF$"
)
STEP_S = 10.0
"""Spacing of the state vectors in ESA's files."""
RADIUS_M = (6.95e6, 7.20e6)
SPEED_M_S = (7.2e3, 7.9e3)
"""Sentinel-1 flies at 7.065e6 to 7.082e6 m from the Earth's centre, at about 7.6e3 m/s (Earth-fixed)."""
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrbitFile:
    """An orbit file as its name describes it."""

    path: Path
    platform: str
    kind: str
    """POEORB or RESORB."""
    created_utc: datetime
    start_utc: datetime
    stop_utc: datetime

    @classmethod
    def from_name(cls, path: Path) -> OrbitFile | None:
        """None where the name is not that of a POEORB or RESORB file, or its times are none."""
        match = EOF_NAME.match(path.name)
        if match is None:
            return None
        try:
            created, start, stop = (
                datetime.strptime(match[k], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for k in ("created", "start", "stop")
            )
        except ValueError:
            return None
        return cls(path, match["platform"], match["kind"], created, start, stop)

    def covers(self, start_utc: datetime, stop_utc: datetime) -> bool:
        """True where the named validity contains the interval."""
        return self.start_utc <= start_utc and stop_utc <= self.stop_utc


@dataclass(frozen=True, slots=True, eq=False)
class StateVectors:
    """The content of one file. Times in seconds since `epoch_utc`; Earth-fixed frame."""

    epoch_utc: datetime
    times_s: FloatArray
    """(n,)"""
    positions_m: FloatArray
    """(n, 3)"""
    velocities_m_s: FloatArray
    """(n, 3)"""

    @property
    def span_utc(self) -> tuple[datetime, datetime]:
        """Times of the first and the last vector."""
        first, last = (self.epoch_utc + timedelta(seconds=float(self.times_s[i])) for i in (0, -1))
        return first, last


def read_eof(file: OrbitFile) -> StateVectors:
    """Read a file and check it against its name and against what a Sentinel-1 orbit is.

    Raises CorruptProduct where the file is empty, cut short, of another satellite, type or time, or holds
    numbers that are no Sentinel-1 orbit. OSError (a disk gone) passes through.
    """
    root = _parse(file.path)
    _check_header(file, root)
    listed = root.find("./Data_Block/List_of_OSVs")
    vectors = [] if listed is None else listed.findall("OSV")
    if listed is None or len(vectors) < 2:
        _refuse(file.path, "state vectors", f"{len(vectors)}")
    if (count := listed.get("count")) is not None and count.strip() != str(len(vectors)):
        _refuse(file.path, f"{count} state vectors as the list announces", f"{len(vectors)}")
    state = _state(file.path, vectors)
    _check_state(file, state)
    return state


def hermite_m(state: StateVectors, times_s: FloatArray) -> FloatArray:
    """Positions (n, 3) at `times_s` by cubic Hermite interpolation (0.3 mm at a step of 10 s)."""
    right = np.clip(np.searchsorted(state.times_s, times_s), 1, len(state.times_s) - 1)
    step_s = (state.times_s[right] - state.times_s[right - 1])[:, None]
    u = (times_s[:, None] - state.times_s[right - 1, None]) / step_s
    p0, p1 = state.positions_m[right - 1], state.positions_m[right]
    v0, v1 = state.velocities_m_s[right - 1] * step_s, state.velocities_m_s[right] * step_s
    found: FloatArray = (
        (2 * u**3 - 3 * u**2 + 1) * p0 + (u**3 - 2 * u**2 + u) * v0 + (3 * u**2 - 2 * u**3) * p1 + (u**3 - u**2) * v1
    )
    return found


def _refuse(path: Path, expected: str, got: str) -> NoReturn:
    raise CorruptProduct(f"{path}: expected {expected}, got {got}; delete the file and fetch it again")


def _parse(path: Path) -> Element:
    if path.stat().st_size == 0:
        _refuse(path, "an orbit file", "an empty file")
    try:
        root: Element | None = parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError) as error:
        _refuse(path, "a complete XML document", f"one that cannot be read ({error})")
    if root is None:
        _refuse(path, "a complete XML document", "one without content")
    return root


def _check_header(file: OrbitFile, root: Element) -> None:
    header = root.find("./Earth_Explorer_Header/Fixed_Header")
    if header is None:
        _refuse(file.path, "an Earth Explorer header", "none")
    platform = (header.findtext("Mission") or "").strip().replace("Sentinel-", "S")
    if platform != file.platform:
        _refuse(file.path, f"an orbit of {file.platform} as its name says", f"one of {platform or 'nothing'}")
    kind = (header.findtext("File_Type") or "").strip().removeprefix("AUX_")
    if kind != file.kind:
        _refuse(file.path, f"a {file.kind} as its name says", kind or "no type")
    for key, expected in (("Ref_Frame", "EARTH_FIXED"), ("Time_Reference", "UTC")):
        found_text = (root.findtext(f"./Earth_Explorer_Header/Variable_Header/{key}") or "").strip()
        if found_text != expected:
            _refuse(file.path, f"{key} {expected}", found_text or "nothing")
    for key, named in (("Validity_Start", file.start_utc), ("Validity_Stop", file.stop_utc)):
        found = _time(file.path, header.findtext(f"Validity_Period/{key}"))
        if abs((found - named).total_seconds()) > 1:
            _refuse(file.path, f"{key} {named:%Y-%m-%dT%H:%M:%S} as its name says", f"{found:%Y-%m-%dT%H:%M:%S}")


def _state(path: Path, vectors: list[Element]) -> StateVectors:
    times = [_time(path, vector.findtext("UTC")) for vector in vectors]
    try:
        numbers = np.array([list(_numbers(vector)) for vector in vectors], dtype=np.float64)
    except ValueError as error:
        _refuse(path, "X, Y, Z, VX, VY and VZ in each state vector", str(error))
    seconds = np.array([(t - times[0]).total_seconds() for t in times])
    return StateVectors(times[0], seconds, numbers[:, :3], numbers[:, 3:])


def _numbers(vector: Element) -> Iterator[float]:
    for axis in ("X", "Y", "Z", "VX", "VY", "VZ"):
        text = vector.findtext(axis)
        if text is None:
            raise ValueError(f"no {axis}")
        yield float(text)


def _check_state(file: OrbitFile, state: StateVectors) -> None:
    steps_s = np.diff(state.times_s)
    if not (steps_s.min() > 0 and steps_s.max() <= 2 * STEP_S):
        _refuse(
            file.path,
            f"state vectors in order, {STEP_S:g} s apart",
            f"steps of {steps_s.min():g} to {steps_s.max():g} s",
        )
    first, last = state.span_utc
    slack = timedelta(seconds=2 * STEP_S)
    if first > file.start_utc + slack or last < file.stop_utc - slack:
        named = f"{file.start_utc:%Y-%m-%dT%H:%M:%S} to {file.stop_utc:%Y-%m-%dT%H:%M:%S}"
        _refuse(file.path, f"state vectors over {named}", f"{first:%Y-%m-%dT%H:%M:%S} to {last:%Y-%m-%dT%H:%M:%S}")
    radius_m = np.linalg.norm(state.positions_m, axis=1)
    speed_m_s = np.linalg.norm(state.velocities_m_s, axis=1)
    for name, values, (least, most) in (("radius (m)", radius_m, RADIUS_M), ("speed (m/s)", speed_m_s, SPEED_M_S)):
        if not (values.min() >= least and values.max() <= most):
            _refuse(file.path, f"{name} of {least:g} to {most:g}", f"{values.min():g} to {values.max():g}")


def _time(path: Path, text: str | None) -> datetime:
    try:
        return datetime.fromisoformat((text or "").strip().removeprefix("UTC=")).replace(tzinfo=UTC)
    except ValueError:
        _refuse(path, "a time such as UTC=2023-08-23T14:10:24", repr(text))
