"""Vector tiles (Mapbox vector tiles, Web Mercator): made by PostGIS where it is there, else here."""

from satdaemon.db.tiles.bursts import burst_cells, burst_tile
from satdaemon.db.tiles.frames import frame_tile
from satdaemon.db.tiles.grid import Tile

__all__ = ["Tile", "burst_cells", "burst_tile", "frame_tile"]
