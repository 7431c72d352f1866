"""`satdaemon notify`: messages to people: do they arrive, which were sent, which were not and why."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console

if TYPE_CHECKING:
    from satdaemon.db import Message, MessageTarget
    from satdaemon.notify import Target

notify_app = typer.Typer(help="Messages to people.", no_args_is_help=True)
app.add_typer(notify_app, name="notify")
_SHOWN = (
    "id", "state", "kind", "level", "title", "body", "frame_id", "count", "first_utc", "last_utc", "sent_utc", "tries", "error",
    "told_in",
)  # fmt: skip


@notify_app.command("test")
def test(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Send a test message to every address of [NOTIFY] urls, now; exit code 1 where one does not take it."""
    from satdaemon.config import load
    from satdaemon.errors import ConfigError
    from satdaemon.notify import targets

    settings = load(config)
    found = targets(settings.notify)
    if not found:
        raise ConfigError(f"{settings.source}: [NOTIFY] urls: expected at least one address (SERVICE://...), got none")
    body = f"A test message from {socket.gethostname()}. Messages of {settings.source} arrive here."
    errors = {target.name: target.post("[test] SatDaemon", body, "info") for target in found}
    if as_json:
        values = [{"address": name, "taken": error is None, "error": error} for name, error in errors.items()]
        typer.echo(json.dumps(values, indent=1))
    else:
        for name, error in errors.items():
            typer.echo(f"{name}  taken" if error is None else f"{name}  NOT TAKEN: {error}")
    if any(errors.values()):
        raise typer.Exit(1)


@notify_app.command("list")
def list_messages(
    every: Annotated[bool, typer.Option("--all", help="All that are kept; else the newest, and those not sent.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the outbox: what was told, what waits, what no address took and why."""
    from satdaemon.config import load
    from satdaemon.db import Database, messages
    from satdaemon.notify import targets

    database = Database(load(config))
    rows, addresses = messages.listing(database, every=every), targets(database.settings.notify)
    known = messages.targets(database, [address.id for address in addresses])
    if as_json:
        document = {"messages": [_value(row) for row in rows], "addresses": [_address(a, known.get(a.id)) for a in addresses]}
        typer.echo(json.dumps(document, indent=1, default=str))
        return
    console = make_console()
    if rows:
        table = Table("id", "last (UTC)", "level", "kind", "message", "times", "state", title="messages")
        for row in rows:
            when, count = f"{row.last_utc:%Y-%m-%d %H:%M}", str(row.count)
            table.add_row(str(row.id), when, row.level, row.kind, escape(row.title), count, escape(_state(row)))
        console.print(table)
    else:
        typer.echo("no messages")
    for address in addresses:
        typer.echo(_fares(address, known.get(address.id)))


def _value(row: Message) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHOWN}


def _address(address: Target, row: MessageTarget | None) -> dict[str, Any]:
    fares = {name: getattr(row, name, None) for name in ("sent_utc", "failures", "error", "not_before_utc")}
    return {"address": address.name, **fares}


def _state(row: Message) -> str:
    if row.sent_utc is not None:
        return f"sent {row.sent_utc:%H:%M:%S}" + (f", in {row.told_in}" if row.told_in else "")
    tried = f", tried {row.tries} times" if row.tries else ""
    return row.state.replace("_", " ") + tried + (f": {row.error}" if row.error else "")


def _fares(address: Target, row: MessageTarget | None) -> str:
    if row is None or (row.sent_utc is None and not row.failures):
        return f"{address.name}  not used yet"
    last = f"last taken {row.sent_utc:%Y-%m-%d %H:%M:%S} UTC" if row.sent_utc is not None else "never taken"
    if not row.failures:
        return f"{address.name}  {last}"
    again = f"again from {row.not_before_utc:%H:%M:%S} UTC" if row.not_before_utc is not None else ""
    return f"{address.name}  {last}; failed {row.failures} times: {row.error}; {again}"
