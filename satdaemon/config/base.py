"""What all sections share: frozen, unknown keys refused, comma lists, paths relative to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

MUST_EXIST = "must_exist"
"""Field metadata: a path that has to be there when the configuration is loaded."""


class Section(BaseModel):
    """One section of satdaemon.cfg."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _empty_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
OptionalNumber = Annotated[float | None, BeforeValidator(_empty_is_none)]
