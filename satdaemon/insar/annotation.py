"""Bursts of one swath from its annotation XML (Sentinel-1 Product Specification, S1-RS-MDA-52-7441)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from satdaemon.domain import Burst
from satdaemon.insar.bursts import anx_of, burst_id, esa_burst_id, track_of_burst


@dataclass(frozen=True, slots=True)
class SafeBurst:
    """One burst of a product."""

    id: str
    track: int
    orbit_direction: str
    anx: int
    """Tenths of a second since the ascending node."""
    swath: str
    esa_id: int
    """Relative burst id: the annotation's burstId (IPF 3.4 and later), else by ESA's rule."""
    index: int
    """Place in the swath, from 0."""
    anx_time_s: float
    """azimuthAnxTime as annotated."""
    azimuth_time_utc: datetime
    """Zero-Doppler time of the first line, valid or not."""
    sensing_time_utc: datetime
    lines: int
    samples: int
    valid_lines: tuple[int, int]
    """First and last line with valid samples."""
    valid_samples: tuple[int, int]
    """First and last sample that is valid on every valid line."""
    footprint: tuple[tuple[float, float], ...]
    """Corners of the valid area, (lon, lat) degrees, not closed; longitudes run on across the date line."""

    def to_domain(self) -> Burst:
        """The burst as the rest of the system knows it."""
        return Burst(self.id, self.track, self.orbit_direction, self.anx, self.swath, self.esa_id, self.footprint)


def text_of(element: Element, path: str) -> str:
    """Text below `path`; ValueError that names it where there is none."""
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f"expected an element {path}, found none")
    return text.strip()


def iso_utc(text: str) -> datetime:
    """An ESA time (`2020-05-11T13:51:17.123456`, UTC, with or without a Z) as an aware datetime."""
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def valid_window(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Largest rectangle of valid samples: ((first line, last line), (first sample, last sample)), inclusive.

    Parameters
    ----------
    first, last
        firstValidSample and lastValidSample of each line, -1 on a line without valid samples.
    """
    lines = np.flatnonzero((first >= 0) & (last >= first))
    if not lines.size:
        raise ValueError("burst without a valid line")
    return (int(lines[0]), int(lines[-1])), (int(first[lines].max()), int(last[lines].min()))


def read_bursts(root: Element, tracks: tuple[int, int], orbit_direction: str) -> list[SafeBurst]:
    """All bursts of the swath; none where the product was cut down to bursts of other swaths.

    Parameters
    ----------
    root
        The annotation's `product` element.
    tracks
        Relative orbits at the start and stop of the product (manifest).
    orbit_direction
        A or D.

    Raises
    ------
    ValueError
        An element is missing or is not a number or time.
    """
    elements = root.findall("swathTiming/burstList/burst")
    if not elements:
        return []
    swath = text_of(root, "adsHeader/swath")
    node_utc = iso_utc(text_of(root, "imageAnnotation/imageInformation/ascendingNodeTime"))
    line_s = float(text_of(root, "imageAnnotation/imageInformation/azimuthTimeInterval"))
    lines, samples = (int(text_of(root, f"swathTiming/{k}")) for k in ("linesPerBurst", "samplesPerBurst"))
    grid = _GeolocationGrid(root)
    found = []
    for index, burst in enumerate(elements):
        azimuth_utc = iso_utc(text_of(burst, "azimuthTime"))
        sensing_utc = iso_utc(text_of(burst, "sensingTime"))
        anx_time_s = float(text_of(burst, "azimuthAnxTime"))
        track = track_of_burst(anx_time_s, *tracks)
        rows, cols = valid_window(_integers(burst, "firstValidSample"), _integers(burst, "lastValidSample"))
        annotated = burst.findtext("burstId")
        esa_id = int(annotated) if annotated else esa_burst_id((sensing_utc - node_utc).total_seconds(), swath, *tracks)
        found.append(
            SafeBurst(
                id=burst_id(track, anx_time_s, swath),
                track=track,
                orbit_direction=orbit_direction,
                anx=anx_of(anx_time_s),
                swath=swath,
                esa_id=esa_id,
                index=index,
                anx_time_s=anx_time_s,
                azimuth_time_utc=azimuth_utc,
                sensing_time_utc=sensing_utc,
                lines=lines,
                samples=samples,
                valid_lines=rows,
                valid_samples=cols,
                footprint=grid.footprint(index * lines, lines, rows, cols, azimuth_utc, line_s),
            )
        )
    return found


def _integers(burst: Element, name: str) -> NDArray[np.int64]:
    return np.array(text_of(burst, name).split(), dtype=np.int64)


class _GeolocationGrid:
    """Longitude and latitude of a (line, pixel) of a burst by interpolation in the annotation's grid."""

    def __init__(self, root: Element) -> None:
        points = root.findall("geolocationGrid/geolocationGridPointList/geolocationGridPoint")
        self._lines = np.array([int(text_of(p, "line")) for p in points])
        self._rows = {
            int(line): [p for p, at in zip(points, self._lines, strict=True) if at == line] for line in np.unique(self._lines)
        }
        if len(self._rows) < 2:
            raise ValueError(f"geolocationGrid has {len(self._rows)} lines, expected at least 2")

    def footprint(
        self, start: int, lines: int, rows: tuple[int, int], cols: tuple[int, int], azimuth_utc: datetime, line_s: float
    ) -> tuple[tuple[float, float], ...]:
        """Corners of the valid area of the burst whose first line in the swath image is `start`.

        The grid has a row at the start of each burst and one at the end. Bursts overlap in time, so the
        row nearest to the burst's start and the one after it are extended linearly in azimuth time.
        """
        at = sorted(self._rows)
        first = min(range(len(at) - 1), key=lambda i: abs(at[i] - start))
        corners = []
        for line, col in ((rows[0], cols[0]), (rows[0], cols[1]), (rows[1], cols[1]), (rows[1], cols[0])):
            ends = [self._at(at[first + k], col) for k in (0, 1)]
            t = (azimuth_utc.timestamp() + line * line_s - ends[0][0]) / (ends[1][0] - ends[0][0])
            lon0 = ends[0][1]
            lon1 = lon0 + (ends[1][1] - lon0 + 180.0) % 360.0 - 180.0
            corners.append((lon0 + t * (lon1 - lon0), ends[0][2] + t * (ends[1][2] - ends[0][2])))
        reference = corners[0][0]
        return tuple((reference + (lon - reference + 180.0) % 360.0 - 180.0, lat) for lon, lat in corners)

    def _at(self, line: int, col: int) -> tuple[float, float, float]:
        """(azimuth time, lon, lat) at a column of one grid line."""
        row = self._rows[line]
        pixel = [float(text_of(p, "pixel")) for p in row]
        time = [iso_utc(text_of(p, "azimuthTime")).timestamp() for p in row]
        lon = np.unwrap([float(text_of(p, "longitude")) for p in row], period=360.0)
        lat = [float(text_of(p, "latitude")) for p in row]
        return float(np.interp(col, pixel, time)), float(np.interp(col, pixel, lon)), float(np.interp(col, pixel, lat))
