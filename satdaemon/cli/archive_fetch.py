"""How `satdaemon archive fetch` shows what it does: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from satdaemon.archive.pace import Pace


class Bar:
    """One bar for each product, with rate and time left."""

    def __init__(self, console: Console) -> None:
        sizes = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        columns = (TextColumn("{task.description}"), BarColumn(20), *sizes)
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task: TaskID | None = None
        self._rate = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, name: str, size: int | None) -> None:
        """The next product."""
        self._task, self._rate = self._progress.add_task(name[17:32], total=size), ""

    def told(self, pace: Pace) -> None:
        """Where the transfer stands."""
        if self._task is not None:
            self._progress.update(self._task, completed=pace.done_bytes, total=pace.size_bytes)
        self._rate = f"  {pace.bytes_s / 1e6:.1f} MB/s"

    def warn(self, words: str) -> None:
        """It was tried again, or elsewhere."""
        typer.echo(words, err=True)

    def done(self, line: str) -> None:
        """A product is there."""
        typer.echo(f"{line}{self._rate}")
