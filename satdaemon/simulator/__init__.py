"""Makes Sentinel-1 IW SLC archives whose ground motion, atmosphere and coherence are known.

Shares no geometry with the processors: agreement between the two means something.
"""

from satdaemon.simulator.build import simulate
from satdaemon.simulator.evaluate import evaluate
from satdaemon.simulator.options import CASES, SimulationOptions
from satdaemon.simulator.truth import Truth

__all__ = ["CASES", "SimulationOptions", "Truth", "evaluate", "simulate"]
