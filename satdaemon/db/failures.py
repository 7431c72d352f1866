"""Errors of the connection in words: what is wrong with the database, and what to do about it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext

from satdaemon.errors import ConfigError, DatabaseUnavailable, SatDaemonError

_INIT = "run `satdaemon init-database`, which creates what is missing and migrates what is old"
_SQLITE: dict[str, tuple[type[SatDaemonError], str]] = {
    "SQLITE_CANTOPEN": (ConfigError, "the file cannot be opened: expected its directory to exist, and both to be readable"),
    "SQLITE_READONLY": (ConfigError, "the file or its directory cannot be written: expected write permission for this user"),
    "SQLITE_PERM": (ConfigError, "the file cannot be read: expected permission for this user"),
    "SQLITE_AUTH": (ConfigError, "access was refused"),
    "SQLITE_NOTADB": (ConfigError, "expected an SQLite database, got another kind of file"),
    "SQLITE_CORRUPT": (ConfigError, "the file is damaged: restore it from a dump (`satdaemon db restore`)"),
    "SQLITE_FULL": (DatabaseUnavailable, "the disk is full: nothing of this change was written; free space and try again"),
    "SQLITE_BUSY": (DatabaseUnavailable, "another program kept it locked for a minute: nothing was written; try again"),
    "SQLITE_LOCKED": (DatabaseUnavailable, "another program kept it locked: nothing was written; try again"),
    "SQLITE_IOERR": (DatabaseUnavailable, "the disk failed to read or write"),
}
_CODES: dict[str, tuple[type[SatDaemonError], str]] = {
    "28": (ConfigError, "the server refuses this user: expected the right password in the URL, PGPASSWORD or ~/.pgpass"),
    "3D000": (ConfigError, "the server has no such database: create it with `createdb`, then run `satdaemon init-database`"),
    "42P01": (ConfigError, f"a table is not there: {_INIT}"),
    "42703": (ConfigError, f"a column is not there: {_INIT}"),
    "42501": (ConfigError, "this user lacks a permission there: expected the tables' owner, or rights granted by it"),
    "53100": (DatabaseUnavailable, "the server's disk is full: nothing of this change was written; free space and try again"),
    "53300": (DatabaseUnavailable, "the server has too many connections already: raise max_connections, or try later"),
    "53": (DatabaseUnavailable, "the server lacks resources"),
    "25006": (DatabaseUnavailable, "the server only reads now (a standby?): expected the primary"),
    "08": (DatabaseUnavailable, "the connection was lost"),
    "57P": (DatabaseUnavailable, "the server is stopping, starting or ended the connection"),
    "58030": (DatabaseUnavailable, "the server's disk failed"),
    "XX001": (ConfigError, "the server found damaged data: see its log"),
}
_WORDS: dict[str, str] = {
    "password authentication failed": "28", "no password supplied": "28", "no pg_hba.conf entry": "28",
    "authentication failed": "28", 'role "': "28", "does not exist": "3D000", "too many clients": "53300",
    "remaining connection slots": "53300", "no space left on device": "53100", "not permitted to log in": "28",
    "permission denied for database": "42501",
    "no such table": "42P01", "no such column": "42703", "has no column named": "42703",
}  # fmt: skip
"""PostgreSQL tells no code where a connection did not come about; SQLite none for what is missing."""
OWN_WORDS = "CREATE EXTENSION"
"""Statements with this beginning have a message of their own where they are refused."""
_DOWN = "the server does not answer: is it running, and are host and port right?"


def explain(error: BaseException, url: URL) -> SatDaemonError | None:
    """The driver's error as a message for people; None where it is about a statement and not about the database."""
    text = " ".join(str(error).split())
    found = _of_sqlite(error) if url.get_backend_name() == "sqlite" else _of_postgresql(error, text)
    if found is None:
        return None
    kind, words = found
    return kind(f"database {shown(url)}: {words} ({text})")


def shown(url: URL) -> str:
    """A URL without its password."""
    return url.render_as_string(hide_password=True)


def tell_failures(engine: Engine) -> None:
    """Raise such errors in place of the driver's, on every connection of the engine."""
    event.listen(engine, "handle_error", _handle)


def _handle(context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping or context.engine is None or (context.statement or "").startswith(OWN_WORDS):
        return None
    return explain(context.original_exception, context.engine.url)


def _of_sqlite(error: Any) -> tuple[type[SatDaemonError], str] | None:
    name = str(getattr(error, "sqlite_errorname", None) or "")
    for key, found in _SQLITE.items():
        if name == key or name.startswith(key + "_"):
            return found
    return _by_words(str(error)) if name == "SQLITE_ERROR" else None


def _of_postgresql(error: Any, text: str) -> tuple[type[SatDaemonError], str] | None:
    code = getattr(error, "pgcode", None)
    if code is not None:
        return next((_CODES[code[:n]] for n in (5, 3, 2) if code[:n] in _CODES), None)
    if (found := _by_words(text)) is not None:
        return found
    lost = ("connection", "server closed", "could not translate host name", "timeout expired", "SSL SYSCALL")
    return (DatabaseUnavailable, _DOWN) if any(words in text for words in lost) else None


def _by_words(text: str) -> tuple[type[SatDaemonError], str] | None:
    return next((_CODES[code] for words, code in _WORDS.items() if words in text.lower()), None)
