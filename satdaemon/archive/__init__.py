"""Where scenes and orbits come from. `orbits` chooses an acquisition's orbit files; `fetch` downloads a scene over HTTP."""

from satdaemon.archive.base import Archive, Progress, no_progress
from satdaemon.archive.local import LocalArchive
from satdaemon.archive.mirrors import fetch
from satdaemon.archive.orbits import OrbitChoice
from satdaemon.archive.part import Source
from satdaemon.archive.transfer import clear_parts
from satdaemon.archive.tries import Manner

__all__ = ["Archive", "LocalArchive", "Manner", "OrbitChoice", "Progress", "Source", "clear_parts", "fetch", "no_progress"]
