"""The end of a job's output, read from where logs are kept and from nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST = 64_000
"""Bytes that are shown."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last of a log."""

    path: Path
    text: str
    size: int
    """Bytes in all."""
    problem: str | None = None

    @property
    def is_whole(self) -> bool:
        """True where nothing was left out."""
        return self.size <= MOST


def tail(path: Path, root: Path) -> Tail:
    """What stands at the end of a file below `root`; the problem where it is elsewhere, or cannot be read from here."""
    try:
        real, base = path.resolve(), root.resolve()
        if not real.is_relative_to(base):
            return Tail(path, "", 0, f"expected a log below {base}")
        with real.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - MOST, 0))
            text = file.read(MOST).decode(errors="replace")
    except OSError as error:
        return Tail(path, "", 0, f"cannot be read on this host: {error.strerror or error}")
    if size > MOST:
        text = text.partition("\n")[2]
    return Tail(path, _shown(text), size)


def _shown(text: str) -> str:
    """Without what moves a terminal's cursor: of lines that a progress bar wrote over each other the last."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
