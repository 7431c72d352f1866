"""Programs of others that benches compare with: installed apart from the project, or said to be missing."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

PLACE = Path(__file__).parent / ".peers"
INSTALL = "uv pip install --no-deps --target bench/.peers -r bench/requirements.txt"


def peer(name: str) -> ModuleType | None:
    """The peer's module, or None after saying how to install it."""
    if PLACE.is_dir() and str(PLACE) not in sys.path:
        sys.path.append(str(PLACE))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        print(f"{name}: not installed, not compared. To compare: {INSTALL}", file=sys.stderr)
        return None
