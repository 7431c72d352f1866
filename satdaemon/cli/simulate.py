"""`satdaemon simulate`: an archive whose ground motion is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from satdaemon.cli.application import app


def simulate_with_bar(out: Path, *, dates: int, seed: int, overwrite: bool = False) -> None:
    """Run the simulator behind a progress bar."""
    from satdaemon.simulator import SimulationOptions, simulate

    columns = (TextColumn("[bold]simulate"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn(),
               TextColumn("{task.description}"))
    with Progress(*columns) as bars:
        bar = bars.add_task("", total=1.0)
        simulate(
            out, SimulationOptions(dates=dates, seed=seed),
            progress=lambda share, text: bars.update(bar, completed=share, description=text), overwrite=overwrite,
        )


@app.command("simulate")
def simulate_command(
    out: Annotated[Path, typer.Argument(help="Directory to make.")],
    dates: Annotated[int, typer.Option(help="Number of acquisition dates.")] = 14,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands in OUT.")] = False,
) -> None:
    """Make Sentinel-1 SAFE zips, orbits and a DEM with known ground motion (truth.json says what was put in)."""
    simulate_with_bar(out, dates=dates, seed=seed, overwrite=overwrite)
    typer.echo(f"archive: {out / 'archive'}\norbits:  {out / 'orbits'}\nDEM:     {out / 'dem.tif'}\ntruth:   {out / 'truth'}")
