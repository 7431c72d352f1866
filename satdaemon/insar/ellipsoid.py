"""Places on the WGS84 ellipsoid: longitude, latitude and height to Earth-fixed metres and back, and incidence angles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_A_M = 6378137.0
EARTH_F = 1 / 298.257223563
_E2 = EARTH_F * (2 - EARTH_F)

Floats = NDArray[np.float64]


def to_cartesian(lon_deg: Floats, lat_deg: Floats, height_m: Floats) -> Floats:
    """(n, 3) Earth-fixed points of WGS84 longitude, latitude and ellipsoidal height."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    normal = EARTH_A_M / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
    return np.stack(
        [
            (normal + height_m) * np.cos(lat) * np.cos(lon),
            (normal + height_m) * np.cos(lat) * np.sin(lon),
            (normal * (1 - _E2) + height_m) * np.sin(lat),
        ],
        axis=1,
    )


def to_lon_lat(point_m: Floats) -> tuple[Floats, Floats]:
    """Geodetic longitude and latitude (degrees) of (n, 3) points near the Earth's surface.

    Bowring (1976), two steps: exact to better than 1e-11 degrees below 10 km.
    """
    x, y, z = point_m.T
    b = EARTH_A_M * (1 - EARTH_F)
    second = _E2 / (1 - _E2)
    p = np.hypot(x, y)
    theta = np.arctan2(z * EARTH_A_M, p * b)
    lat = np.zeros_like(theta)
    for _ in range(2):
        lat = np.arctan2(z + second * b * np.sin(theta) ** 3, p - _E2 * EARTH_A_M * np.cos(theta) ** 3)
        theta = np.arctan2(b * np.sin(lat), EARTH_A_M * np.cos(lat))
    return np.degrees(np.arctan2(y, x)), np.degrees(lat)


def incidence_deg(satellite_m: Floats, point_m: Floats) -> Floats:
    """Angle between the line of sight and the ellipsoid's normal at (n, 3) points, degrees."""
    lon, lat = (np.radians(v) for v in to_lon_lat(point_m))
    normal = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    sight = satellite_m - point_m
    cosine = np.einsum("ij,ij->i", sight, normal) / np.linalg.norm(sight, axis=1)
    return np.asarray(np.degrees(np.arccos(cosine)), np.float64)
