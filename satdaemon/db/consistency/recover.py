"""Rows of `products` for products that the database does not know, from what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from satdaemon.db import products
from satdaemon.db.consistency.contents import OF_MASTER, State, Verdict
from satdaemon.db.consistency.formats import read_json
from satdaemon.db.models import Product
from satdaemon.domain import Quicklook
from satdaemon.status import RowKind, Stage

ProductKey = tuple[Stage, str]
_NOT_BINDING = ("neighbour/", "previous")
"""Roles that a product may lean on without depending on them."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def mark_outdated(verdicts: Mapping[ProductKey, Verdict]) -> None:
    """Products nobody recorded that were made before one that they were made from become OUTDATED."""
    by_place = {str(v.path): (stage, key) for (stage, key), v in verdicts.items()}
    for verdict in verdicts.values():
        made = verdict.made_utc
        if verdict.state is not State.VALID or not verdict.is_news or made is None:
            continue
        for role, stage, key in _roles(verdict.about, by_place):
            source = verdicts.get((stage, key))
            later = source.made_utc if source is not None and source.serves else None
            if later is not None and later > made and not role.startswith(_NOT_BINDING):
                verdict.state, verdict.why = State.OUTDATED, f"{stage} {key} was made again after it"
                break


def recovered(
    frame_id: str,
    verdicts: Mapping[ProductKey, Verdict],
    records: Mapping[ProductKey, Product],
    kinds: Mapping[ProductKey, RowKind],
) -> dict[ProductKey, dict[str, Any]]:
    """Columns of the rows of `products` for what is news, by (stage, key), in the order in which they were made.

    Fingerprints are made of what product.json tells: the same roles, with the fingerprints of the products that
    stand there now. What it does not tell is left out, and so counts as not known.
    """
    by_place = {str(v.path): key for key, v in verdicts.items()}
    prints = {key: r.fingerprint for key, r in records.items() if key not in verdicts or not verdicts[key].is_news}
    found: dict[ProductKey, dict[str, Any]] = {}
    news = [(key, v) for key, v in verdicts.items() if v.is_news and v.serves and key in kinds]
    order = list(Stage)
    for (stage, key), verdict in sorted(news, key=lambda n: (n[1].made_utc or _LONG_AGO, order.index(n[0][0]), n[0][1])):
        given = {role: prints.get((s, k)) for role, s, k in _roles(verdict.about, by_place)}
        inputs = _made_from(stage, verdict, given)
        held = products.bursts_of(verdict.path) if stage is Stage.DOWNLOAD else {}
        said = verdict.about.get("processor", {})
        columns: dict[str, Any] = {
            "frame_id": frame_id, "stage": stage.value, "key": key, "kind": kinds[stage, key].value, "path": str(verdict.path),
            "files": verdict.files, "bytes": verdict.bytes, "checksum": verdict.checksum,
            "processor": str(said.get("name", "")), "processor_version": str(said.get("version", "")),
            "fingerprint": products.fingerprint(inputs), "inputs": inputs | held, "newest_input": 0,
            "metrics": dict(verdict.about.get("metrics", {})), "warnings": [], "job_id": 0, "attempt": 0,
            "quicklooks": _quicklooks(verdict.about),
        }  # fmt: skip
        if stage is Stage.DOWNLOAD:
            names = " ".join(inputs["orbit"])
            columns |= {"orbit": names or None, "restituted": "RESORB" in names}
        prints[stage, key] = columns["fingerprint"]
        found[stage, key] = columns
    return found


def _quicklooks(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Pictures that product.json tells of; none where it tells of them in a form that is not ours."""
    told = about.get("quicklooks")
    try:
        return [Quicklook.from_json(one).to_json() for one in told["made"]] if isinstance(told, dict) else []
    except (KeyError, TypeError):
        return []


def _roles(about: Mapping[str, Any], by_place: Mapping[str, ProductKey]) -> Iterable[tuple[str, Stage, str]]:
    """What a product read: (role, stage, key). A processing directory that has moved is recognised by the path's end."""
    inputs = about.get("inputs")
    for role, place in inputs.items() if isinstance(inputs, dict) else ():
        known = by_place.get(str(place))
        if known is not None:
            yield role, *known
            continue
        parts = Path(str(place)).parts[-2:]
        if len(parts) == 2 and parts[0] in set(Stage):
            yield role, Stage(parts[0]), parts[1]


def _made_from(stage: Stage, verdict: Verdict, prints: Mapping[str, str | None]) -> dict[str, Any]:
    about = verdict.about
    said = about.get("processor", {})
    inputs: dict[str, Any] = {
        "inputs": {role: p for role, p in prints.items() if p is not None and role != "previous"},
        "stage": stage.value,
        "processor": str(said.get("name", "")),
        "processor_version": str(said.get("version", "")),
    }
    if stage is Stage.DOWNLOAD:
        listed = verdict.path / "download.json"
        scenes = read_json(listed).get("scenes", ()) if listed.is_file() else ()
        inputs["scenes"] = sorted([s["id"], s.get("checksum")] for s in scenes)
        inputs["orbit"] = sorted(Path(p).name for p in products.orbit_of(verdict.path).get("paths", []))
        return inputs
    if isinstance(about.get("settings"), dict):
        inputs["settings"] = about["settings"]
    if "master_date" in about and stage in OF_MASTER:
        inputs["master"] = about["master_date"]
    return inputs
