"""What `satdaemon up` shows: one screen on a terminal, else plain lines."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from satdaemon.db import Database
from satdaemon.db.overview import overview
from satdaemon.errors import DatabaseUnavailable
from satdaemon.screen import screen

_EVERY_S = 1.0
_SAY_S = 10.0


class Display:
    """Lines as they come, and below them, where `is_live` and this is a terminal, the state of everything."""

    def __init__(self, database: Database, *, is_live: bool, console: Console | None = None) -> None:
        self.console = Console(highlight=False, soft_wrap=True) if console is None else console
        self._database = database
        on_screen = is_live and self.console.is_terminal
        self._live = Live(console=self.console, auto_refresh=False, vertical_overflow="crop") if on_screen else None
        self._shown = 0.0
        self._note, self._said = "", 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        """One line for the person at the terminal, or for the log."""
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.console.print(line, markup=False)

    def show(self, note: str = "") -> None:
        """Bring the screen up to date; `note` says what is waited for. Off the screen a new note is a line."""
        now = time.monotonic()
        if self._live is None:
            if note and note != self._note and now - self._said >= _SAY_S:
                self.tell(note)
                self._note, self._said = note, now
            self._note = note if not note else self._note
            return
        if now - self._shown < _EVERY_S and note == self._note:
            return
        self._shown, self._note = now, note
        try:
            seen = screen(overview(self._database), self._database.settings, f"[bold yellow]{note}[/]" if note else "")
            self._live.update(seen, refresh=True)
        except DatabaseUnavailable as error:
            self._live.update(Text(f"the database does not answer: {error}"), refresh=True)
