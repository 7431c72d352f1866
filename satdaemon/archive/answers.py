"""What an archive's answer means: go on, wait, log in again, or not at all."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from satdaemon.archive.http import Answer
from satdaemon.archive.secrets import redacted
from satdaemon.errors import ArchiveError, CredentialsError, NotInArchive, SatDaemonError, Throttled

BUSY_S = 300.0
"""A busy archive that does not say for how long is left alone for so many seconds."""
_MOST_S = 86400.0
LICENCE = (
    "accept the archive's licence in the profile of that user (Earthdata: Applications, EULAs; Copernicus: terms), or use "
    "credentials that may download"
)


def retry_after_s(text: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date, 0 to one day; None where it says nothing."""
    if not text:
        return None
    try:
        wanted = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wanted = (moment - (now or datetime.now(UTC))).total_seconds()
    return None if math.isnan(wanted) else min(max(wanted, 0.0), _MOST_S)


def refusal(archive: str, url: str, answer: Answer, source: str = "") -> SatDaemonError | None:
    """The error that the answer's status stands for; None for 200, 206 and 416. `source`: of the credentials used."""
    if answer.status in (200, 206, 416):
        return None
    got = f"{archive}: {redacted(url)}: got {answer.status} {_meaning(answer)}"
    wait_s = retry_after_s(answer.headers.get("Retry-After"))
    if answer.status == 429:
        return Throttled(f"{got}: too many requests", retry_after_s=BUSY_S if wait_s is None else wait_s)
    if answer.status in (503, 509) and wait_s is not None:
        return Throttled(got, retry_after_s=wait_s)
    if answer.status in (404, 410):
        return NotInArchive(f"{got}: the archive has no such product (any more); search again, or exclude the date")
    if answer.status == 403 and (answer.was_shown_token or not answer.trail):
        return CredentialsError(f"{got}; credentials: {source or 'none'}; {LICENCE}")
    return ArchiveError(got)


def _meaning(answer: Answer) -> str:
    names = {status.value: status.phrase for status in HTTPStatus}
    try:
        words = answer.words()
    except ArchiveError:
        words = ""
    return names.get(answer.status, redacted(answer.reason)) + (f" ({words})" if words else "")
