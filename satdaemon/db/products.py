"""Products: what stands in a directory, and the fingerprint of all that it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from satdaemon.db.models import Product, RunningJob, StaleProduct
from satdaemon.db.staleness.conditions import digest
from satdaemon.domain import BURSTS_ONLY, Job, StageResult, Usage
from satdaemon.status import Stage

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Measured:
    """What a product directory holds."""

    files: int
    bytes: int
    checksum: str


def measure(directory: Path, without: Collection[str] = ()) -> Measured:
    """Count the files and bytes of a product, and digest names, sizes and contents. The place plays no part.

    `without`: names relative to the directory of files that are none of the product's.
    """
    total, count = 0, 0
    whole = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        if path.relative_to(directory).as_posix() in without:
            continue
        contents = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                contents.update(chunk)
        size = path.stat().st_size
        whole.update(f"{path.relative_to(directory).as_posix()}\0{size}\0{contents.hexdigest()}\n".encode())
        total += size
        count += 1
    return Measured(count, total, f"sha256:{whole.hexdigest()}")


def fingerprint(made_from: Mapping[str, Any]) -> str:
    """Digest of what a product was made from; equal inputs give equal digests on every machine."""
    return digest(made_from)


def made_from(stage: Stage, given: Mapping[str, Any] | None, result: StageResult, product: Path) -> dict[str, Any]:
    """All that the product depends on: what the job was given, what ran, and for a download what was found."""
    found: dict[str, Any] = {
        **(given or {}),
        "stage": stage.value,
        "processor": result.processor,
        "processor_version": result.processor_version,
    }
    if stage is Stage.DOWNLOAD:
        # Of a scene of which only bursts came, what the archive says of the whole stays: it is made from the same.
        partial = {scene.id for scene in result.partial}
        scenes = [[id_, checksum] for id_, checksum in found.get("scenes", ()) if id_ in partial]
        if scenes := scenes + [[scene.id, scene.checksum] for scene in result.scenes]:
            found["scenes"] = sorted(scenes)
        found["orbit"] = sorted(Path(p).name for p in orbit_of(product).get("paths", []))
    return found


def orbit_of(product: Path) -> dict[str, Any]:
    """The orbit that a download chose, from its download.json: {"paths", "type"}; empty where there is none."""
    return _of_download(product, "orbit")


def bursts_of(product: Path) -> dict[str, Any]:
    """{BURSTS_ONLY: what it holds} of a download that holds only bursts of some scenes, from its download.json; else empty.

    Recorded with a product beside what its fingerprint is made of: the pixels are those of the whole.
    """
    found = _of_download(product, BURSTS_ONLY)
    return {BURSTS_ONLY: found} if found else {}


def _of_download(product: Path, name: str) -> dict[str, Any]:
    path = product / "download.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text()).get(name) or {}
    return found


def record(
    session: Session, job: RunningJob, value: Job, result: StageResult, usage: Usage, product: Path, measured: Measured
) -> Product:
    """Enter a published product; one of the same work before it gives way."""
    stage = Stage(job.stage)
    inputs = made_from(stage, job.inputs, result, product)
    orbit = " ".join(inputs["orbit"]) if stage is Stage.DOWNLOAD else ""
    same = (Product.frame_id == job.frame_id, Product.stage == job.stage, Product.key == value.key)
    columns = (Product.fingerprint, StaleProduct.reason, StaleProduct.since_utc)
    known = select(*columns).join(StaleProduct, StaleProduct.product_id == Product.id).where(*same, StaleProduct.own)
    before = session.execute(known).one_or_none()
    session.execute(delete(Product).where(*same))
    row = Product(
        frame_id=job.frame_id,
        stage=job.stage,
        key=value.key,
        kind=job.kind,
        path=str(product),
        files=measured.files,
        bytes=measured.bytes,
        checksum=measured.checksum,
        processor=result.processor,
        processor_version=result.processor_version,
        fingerprint=fingerprint(inputs),
        inputs=inputs | (bursts_of(product) if stage is Stage.DOWNLOAD else {}),
        newest_input=job.newest_input,
        orbit=orbit or None,
        restituted="RESORB" in orbit,
        metrics=dict(result.metrics),
        warnings=list(result.warnings),
        quicklooks=[one.to_json() for one in result.quicklooks],
        job_id=job.job_id,
        attempt=job.attempt,
        cpu_s=usage.cpu_s,
        wall_s=usage.wall_s,
    )
    session.add(row)
    session.flush()
    if before is not None and before.fingerprint == row.fingerprint:
        # Its inputs are said to have changed, and the job was given the same: to try again and again would mend nothing.
        noted = {"reason": before.reason, "since_utc": before.since_utc, "own": True, "marked": False, "in_vain": True}
        session.add(StaleProduct(product_id=row.id, frame_id=row.frame_id, **noted))
        session.flush()
    return row


def made_in_vain(session: Session, product: Product) -> list[str]:
    """A warning, where a product was made again for a change that its job did not see."""
    noted = session.get(StaleProduct, product.id)
    if noted is None or not noted.in_vain:
        return []
    hint = "do its worker and the planner read the same configuration, orbits and DEM?"
    return [f"made again with the same outcome, though {noted.reason}: {hint}"]
