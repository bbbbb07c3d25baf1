"""Commands of tokens: ``tokens create``, ``tokens list`` and ``tokens revoke``.

Belongs here: arguments and wording. Does not belong here: tokens themselves (``service/access/tokens.py``).
"""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.terminal import aligned, format_option, refusals
from opengenome_assets.words import plural

if TYPE_CHECKING:
    from opengenome_assets.service.access.tokens import Token

DAYS = 90


@click.group()
def tokens() -> None:
    """Make, list and revoke tokens of the server's clients.

    With the first token, the server asks every client for one. A running server knows a change within a second.
    """


@tokens.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "submit", "admin"]),
    default="submit",
    show_default=True,
    help="read: search, status and results. submit: also send jobs, and cancel one's own. admin: also cancel the jobs "
    "of others.",
)
@click.option("--days", type=int, default=DAYS, show_default=True, help="Days until it expires.")
@format_option
def create(name: str, scope: Any, days: int, output: str) -> None:
    """Make a token for NAME, and print it. It is shown this once, and kept nowhere."""
    settings = settings_in_use()
    from opengenome_assets.service.access.audit import audit_log_of
    from opengenome_assets.service.access.tokens import in_words, tokens_of

    with refusals():
        token, text = tokens_of(settings.home).create(name, scope, days)
    audit_log_of(settings.home).write(_user(), f"tokens create {name} {scope}", "done", token=token.id)
    if output == "json":
        click.echo(json.dumps({"token": text, **_shown(token)}, indent=2))
        return
    click.echo(text)
    click.echo(
        f"The token {token.id} of {name} has the scope {scope}, and expires at {in_words(token.expires)}. Keep it "
        "secret; it is not shown again.",
        err=True,
    )


@tokens.command("list")
@format_option
def list_tokens(output: str) -> None:
    """List the tokens, without their secrets."""
    settings = settings_in_use()
    from opengenome_assets.service.access.tokens import in_words, tokens_of

    with refusals():
        found = tokens_of(settings.home).read().tokens
    if output == "json":
        click.echo(json.dumps([_shown(each) for each in found], indent=2))
        return
    now = datetime.now(UTC)
    rows = [(each.id, each.name, each.scope, each.state(now), in_words(each.expires)) for each in found]
    heading = ("id", "name", "scope", "state", "expires")
    click.echo("\n".join(aligned([heading, *rows])) if rows else "no tokens. Make one with: opengenome tokens create")


@tokens.command()
@click.argument("named", metavar="ID|NAME")
@format_option
def revoke(named: str, output: str) -> None:
    """Revoke the token ID, or all tokens of NAME."""
    settings = settings_in_use()
    from opengenome_assets.service.access.audit import audit_log_of
    from opengenome_assets.service.access.tokens import tokens_of

    with refusals():
        found = tokens_of(settings.home).revoke(named)
    audit_log_of(settings.home).write(_user(), f"tokens revoke {named}", "done")
    if output == "json":
        click.echo(json.dumps([_shown(each) for each in found], indent=2))
        return
    click.echo(f"Revoked: {plural(len(found), 'token')} ({', '.join(each.id for each in found)})")


def _shown(token: Token) -> dict[str, Any]:
    state = token.state(datetime.now(UTC))
    return {**token.model_dump(mode="json", exclude={"sha256"}), "state": state}


def _user() -> str:
    """Return the user of this machine, for the audit log."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a number without a name, in a container
        return "command line"
