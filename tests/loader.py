"""Loads points, and stops in the middle until it is killed: `python loader.py DATABASE_URL ROOT PRODUCT`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from databases import make_settings

from satdaemon.db import Database, points
from satdaemon.db.points import load


def main() -> None:
    """Says "half" after the first piece of either table."""
    url, root, product = sys.argv[1:]
    pieces = load._pieces

    def slowly(order: Any) -> Any:
        for number, piece in enumerate(pieces(order)):
            if number:
                sys.stdout.write("half\n")
                sys.stdout.flush()
                time.sleep(600)
            yield piece

    load._pieces = slowly
    load.CHUNK = 500
    points.load_version(Database(make_settings(Path(root), url)), "132A_TEST", Path(product), 77, 1)


if __name__ == "__main__":
    main()
