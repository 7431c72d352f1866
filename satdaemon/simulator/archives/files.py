"""A file over HTTP: ranges, and the troubles that spoil it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from satdaemon.simulator.archives.faults import Fault, Trouble
from satdaemon.simulator.archives.messages import Answer, Call, refusal
from satdaemon.simulator.archives.shelf import Item

RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


def file_answer(item: Item, call: Call, trouble: Trouble | None) -> Answer:
    """The item's zip, or the stretch of it that the request asks for, or what its trouble makes of that."""
    if item.path is None:
        return (None if trouble is None else refusal(trouble)) or Answer(404)
    return of_path(item.path, "application/zip", item.md5, call, trouble)


def of_path(path: Path, kind: str, md5: str, call: Call, trouble: Trouble | None) -> Answer:
    """A file of this content type, or the stretch of it that the request asks for, or what its trouble makes of that."""
    if trouble is not None and (refused := refusal(trouble)) is not None:
        return refused
    fault = None if trouble is None else trouble.fault
    size = path.stat().st_size
    headers = {
        "Content-Type": kind,
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "ETag": f'"{md5}"',
        "Accept-Ranges": "none" if fault is Fault.NO_RANGE else "bytes",
    }
    answer = Answer(200, headers, file=path, length=size)
    if fault is not Fault.NO_RANGE:
        answer = _ranged(answer, call, size)
    return answer if trouble is None or answer.file is None else _spoilt(answer, trouble, size)


def _ranged(answer: Answer, call: Call, size: int) -> Answer:
    """Only what is asked for, with 206; 416 where the file has no such bytes."""
    match = RANGE.match(call.headers.get("range", "").strip())
    if match is None or match[0] == "bytes=-" or call.headers.get("if-range", answer.headers["ETag"]) != answer.headers["ETag"]:
        return answer
    first, last = _ends(match[1], match[2], size)
    if first >= size or last < first:
        return Answer(416, {"Content-Range": f"bytes */{size}"})
    return replace(
        answer,
        status=206,
        headers=_with(answer.headers, "Content-Range", f"bytes {first}-{last}/{size}"),
        start=first,
        length=last - first + 1,
    )


def _ends(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _spoilt(answer: Answer, trouble: Trouble, size: int) -> Answer:
    match trouble.fault:
        case Fault.SLOW:
            return replace(answer, bytes_per_s=trouble.bytes_per_s)
        case Fault.CUT:
            return replace(answer, cut_after=int(answer.length * trouble.at))
        case Fault.LENGTH:
            return replace(answer, length=int(answer.length * trouble.at))
        case Fault.BYTES:
            return replace(answer, damage_at=min(max(int(size * trouble.at), answer.start), answer.start + answer.length - 1))
        case _:
            return answer


def _with(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    return {**headers, name: value}
