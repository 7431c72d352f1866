"""What the columns of a point mean, for files that leave the database."""

from __future__ import annotations

FIELDS: dict[str, tuple[str, str]] = {
    "height_m": ("m", "height above the ellipsoid, DEM"),
    "velocity": ("mm/yr", "velocity in the line of sight, positive towards the satellite"),
    "velocity_std": ("mm/yr", "standard error of the velocity"),
    "temporal_coherence": ("1", "agreement of the point's interferograms, 0..1"),
    "incidence_deg": ("deg", "incidence angle"),
    "dem_error_m": ("m", "height above the DEM relative to the surroundings"),
    "seasonal_sin": ("mm", "sine term of the yearly cycle"),
    "seasonal_cos": ("mm", "cosine term of the yearly cycle"),
}
"""Column of the points table -> unit and meaning."""
