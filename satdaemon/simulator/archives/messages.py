"""A request and its answer, as the stand-ins see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from satdaemon.simulator.archives.faults import Fault, Trouble

LOGIN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>Please try again later</h1></body></html>"
)
WORDS = {401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def path(self) -> str:
        """Path of the address, as sent (not decoded)."""
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names and values of the address, decoded, in order."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> list[tuple[str, str]]:
        """Names and values of a form in the body."""
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer`."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a body, or a stretch of a file."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    """First byte of the file that is sent."""
    length: int = 0
    """Bytes of the file that are sent."""
    cut_after: int | None = None
    bytes_per_s: float | None = None
    damage_at: int | None = None
    """Place in the file of a byte that is sent wrong."""
    silent_s: float | None = None
    done: Callable[[], None] | None = None
    """Called when all is sent, or the client went away."""


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON."""
    body = json.dumps(value).encode()
    return Answer(status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, body)


def redirect(target: str, status: int = 302, **headers: str) -> Answer:
    """Sent elsewhere."""
    return Answer(status, {"Location": target, **{k.replace("_", "-"): v for k, v in headers.items()}})


def page(status: int = 200) -> Answer:
    """A page for people, where a program expects something else."""
    return Answer(status, {"Content-Type": "text/html; charset=utf-8"}, LOGIN_PAGE)


def refusal(trouble: Trouble) -> Answer | None:
    """The answer of a trouble that needs no content; None for those that spoil a good answer."""
    fault = trouble.fault
    if fault is Fault.HTML:
        return page()
    if fault is Fault.BODY:
        return Answer(200, {"Content-Type": trouble.content_type}, trouble.body)
    if fault is Fault.SILENT:
        return Answer(silent_s=trouble.seconds)
    if not fault.value.isdigit():
        return None
    status = int(fault.value)
    wait = {} if status != 429 or trouble.retry_after_s is None else {"Retry-After": f"{trouble.retry_after_s:g}"}
    return as_json({"errors": [WORDS[status]], "message": WORDS[status]}, status, **wait)
