"""The demo, readable top to bottom."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from satdaemon.cli.application import app, make_console
from satdaemon.errors import ProcessingError, RequestError

if TYPE_CHECKING:
    from satdaemon.cli.demo.place import Place
    from satdaemon.config import Settings


@app.command("demo")
def demo(
    dates: Annotated[int, typer.Option(min=6, max=60, help="Number of acquisition dates.")] = 14,
    seed: Annotated[int, typer.Option(help="Same seed, same archive.")] = 1,
    database: Annotated[str | None, typer.Option(help="URL of a database; default: SQLite below OUT.")] = None,
    out: Annotated[Path, typer.Option(help="Directory of the demo.")] = Path("demo"),
    archive: Annotated[
        Literal["asf", "cdse"] | None,
        typer.Option(help="Fetch the products over HTTP from a stand-in for this archive, with faults; default: a directory."),
    ] = None,
    bursts_only: Annotated[
        bool, typer.Option("--bursts-only", help="With --archive asf: fetch only the frame's bursts, not whole products.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Prefect and its UI running at the end, until Ctrl-C.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over: remove what an earlier demo left.")] = False,
) -> None:
    """Simulate an archive, process it through Prefect and Dask, and compare the points with the truth.

    Run again, it resumes; a finished demo only prints its result.
    """
    from satdaemon.cli.demo.archive import served
    from satdaemon.cli.demo.place import configure, prepare

    if bursts_only and archive != "asf":
        raise RequestError("--bursts-only: expected --archive asf with it, the only archive that cuts bursts out")
    started = time.monotonic()
    console = make_console()
    options = {"dates": dates, "seed": seed, "database": database, **({} if archive is None else {"archive": archive})}
    options |= {"bursts_only": True} if bursts_only else {}
    place = prepare(out, options=options, fresh=fresh)
    if not place.summary.exists():
        make_archive(place, dates=dates, seed=seed)
        settings = configure(place, database=database, archive=archive, bursts_only=bursts_only)
        with served(place, settings, archive, seed, console):
            make_frame(place, settings, console)
            _process(place, settings, console)
        _need_points(place, settings, console)
        compare(place, settings, wall_s=time.monotonic() - started)
    settings = configure(place, database=database, archive=archive, bursts_only=bursts_only)
    _tell(place, settings, console)
    if keep:
        from satdaemon.cli.demo.services import stay_up

        with served(place, settings, archive, seed, console):
            stay_up(settings, console)


def make_archive(place: Place, *, dates: int, seed: int) -> None:
    """The simulated archive, orbits and DEM below the demo's directory."""
    from satdaemon.cli.simulate import simulate_with_bar

    simulate_with_bar(place.simulation, dates=dates, seed=seed)


def make_frame(place: Place, settings: Settings, console: Console) -> None:
    """The database, and in it the frame with its dates, switched on."""
    from satdaemon.control import SatDaemonController
    from satdaemon.db import Frame, init_database

    frame = place.frame()
    console.print(f"[bold]database[/] {settings.parameters.database}", highlight=False)
    database = init_database(settings)
    if not database.query(Frame, id=frame["id"]):
        from satdaemon.db.bursts import insert_bursts

        insert_bursts(database, frame["bursts"])
        database.make_new_frame_using_burstlist([burst["id"] for burst in frame["bursts"]], frame["id"])
    database.fill_files_table(frame["id"])
    database.update_procdates(frame["id"])
    controller = SatDaemonController(settings)
    controller.resume()
    controller.set_frame_full_proc(frame["id"], True)


def _process(place: Place, settings: Settings, console: Console) -> None:
    from satdaemon.cli.demo.services import run_until_done

    run_until_done(settings, place.frame()["id"], console)


def _need_points(place: Place, settings: Settings, console: Console) -> None:
    """Raise, after showing what failed and why, where the chain did not come to its end."""
    from satdaemon.cli.status import reasons_table
    from satdaemon.db import Database
    from satdaemon.db.points import version_of
    from satdaemon.db.summary import blocked

    frame_id, database = place.frame()["id"], Database(settings)
    if version_of(database, frame_id) is None:
        console.print(reasons_table(blocked(database, frame_id)))
        raise ProcessingError(
            f"{frame_id}: expected points, but the chain did not come to its end; the table says what failed and why. "
            f"Logs: {settings.parameters.log_path / frame_id}. Run the demo again to try what is not done."
        )


def compare(place: Place, settings: Settings, *, wall_s: float) -> None:
    """The pictures, and `summary.json`: the points against the truth."""
    from satdaemon.cli.demo.pictures import draw_series, draw_velocity
    from satdaemon.cli.demo.result import accuracy, read_result, totals
    from satdaemon.simulator import Truth

    result = read_result(settings, place.frame()["id"])
    truth = Truth.load(place.simulation)
    draw_velocity(result, truth, place.root / "velocity.png")
    shown = draw_series(result, truth, place.root / "series.png")
    summary = {
        **totals(result, settings),
        **accuracy(result, truth),
        "series_at": [float(result.points[name][shown]) for name in ("lon", "lat")],
        "wall_s": round(wall_s, 1),
    }
    place.summary.write_text(json.dumps(summary, indent=1) + "\n")


def _tell(place: Place, settings: Settings, console: Console) -> None:
    from satdaemon.cli.demo.report import print_report

    print_report(place, settings, console)
