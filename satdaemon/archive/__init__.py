"""Where scenes and orbits come from. `orbits` chooses an acquisition's orbit files; `mirrors.fetch` downloads over HTTP.

What speaks HTTP is not loaded with the package: every process of the database loads that.
"""

from satdaemon.archive.base import Archive, Progress, no_progress
from satdaemon.archive.local import LocalArchive
from satdaemon.archive.orbits import OrbitChoice
from satdaemon.archive.transfer import clear_parts

__all__ = ["Archive", "LocalArchive", "OrbitChoice", "Progress", "clear_parts", "no_progress"]
