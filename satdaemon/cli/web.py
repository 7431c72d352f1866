"""`satdaemon web`: the processing controller, and its users."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from satdaemon.cli.application import ConfigOption, JsonOption, app, make_console
from satdaemon.errors import ConfigError
from satdaemon.status import Role

if TYPE_CHECKING:
    from satdaemon.db import Database

web_app = typer.Typer(help="The processing controller: web pages and API.", invoke_without_command=True)
app.add_typer(web_app, name="web")
PASSWORD = "SATDAEMON_WEB_PASSWORD"
"""Environment: the password of a new user, for scripts; else it is asked for."""
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the user logs in as.")]


@web_app.callback()
def serve(context: typer.Context, config: ConfigOption = None) -> None:
    """Serve the pages and the API at [WEB] host and port, until Ctrl-C. `satdaemon up` does so too."""
    if context.invoked_subcommand is not None:
        context.obj = config
        return
    from satdaemon.config import load
    from satdaemon.db import Database
    from satdaemon.db.access import users

    settings = load(config)
    web = settings.web
    database = Database(settings)
    try:
        if not users.listing(database) and not web.public:
            typer.echo("nobody can log in yet: satdaemon web create-admin NAME", err=True)
    finally:
        database.close()
    typer.echo(f"http://{web.host}:{web.port}", err=True)
    os.execv(sys.executable, [sys.executable, "-m", "satdaemon.web", "-d", str(settings.source)])


@web_app.command("create-admin")
def create_admin(name: NameArgument, config: ConfigOption = None) -> None:
    """Make a user who may do everything. The password is asked for, or read from $SATDAEMON_WEB_PASSWORD."""
    _create(name, Role.ADMIN, config)


@web_app.command("create-user")
def create_user(
    name: NameArgument,
    role: Annotated[Role, typer.Option("--role", help="What the user may do.")] = Role.VIEWER,
    config: ConfigOption = None,
) -> None:
    """Make a user. The password is asked for, or read from $SATDAEMON_WEB_PASSWORD."""
    _create(name, role, config)


@web_app.command("password")
def password(name: NameArgument, config: ConfigOption = None) -> None:
    """Give a user another password, as for one who has forgotten it; the user's logins end."""
    from satdaemon.control import operator_name
    from satdaemon.db.access import audit, users

    database = _database(config)
    users.change(database, name, password=_asked_hash())
    audit.record(database, "user changed", audit.DONE, who=operator_name(), target=name, detail="new password")
    typer.echo(f"{name} has a new password")


@web_app.command("users")
def listing(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show who may log in."""
    from satdaemon.db.access import users

    found = users.listing(_database(config))
    if as_json:
        typer.echo(json.dumps([asdict(user) for user in found], indent=1, default=str))
        return
    table = Table("name", "role", "logs in by", "made", "last login")
    for user in found:
        name = user.name + (" (switched off)" if user.disabled else "")
        last = f"{user.last_login_utc:%Y-%m-%d %H:%M}" if user.last_login_utc else "never"
        by = "password" if user.has_password else "OpenID Connect"
        table.add_row(name, user.role, by, f"{user.created_utc:%Y-%m-%d} by {user.created_by}", last)
    make_console().print(table)


def _create(name: str, role: Role, config: ConfigOption) -> None:
    from satdaemon.control import operator_name
    from satdaemon.db.access import audit, users

    database = _database(config)
    users.create(database, name, role, password=_asked_hash(), who=operator_name())
    audit.record(database, "user made", audit.DONE, who=operator_name(), target=name, detail=f"role {role}")
    typer.echo(f"{name} may log in as {role}")


def _asked_hash() -> str:
    from satdaemon.web.access.passwords import LEAST, hashed

    given = os.environ.get(PASSWORD)
    if given is None and not sys.stdin.isatty():
        raise ConfigError(f"password: expected it in ${PASSWORD}, or a terminal to ask at; found neither")
    return hashed(given if given is not None else typer.prompt(f"Password (at least {LEAST} characters)", hide_input=True,
                                                               confirmation_prompt=True))  # fmt: skip


def _database(config: ConfigOption) -> Database:
    from satdaemon.config import load
    from satdaemon.db import Database

    return Database(load(config))
