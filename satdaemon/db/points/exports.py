"""A frame's points, or those of an area, as files for other programs: GeoParquet, CSV, Zarr."""

from __future__ import annotations

import glob
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import shapely
from numpy.typing import NDArray
from sqlalchemy import func, select

from satdaemon.db.models import Point
from satdaemon.db.points.places import region_of
from satdaemon.db.points.read import NODATA, STEP_MM, walk
from satdaemon.db.points.shown import ANY_QUALITY, Points, Quality, Shown, shown
from satdaemon.db.store import Store
from satdaemon.errors import DataError, RequestError

FORMATS = {".parquet": "geoparquet", ".geoparquet": "geoparquet", ".csv": "csv", ".zarr": "zarr"}
PIECE = 1 << 15
"""Points that are held in memory, and a row group or chunk of the files."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PointsExport:
    """What was written."""

    path: Path
    points: int
    dates: int
    version: int


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself."""

    frame: str
    version: int
    dates: tuple[str, ...]
    """Empty where the series are left out."""
    most: int
    """At most so many points follow."""
    facts: dict[str, Any]


class Writer(Protocol):
    """One format: pieces of points with their series (points, dates; 0.1 mm), in order."""

    def write(self, points: Points, steps: NDArray[Any] | None) -> None:
        """Add a piece."""


Open = Callable[[Path, About], AbstractContextManager[Writer]]


def export(
    db: Store,
    frame_id: str,
    out: Path,
    *,
    polygon: Any | None = None,
    quality: Quality = ANY_QUALITY,
    with_series: bool = True,
    overwrite: bool = False,
    progress: Progress = lambda done, most: None,
) -> PointsExport:
    """Write the points shown of a frame, or those in a polygon, to `out`, whose suffix tells the format.

    Memory is bounded. `out` appears whole or not at all. RequestError where it exists and `overwrite` is off, where the
    suffix is unknown, or where no point is left to write.
    """
    opened = _format_of(out, overwrite)
    region = None if polygon is None else region_of(polygon)
    with shown(db, frame_id) as view:
        most = view.version.points if region is None and quality == ANY_QUALITY else _bound(view, quality)
        dates = tuple(view.version.dates) if with_series else ()
        about = About(frame_id, view.version.id, dates, most, _facts(view, region, quality))
        part = _part_of(out)
        done = 0
        try:
            with opened(part, about) as writer:
                for piece in walk(view, region, quality=quality, piece=PIECE):
                    writer.write(piece, view.series(piece.point_id) if with_series else None)
                    done += len(piece)
                    progress(done, most)
            if not done:
                raise RequestError(f"frame {frame_id}: expected points to export, found none there that meet the bounds")
            _publish(part, out, overwrite)
        except OSError as error:
            raise DataError(f"{out}: cannot be written: {error}") from error
        finally:
            _remove(part)
    return PointsExport(out, done, len(dates), about.version)


def _format_of(out: Path, overwrite: bool) -> Open:
    name = FORMATS.get(out.suffix.lower())
    if name is None:
        raise RequestError(f"{out}: expected a name that ends with {', '.join(FORMATS)}, got {out.suffix or 'no suffix'!r}")
    if not out.parent.is_dir():
        raise RequestError(f"{out}: expected an existing directory, found none at {out.parent}")
    if out.exists() and not overwrite:
        raise RequestError(f"{out}: exists already; --force replaces it")
    if out.exists() and out.is_dir() != (name == "zarr"):
        raise RequestError(f"{out}: expected a {'directory' if name == 'zarr' else 'file'} to replace, got the other")
    # Each loads a library that takes a while.
    if name == "geoparquet":
        from satdaemon.db.points.export_parquet import open_geoparquet

        return open_geoparquet
    if name == "csv":
        from satdaemon.db.points.export_csv import open_csv

        return open_csv
    from satdaemon.db.points.export_zarr import open_zarr

    return open_zarr


def _bound(view: Shown, quality: Quality) -> int:
    """How many points meet the bounds, wherever they are."""
    wanted = select(func.count()).where(Point.version_id == view.version.id, *quality.conditions())
    return int(view.session.scalar(wanted) or 0)


def _facts(view: Shown, region: Any | None, quality: Quality) -> dict[str, Any]:
    bounds = {name: getattr(quality, name) for name in Quality.__dataclass_fields__ if getattr(quality, name) is not None}
    return {
        "frame": view.version.frame_id,
        "points_version": view.version.id,
        "product": view.version.product,
        "exported_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "series_unit": "mm, line of sight, positive towards the satellite",
        **{name: view.version.attributes[name] for name in ("reference", "master_date") if name in view.version.attributes},
        **({"polygon": shapely.to_wkt(region)} if region is not None else {}),
        **({"bounds_on": bounds} if bounds else {}),
    }


def _part_of(out: Path) -> Path:
    """Where `out` is written until it is whole. What killed exports of this machine left there is removed."""
    host = socket.gethostname()
    for left in out.parent.glob(f".{glob.escape(out.name)}.{glob.escape(host)}-*.part"):
        number, _, old = left.name.removeprefix(f".{out.name}.{host}-").removesuffix(".part").partition("-")
        if number.isdigit() and not _lives(int(number)) and (not old or out.exists()):
            _remove(left)
    return out.with_name(f".{out.name}.{host}-{os.getpid()}.part")


def _publish(part: Path, out: Path, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise RequestError(f"{out}: came to exist meanwhile; --force replaces it")
    if not part.is_dir() or not out.exists():
        part.replace(out)
        return
    aside = out.with_name(f"{part.name.removesuffix('.part')}-old.part")
    out.rename(aside)  # a directory that is not empty cannot be replaced in one step
    part.rename(out)
    _remove(aside)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


__all__ = ["FORMATS", "NODATA", "STEP_MM", "About", "PointsExport", "export"]
