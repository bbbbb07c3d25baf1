"""The commands ``lineage`` and ``reindex``: what made something, as people and as Dagster are told.

Does not belong here: how it is found (``lineage``) and which events are missing (``corpus/reindex.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from opengenome_assets.cli.forms import format_option, ranges, refusals, setting_errors, settings_in_use


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


@click.command()
@format_option
def reindex(output: str) -> None:
    """Tell Dagster what the tables, figures and report remember and it does not.

    For a Dagster database that was lost, moved or pruned. Events come without a run and with today's time; the time of
    the commit and the run stand in their metadata. Doing it twice tells nothing twice.
    """
    settings = settings_in_use()
    from opengenome_assets.corpus import reindex as index  # imports Dagster
    from opengenome_assets.definitions import build_defs
    from opengenome_assets.failures import open_instance
    from opengenome_assets.resources.tables import Tables

    graph = build_defs(settings).resolve_asset_graph()
    dependencies = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    with setting_errors(), refusals(), open_instance() as instance:
        told = list(index.reindex(instance, Tables(home=settings.home), dependencies))
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in told], indent=2))
        return
    for each in told:
        versions = sorted({version for version in each.versions if version is not None})
        click.echo(f"{each.asset}: {f'versions {ranges(versions)}' if versions else 'its last state'}")
    click.echo(f"{len(told):,} assets told to Dagster" if told else "Dagster knows all that the tables remember")
