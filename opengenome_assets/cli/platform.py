"""Platform: settings, the graph of assets, and what to do next, for the commands over all groups.

Belongs here: reading them, with faults as errors of the command, and what to type next. Does not belong here: any
command.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from opengenome_assets import groups
from opengenome_assets.settings import Settings
from opengenome_assets.terminal import setting_errors


def settings_in_use() -> Settings:
    """Read the settings from the environment; a wrong value is an error of the command, a wrong name a warning."""
    for name, meant in groups.misspelled(os.environ).items():
        click.echo(f"{name} is no setting, and is not read. Is {meant} meant?", err=True)
    with setting_errors():
        return groups.read_settings()


def in_cluster() -> bool:
    """Return whether Dagster's services run beside this process, in the containers of a cluster."""
    return "DAGSTER_POSTGRES_URL" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ


def next_step(target: str) -> str:
    """Return what to type here: a target of the Makefile, in a folder that has one, else the command of that name."""
    if in_cluster():
        return "dagster asset materialize --select '*', or Dagster's page"
    return f"{'make' if Path('Makefile').exists() else 'opengenome'} {target}"


def pages() -> list[str]:
    """Return where the user interface is, in lines."""
    if in_cluster():
        return ["served by the cluster; its ports are those of `docker compose ps`, or of the Helm chart's services"]
    return [f"{next_step('ui')}, then open http://127.0.0.1:3000", "and, to search, http://127.0.0.1:3001"]


def parents_of_assets(settings: Settings) -> dict[str, set[str]]:
    """Return the assets of these settings, each with the assets that it is made from."""
    from opengenome_assets.definitions import build_defs  # imports Dagster

    graph = build_defs(settings).resolve_asset_graph()
    return {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
