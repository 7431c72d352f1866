"""What the demo tells at its end."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from satdaemon.cli.demo.place import Place
from satdaemon.cli.status import reasons_table
from satdaemon.config import Settings
from satdaemon.db import Database
from satdaemon.db.summary import blocked

LIMITS = {
    "displacement_rms_mm": ("<=", 1.5),
    "unwrap_jump_fraction": ("<", 0.005),
    "coherent_recall": (">=", 0.85),
    "incoherent_share": ("<=", 0.03),
    "geolocation_rms_m": ("<=", 10.0),
    "esd_error_px": ("<=", 0.001),
    "peak_job_memory_gb": ("<", 3.0),
}
"""What the result must keep, for the table."""


def print_report(place: Place, settings: Settings, console: Console) -> None:
    """The comparison with the truth, the dates that were left out and why, and where to look."""
    summary = json.loads(place.summary.read_text())
    frame_id = place.frame()["id"]
    console.print(reasons_table(blocked(Database(settings), frame_id)))
    table = Table("against the truth", "", "limit", title=frame_id)
    for name, value in summary.items():
        if isinstance(value, dict | list | str):
            continue
        limit = LIMITS.get(name)
        text = f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
        style = "default" if limit is None else "green" if kept(name, value) else "red"
        table.add_row(name, f"[{style}]{text}[/]", "" if limit is None else f"{limit[0]} {limit[1]:g}")
    console.print(table)
    lon, lat = summary["series_at"]
    config = f"-d {place.config}"
    console.print(
        f"map of velocity     {place.root / 'velocity.png'}\n"
        f"series of a point   {place.root / 'series.png'}\n"
        f"numbers             {place.summary}\n"
        f"a point             .venv/bin/satdaemon points near {frame_id} {lon:.5f} {lat:.5f} {config}\n"
        f"every row           .venv/bin/satdaemon status {frame_id} {config}\n"
        f"Prefect UI          bash scripts/demo --keep, then {settings.parameters.prefect_api.removesuffix('/api')}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def kept(name: str, value: float) -> bool:
    """True where a value keeps its limit."""
    sign, limit = LIMITS[name]
    return {"<": value < limit, "<=": value <= limit, ">=": value >= limit}[sign]
