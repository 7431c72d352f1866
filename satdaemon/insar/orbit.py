"""Precise orbit files (POEORB, RESORB) and the arc of state vectors around one acquisition.

Format: Sentinel-1 orbit files, GMES-GSEG-EOPG-FS-10-0075. Positions are Earth-fixed, metres; times UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from numpy.typing import NDArray

from satdaemon.errors import CorruptProduct, DataError
from satdaemon.insar.annotation import iso_utc, text_of

STEP_S = 10.0
"""Spacing of the state vectors in orbit files."""
MARGIN_S = 60.0
"""The arc reaches this far before and after the acquisition, so that interpolation never works at its edge."""
_STEP = np.timedelta64(10_000_000, "us")
_VECTOR = re.compile(rb"<OSV>.*?<UTC>UTC=([^<]*)</UTC>.*?</OSV>", re.DOTALL)
_RADIUS_M = (6.9e6, 7.2e6)
_SPEED_M_S = (7.4e3, 7.8e3)


@dataclass(frozen=True, slots=True, eq=False)
class OrbitFile:
    """One orbit file."""

    path: Path
    type: str
    """POEORB or RESORB."""
    platform: str
    time_utc: NDArray[np.datetime64]
    """(n,) microseconds, increasing."""
    position_m: NDArray[np.float64]
    """(n, 3) Earth-fixed."""
    velocity_m_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OrbitArc:
    """State vectors around one acquisition; times are seconds since `epoch_utc`, a whole second."""

    type: str
    files: tuple[str, ...]
    epoch_utc: datetime
    time_s: NDArray[np.float64]
    position_m: NDArray[np.float64]
    velocity_m_s: NDArray[np.float64]

    def seconds(self, time: datetime) -> float:
        """Seconds since the arc's epoch, exact to a microsecond."""
        return (time - self.epoch_utc) / timedelta(seconds=1)

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back."""
        return {
            "type": self.type,
            "files": list(self.files),
            "epoch_utc": self.epoch_utc.isoformat(),
            "time_s": self.time_s.tolist(),
            "position_m": self.position_m.tolist(),
            "velocity_m_s": self.velocity_m_s.tolist(),
        }

    def to_bytes(self) -> bytes:
        """The state vectors: seven little-endian doubles each, seconds since the epoch, position, velocity."""
        return np.column_stack([self.time_s, self.position_m, self.velocity_m_s]).astype("<f8").tobytes()

    @classmethod
    def from_bytes(cls, kind: str, epoch_utc: datetime, content: bytes) -> Self:
        """Inverse of `to_bytes`."""
        vectors = np.frombuffer(content, "<f8").reshape(-1, 7).astype(np.float64)
        return cls(kind, (), epoch_utc, vectors[:, 0], vectors[:, 1:4], vectors[:, 4:])

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            value["type"],
            tuple(value["files"]),
            datetime.fromisoformat(value["epoch_utc"]),
            np.array(value["time_s"]),
            np.array(value["position_m"]),
            np.array(value["velocity_m_s"]),
        )


def read_orbit_file(path: Path, around: tuple[datetime, datetime] | None = None) -> OrbitFile:
    """Read a POEORB or RESORB `.EOF`.

    Parameters
    ----------
    around
        Keep only the state vectors from 5 minutes before the first time to 5 minutes after the second; a day's
        file is then read 20 times faster.

    Raises
    ------
    DataError
        Nothing at `path`, or another kind of file, or state vectors that are not Earth-fixed and in UTC.
    CorruptProduct
        Truncated, or with state vectors that cannot be a Sentinel-1 orbit.
    """
    try:
        document = path.read_bytes()
        root = fromstring(document if around is None else _cut(document, *around))
    except FileNotFoundError:
        raise DataError(f"{path}: expected an orbit file, found nothing") from None
    except (ParseError, DefusedXmlException) as error:
        raise CorruptProduct(f"{path}: not a complete orbit file: {error}; download it again") from error
    try:
        kind = text_of(root, "Earth_Explorer_Header/Fixed_Header/File_Type").removeprefix("AUX_")
        mission = text_of(root, "Earth_Explorer_Header/Fixed_Header/Mission")
        frame = text_of(root, "Earth_Explorer_Header/Variable_Header/Ref_Frame")
        scale = text_of(root, "Earth_Explorer_Header/Variable_Header/Time_Reference")
        vectors = root.findall("Data_Block/List_of_OSVs/OSV")
        time = np.array([text_of(v, "UTC").removeprefix("UTC=") for v in vectors], dtype="datetime64[us]")
        position, velocity = (
            np.array([[float(text_of(v, axis)) for axis in axes] for v in vectors]).reshape(-1, 3)
            for axes in (("X", "Y", "Z"), ("VX", "VY", "VZ"))
        )
    except ValueError as error:
        raise CorruptProduct(f"{path}: {error}") from error
    if kind not in ("POEORB", "RESORB") or frame != "EARTH_FIXED" or scale != "UTC":
        raise DataError(f"{path}: expected POEORB or RESORB, EARTH_FIXED, UTC; got {kind}, {frame}, {scale}")
    _check_vectors(path, time, position, velocity, least=2 if around is None else 0)
    return OrbitFile(path, kind, "S1" + mission[-1], time, position, velocity)


def _cut(document: bytes, start: datetime, stop: datetime) -> bytes:
    """The document without the state vectors far from the times; ISO times compare as text."""
    low, high = (
        t.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        for t in (start - timedelta(minutes=5), stop + timedelta(minutes=5))
    )
    vectors = list(_VECTOR.finditer(document))
    if not vectors:
        return document
    kept = b"".join(v[0] for v in vectors if low <= v[1] <= high)
    return document[: vectors[0].start()] + kept + document[vectors[-1].end() :]


def _check_vectors(
    path: Path, time: NDArray[np.datetime64], position: NDArray[np.float64], velocity: NDArray[np.float64], *, least: int
) -> None:
    if len(time) < least or np.any(np.diff(time) <= np.timedelta64(0)):
        raise CorruptProduct(f"{path}: expected at least {least} state vectors in increasing time, got {len(time)}")
    for name, vector, (low, high) in (("radius", position, _RADIUS_M), ("speed", velocity, _SPEED_M_S)):
        size = np.linalg.norm(vector, axis=1)
        if not np.all((size > low) & (size < high)):
            raise CorruptProduct(f"{path}: {name} {size.min():.0f} to {size.max():.0f}, expected {low:.0f} to {high:.0f}")


def orbit_arc(files: Sequence[OrbitFile], platform: str, start_utc: datetime, stop_utc: datetime) -> OrbitArc:
    """State vectors from one minute before the acquisition to one minute after it.

    One file that covers all of it is used alone (a POEORB before a RESORB); otherwise files of one type that
    join are put together, each vector from the file that goes furthest back.

    Raises
    ------
    DataError
        Wrong satellite, or the files leave a gap.
    """
    wrong = [f for f in files if f.platform != platform]
    if wrong:
        raise DataError(f"{wrong[0].path}: orbit of {wrong[0].platform}, expected {platform}")
    low, high = (
        np.datetime64(t.astimezone(UTC).replace(tzinfo=None), "us")
        for t in (start_utc - timedelta(seconds=MARGIN_S), stop_utc + timedelta(seconds=MARGIN_S))
    )
    ordered = sorted((f for f in files if f.time_utc.size), key=lambda f: (f.type != "POEORB", f.time_utc[0]))
    whole = [f for f in ordered if f.time_utc[0] <= low and f.time_utc[-1] >= high]
    used = whole[:1] or [f for f in ordered if f.time_utc[-1] >= low and f.time_utc[0] <= high]
    time, position, velocity = _join(used)
    inside = np.flatnonzero((time >= low - _STEP) & (time <= high + _STEP))
    time, position, velocity = time[inside], position[inside], velocity[inside]
    # where two files join, their grids of times may be out of step
    gaps = np.diff(time) > _STEP * 8 // 5
    if not len(time) or time[0] > low or time[-1] < high or gaps.any():
        raise DataError(
            f"orbit files {[f.path.name for f in files]}: expected state vectors every {STEP_S:.0f} s "
            f"from {low} to {high} without a gap"
        )
    epoch = start_utc.replace(microsecond=0)
    zero = np.datetime64(epoch.astimezone(UTC).replace(tzinfo=None), "us")
    kind = "+".join(sorted({f.type for f in used}))
    return OrbitArc(kind, tuple(f.path.name for f in used), epoch, (time - zero) / np.timedelta64(1, "s"), position, velocity)


def _join(files: Sequence[OrbitFile]) -> tuple[NDArray[np.datetime64], NDArray[np.float64], NDArray[np.float64]]:
    """Vectors of several files in time order; where files overlap, of the one that starts first."""
    times: list[NDArray[np.datetime64]] = [np.empty(0, "datetime64[us]")]
    rest: list[NDArray[np.float64]] = [np.empty((0, 6))]
    for file in sorted(files, key=lambda f: f.time_utc[0]):
        last = times[-1][-1] if times[-1].size else None
        new = np.full(len(file.time_utc), True) if last is None else file.time_utc > last + _STEP // 2
        if new.any():
            times.append(file.time_utc[new])
            rest.append(np.hstack([file.position_m[new], file.velocity_m_s[new]]))
    both = np.vstack(rest)
    return np.concatenate(times), both[:, :3], both[:, 3:]


def annotated_arc(vectors: Sequence[tuple[str, Sequence[float], Sequence[float]]], start_utc: datetime) -> OrbitArc:
    """The arc in a product's own annotation: (time, position, velocity) of each state vector."""
    epoch = start_utc.replace(microsecond=0)
    time = np.array([(iso_utc(t) - epoch) / timedelta(seconds=1) for t, _, _ in vectors])
    return OrbitArc(
        "annotation", (), epoch, time, np.array([p for _, p, _ in vectors], float), np.array([v for _, _, v in vectors], float)
    )
