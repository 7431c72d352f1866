"""Which files of a product are shown as pictures. Light: what starts jobs asks it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from satdaemon.domain import StageInput
from satdaemon.status import RowKind, Stage

DIRECTORY = "quicklooks"
"""Below a product. A program that makes one of its own keeps it, and gets no pictures."""
SHOWN: Mapping[tuple[RowKind, Stage], tuple[str, ...]] = MappingProxyType(
    {
        (RowKind.MASTER, Stage.SATSAR): ("slc.tif",),
        (RowKind.IFG, Stage.SATSAR): ("slc.tif",),
        (RowKind.MASTER, Stage.COHERENCE): ("amplitude.tif",),
        (RowKind.RSAR_IFG, Stage.COHERENCE): ("ifg.tif",),
        (RowKind.RSAR_IFG, Stage.UNWRAP): ("unwrapped.tif",),
        (RowKind.MASTER, Stage.TIMESERIES): ("velocity.tif",),
    }
)


def files_of(job: StageInput) -> list[str]:
    """Files in `job.out_dir` of which pictures can be made, by the names of docs/products.md."""
    return [name for name in SHOWN.get((job.kind, job.stage), ()) if (job.out_dir / name).is_file()]
