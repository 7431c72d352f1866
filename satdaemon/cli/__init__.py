"""`satdaemon ...`: thin commands over control, db and the simulator. `main` is the console script."""

from satdaemon.cli.application import app, main

__all__ = ["app", "main"]
