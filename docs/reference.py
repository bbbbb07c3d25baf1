"""Reference pages of the command line, the HTTP API and Python, made from the code by ``generate.py``.

Belongs here: writing what the code says of itself as pages. Does not belong here: the other pages that are made.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from opengenome_assets import client, groups, proteins, search
from opengenome_assets.cli import main
from opengenome_assets.service.app import create_app
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings

FOLDER = Path(__file__).parent

PYTHON = {
    "opengenome_assets.search": (search, ("SearchIndex", "Query", "Hit", "read_queries", "find_kmer", "KmerMatches")),
    "opengenome_assets.proteins": (
        proteins,
        ("align", "call", "read_catalogue", "Alignment", "Mark", "Call", "Change", "ProteinCalls", "Catalogue"),
    ),
    "opengenome_assets.client": (client, ("Client",)),
}


def commands_page(head: str) -> str:
    """Return the page of the command line."""
    lines = [
        "# Commands",
        "",
        head,
        "",
        "`opengenome COMMAND --help` says the same. Settings are environment variables: [settings.md](settings.md).",
        "The commands of Dagster itself: [running.md](running.md).",
    ]
    for name, command in _commands(main, "opengenome", click.Context(main, info_name="opengenome")):
        lines += ["", f"## {name}", "", *_command(name, command)]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, path: str, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.params:
            yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}", context)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield "```text"
    yield f"{name} {' '.join(command.collect_usage_pieces(context))}"
    yield "```"
    yield ""
    yield from _paragraphs(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        yield ""
        yield "| option | meaning |"
        yield "|---|---|"
        for option in options:
            record = option.get_help_record(context)
            if record:
                yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"


def http_page(head: str) -> str:
    """Return the page of the HTTP API."""
    with tempfile.TemporaryDirectory() as home:
        described = create_app(Settings.of({"home": home}), ServerSettings.of({}), groups.job_kinds()).openapi()
    lines = [
        "# HTTP API",
        "",
        head,
        "",
        "`opengenome serve` answers these requests, and describes them in OpenAPI at `/openapi.json`. Errors are",
        "`application/problem+json`: what is wrong, where, and what to do. Searches: [search.md](search.md). Jobs:",
        "[jobs.md](jobs.md). What a client may cost: [reliability.md](reliability.md#the-server).",
    ]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            lines += ["", f"## {method.upper()} {path}", "", *_operation(operation)]
    return "\n".join(lines) + "\n"


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    yield from _paragraphs(operation.get("description") or operation.get("summary", ""))
    parameters = operation.get("parameters", [])
    if parameters:
        yield ""
        yield "| parameter | in | meaning |"
        yield "|---|---|---|"
        for each in parameters:
            schema = each.get("schema", {})
            default = f" Default: `{schema['default']}`." if schema.get("default") not in (None, "") else ""
            said = (each.get("description") or schema.get("description") or "").rstrip(".")
            yield f"| `{each['name']}` | {each['in']} | {_cell(said)}{'.' if said else ''}{default} |"
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        yield ""
        yield f"Body: {', '.join(f'`{kind}`' for kind in content)}."
    yield ""
    yield f"Answers: {', '.join(sorted(operation['responses']))}."


def python_page(head: str) -> str:
    """Return the page of what can be imported."""
    lines = [
        "# Python",
        "",
        head,
        "",
        "These names can be relied on. The rest of the package may change with any version. None of them imports",
        "Dagster.",
    ]
    for name, (module, names) in PYTHON.items():
        lines += ["", f"## {name}"]
        for each in names:
            lines += ["", *_documented(each, getattr(module, each), "###")]
    return "\n".join(lines) + "\n"


def _documented(name: str, thing: Any, level: str) -> Iterator[str]:
    yield f"{level} {name}"
    yield ""
    yield "```text"
    yield f"{name}{_signature(thing)}"
    yield "```"
    yield ""
    yield "```text"
    yield inspect.cleandoc(thing.__doc__ or "")
    yield "```"
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            bare = function.__func__ if isinstance(function, classmethod | staticmethod) else function
            if not method.startswith("_") and inspect.isfunction(bare):
                yield ""
                yield from _documented(f"{name}.{method}", bare, "####")


def _signature(thing: Any) -> str:
    """Return a signature: annotations as they stand in the code, and a shipped file by its path in the package."""
    signature = inspect.signature(thing)
    own = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
    named = [each.replace(default=_Shown(each.default)) if each.default is not each.empty else each for each in own]
    written = str(signature.replace(parameters=named)).replace("pathlib._local.", "pathlib.")  # Python 3.13 alone
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", written)


class _Shown:
    """A default, as a signature shows it."""

    def __init__(self, default: Any) -> None:
        self.default = default

    def __repr__(self) -> str:
        if isinstance(self.default, Path):
            return str(self.default.relative_to(FOLDER.parent))
        return repr(self.default)


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a docstring, for a page that knows HTML."""
    yield inspect.cleandoc(text).replace("\b\n", "").replace("``", "`").replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())
