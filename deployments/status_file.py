"""status.json below `service_path`: how the system that runs there is, for programs; needs no database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from satdaemon.config import Settings
from satdaemon.machines.supervisor import Service

NAME = "status.json"


def write_status(settings: Settings, state: str, up_s: float, services: Iterable[Service]) -> None:
    """Replace the file."""
    value: dict[str, Any] = {
        "state": state,
        "pid": os.getpid(),
        "config": str(settings.source),
        "prefect_ui": settings.parameters.prefect_api.removesuffix("/api"),
        "dask_scheduler": settings.parameters.dask_scheduler,
        "up_s": round(up_s, 1),
        "parts": [
            {
                "name": service.name,
                "pid": service.process.pid if service.process is not None else None,
                "up": service.is_up,
                "starts": service.starts,
                "log": str(service.log),
            }
            for service in services
        ],
    }
    path = settings.parameters.service_path / NAME
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.replace(path)
