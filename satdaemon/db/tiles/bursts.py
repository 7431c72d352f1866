"""The burst map: polygons from zoom 5 on, counts of cells below."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text

from satdaemon.db.models import Burst
from satdaemon.db.shapes import burst_shapes
from satdaemon.db.store import Store
from satdaemon.db.tiles.grid import EXTENT, Tile, encoded

LEAST_ZOOM = 5
"""Below it single bursts are not drawn."""
MOST = 20_000
CELL_DEG = 2.0
_POSTGIS = text(
    """
    SELECT ST_AsMVT(t, 'bursts', :extent, 'shape') FROM (
      SELECT id, track, orbit_direction AS pass, swath,
        ST_AsMVTGeom(ST_Transform(geometry, 3857), ST_TileEnvelope(:z, :x, :y), :extent, 64, true) AS shape
      FROM bursts
      WHERE geometry && ST_GeomFromText(:box, 4326)
        AND (CAST(:track AS integer) IS NULL OR track = :track)
        AND (CAST(:pass AS text) IS NULL OR orbit_direction = :pass)
      LIMIT :most) t WHERE shape IS NOT NULL
    """
)


@dataclass(frozen=True, slots=True)
class BurstCell:
    """A cell of degrees with its bursts."""

    lon: float
    """Of its middle, degrees."""
    lat: float
    bursts: int


def burst_tile(db: Store, tile: Tile, *, track: int | None = None, direction: str | None = None) -> bytes:
    """Bursts with id, track, pass and swath; empty below LEAST_ZOOM."""
    if tile.z < LEAST_ZOOM:
        return b""
    if db.on_postgresql:
        values = {"z": tile.z, "x": tile.x, "y": tile.y, "extent": EXTENT, "box": tile.box.wkt, "most": MOST}
        with db.read_scope() as session:
            found = session.execute(_POSTGIS, {**values, "track": track, "pass": direction}).scalar()
        return bytes(found or b"")
    rows = burst_shapes(db, tile.box, MOST, track=track, direction=direction)
    properties = [{"id": i, "track": t, "pass": d, "swath": s} for i, t, d, s, *_ in rows]
    return encoded(tile, "bursts", [shape for *_, shape in rows], properties)


def burst_cells(db: Store) -> list[BurstCell]:
    """How many bursts each cell of two degrees has, by the middle of their bounds. Reads the whole table."""
    lon = func.floor((Burst.minx + Burst.maxx) / 2 / CELL_DEG)
    lat = func.floor((Burst.miny + Burst.maxy) / 2 / CELL_DEG)
    with db.read_scope() as session:
        rows = session.execute(select(lon, lat, func.count()).where(Burst.minx.is_not(None)).group_by(lon, lat)).all()
    return [BurstCell((float(x) + 0.5) * CELL_DEG, (float(y) + 0.5) * CELL_DEG, count) for x, y, count in rows]
