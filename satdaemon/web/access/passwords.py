"""Passwords: hashed by Argon2id with the library's parameters, and taken anew where those have become stronger."""

from __future__ import annotations

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from satdaemon.errors import RequestError

LEAST, MOST = 12, 200
_hasher = PasswordHasher()


def hashed(password: str) -> str:
    """The hash to keep. RequestError for a password that is too short or too long."""
    if not LEAST <= len(password) <= MOST:
        raise RequestError(f"password: expected {LEAST} to {MOST} characters, got {len(password)}")
    return _hasher.hash(password)


def is_right(kept: str | None, password: str) -> bool:
    """True where the password is that of the hash. Without a hash it takes as long: nobody learns which names there are."""
    try:
        return _hasher.verify(kept or _nobodys(), password[: MOST + 1]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def is_old(kept: str) -> bool:
    """True where the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(kept)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
