"""The command ``lineage``: what made a table, figure or report; how it is found is ``lineage/tree.py``'s business."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from opengenome_assets.cli.forms import format_option, refusals, settings_in_use


@click.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(min=0), help="A version of the table; else the newest.")
@click.option("--files", default=20, show_default=True, type=click.IntRange(min=0), help="Name at most so many files.")
@format_option
def lineage(name: str, version: int | None, files: int, output: str) -> None:
    """Show the tree of what made NAME, a table, figure or report, down to files.

    Each node with its version, the code, settings, run, time and cost that it took. Needs no Dagster instance. As JSON
    all files are named.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage import tree  # imports Dagster
    from opengenome_assets.resources.tables import Tables

    with refusals():
        found = tree.lineage(Tables(home=settings.home), name, version)
    if output == "json":
        click.echo(json.dumps({"root": found.root, "nodes": {label: _plain(n) for label, n in found.nodes.items()}}))
    else:
        click.echo("\n".join(tree.draw(found, files=files)))


def _plain(node: Any) -> dict[str, Any]:
    record = node.record and node.record.model_dump(mode="json")
    return {**{key: value for key, value in asdict(node).items() if key != "record"}, "record": record}
