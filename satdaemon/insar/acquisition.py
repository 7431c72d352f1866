"""One date of a frame as the slc stage leaves it: burst records, orbit, and which bursts are missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from satdaemon.errors import DataError
from satdaemon.insar.orbit import OrbitArc
from satdaemon.insar.swath import BurstMeta

FILE_NAME = "slc.json"


@dataclass(frozen=True, slots=True, eq=False)
class Acquisition:
    """What `slc.json` holds."""

    platform: str
    polarisation: str
    scenes: tuple[str, ...]
    arc: OrbitArc
    bursts: tuple[BurstMeta, ...]
    missing: tuple[str, ...]
    """Frame bursts that this date lacks, all at ends of swaths."""

    def burst(self, burst_id: str) -> BurstMeta | None:
        """The burst of that frame id, None where the date lacks it."""
        return next((b for b in self.bursts if b.id == burst_id), None)

    def to_json(self) -> dict[str, Any]:
        """A value that json can write and `from_json` reads back."""
        return {
            "platform": self.platform,
            "polarisation": self.polarisation,
            "scenes": list(self.scenes),
            "orbit": self.arc.to_json(),
            "missing": list(self.missing),
            "bursts": [{**b.to_json(), "file": burst_file(b.id)} for b in self.bursts],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        bursts = ({k: v for k, v in b.items() if k != "file"} for b in value["bursts"])
        return cls(
            value["platform"],
            value["polarisation"],
            tuple(value["scenes"]),
            OrbitArc.from_json(value["orbit"]),
            tuple(BurstMeta.from_json(b) for b in bursts),
            tuple(value["missing"]),
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read `slc.json` of an slc product; DataError where it is not there or of another layout."""
        path = directory / FILE_NAME
        try:
            return cls.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: expected the slc product of this date: {error!r}; run the slc stage again") from error


def burst_file(burst_id: str) -> str:
    """Path of a burst's pixels inside the slc product."""
    return f"bursts/{burst_id}.tif"
