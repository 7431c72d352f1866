"""Which built-in processor runs a stage. Loaded when asked for: the heavy libraries belong to the child process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from satdaemon.processors.base import Processor
from satdaemon.status import Stage

_PACKAGE = "satdaemon.processors.builtin"

BUILTIN: Mapping[Stage, str] = MappingProxyType(
    {stage: f"{_PACKAGE}.{stage.value}:{stage.value.capitalize()}Processor" for stage in Stage}
)
"""Stage to `module:Class`; the class takes no arguments and has a Processor's name, version and run."""

VERSION: Mapping[Stage, str] = MappingProxyType(
    {
        Stage.DOWNLOAD: "0.1.0",
        Stage.SLC: "0.1.0",
        Stage.SATSAR: "0.1.0",
        Stage.COHERENCE: "0.1.0",
        Stage.UNWRAP: "0.1.0",
        Stage.TIMESERIES: "0.1.0",
        Stage.INGEST: "0.1.0",
    }
)
"""Version of each built-in processor, apart from SatDaemon's own: raise one where equal inputs give another product.

All that it made, and what was made from that, becomes stale by it.
"""

_NAMES: Mapping[Stage, str] = MappingProxyType({stage: stage.value for stage in (Stage.DOWNLOAD, Stage.SLC, Stage.SATSAR)})


def builtin(stage: Stage) -> Processor:
    """The built-in processor of a stage, newly made."""
    module, _, name = BUILTIN[stage].partition(":")
    return cast(Processor, getattr(import_module(module), name)())


def versions() -> dict[Stage, tuple[str, str]]:
    """(name, version) of each built-in processor, as its products record it, without loading any."""
    return {stage: (_NAMES.get(stage, "builtin"), VERSION[stage]) for stage in Stage}
