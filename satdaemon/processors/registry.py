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


def builtin(stage: Stage) -> Processor:
    """The built-in processor of a stage, newly made."""
    module, _, name = BUILTIN[stage].partition(":")
    return cast(Processor, getattr(import_module(module), name)())
