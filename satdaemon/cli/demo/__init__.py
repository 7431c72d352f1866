"""`satdaemon demo`: a simulated archive through the whole chain, compared with its truth."""

from satdaemon.cli.demo import command

__all__ = ["command"]
