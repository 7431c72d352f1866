"""Stand-ins on loopback for the archives of Sentinel-1: they speak the same interfaces, and misbehave on demand."""

from satdaemon.simulator.archives.asf import AsfStandIn
from satdaemon.simulator.archives.cdse import CdseStandIn
from satdaemon.simulator.archives.faults import DOWNLOAD_FAULTS, Fault, Faults, Trouble
from satdaemon.simulator.archives.orbits import OrbitStandIn
from satdaemon.simulator.archives.shelf import Item, Shelf
from satdaemon.simulator.archives.tally import Tally

__all__ = ["DOWNLOAD_FAULTS", "AsfStandIn", "CdseStandIn", "Fault", "Faults", "Item", "OrbitStandIn", "Shelf", "Tally", "Trouble"]
