"""What equal failures have in common: their words, without what differs from one to the next."""

from __future__ import annotations

import re

MOST = 160
_DIFFERS = (
    (re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:/)?/[^\s:;,'\"()]+"), "PATH"),
    (re.compile(r"\bS1[A-D]_[A-Z0-9_]+(?:\.[A-Za-z]+)?"), "PRODUCT"),
    (re.compile(r"\b[0-9]{3}[AD]_[A-Z0-9_]+"), "FRAME"),
    (re.compile(r"\b[0-9]+_[0-9]+_IW[123]\b"), "BURST"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{6,}\b"), "#"),
    (re.compile(r"\d+(?:[.,:_/-]\d+)*(?:[eE][+-]?\d+)?"), "#"),
    (re.compile(r"\s+"), " "),
)


def normalised(text: str) -> str:
    """The first line of a message without numbers, dates, paths and names of frames, bursts and products.

    >>> normalised("/data/7/a.tif: expected 3 bursts, got 2.5e3 (132A_DEMO 2023-01-13)")
    'PATH: expected # bursts, got # (FRAME #)'
    """
    line = text.strip().partition("\n")[0]
    for pattern, word in _DIFFERS:
        line = pattern.sub(word, line)
    return line[:MOST]
