"""Secrets that are never shown, and text freed from them.

Every message and log line of the downloads goes through `redacted`: what may stand in it (an answer's words, an address
with a signature) was written by others.
"""

from __future__ import annotations

import hmac
import re
import threading
from typing import NoReturn
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_LEAST = 4
"""Shorter texts are not looked for: they would be found in every word."""
_NAMES = (
    r"x-(?:amz|goog|ms)-[\w-]+|a-userid|awsaccesskeyid|key-pair-id|policy|signature|sig|expires|credential"
    r"|(?:access|refresh|id|auth|session|security)?[_-]?token|pass(?:word|wd)?|secret|client_secret|api[_-]?key|code|state"
)
_PATTERNS = (
    (re.compile(r"(\w://)[^/\s?#@]*@"), rf"\g<1>{HIDDEN}@"),
    (re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\g<1>\g<2>{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(rf"(?<![\w-])({_NAMES})=[^&\s\"'<>)]+", re.IGNORECASE), rf"\g<1>={HIDDEN}"),
    (re.compile(rf"([\"'](?:{_NAMES})[\"']\s*:\s*[\"'])[^\"']+", re.IGNORECASE), rf"\g<1>{HIDDEN}"),
)
_known: set[str] = set()
_lock = threading.Lock()


class Secret:
    """A text that no repr, str, format, pickle or JSON shows; `reveal` gives it to the code that sends it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= _LEAST:
            with _lock:
                _known.update((text, quote(text, safe=""), quote_plus(text)))

    def reveal(self) -> str:
        """The text itself: for a header or a form, never for a message."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: read the credentials again where they are needed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()


def redacted(text: str) -> str:
    """The text without any known secret, bearer token, password, `user:pass@` or signature of an address."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for secret in known:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
