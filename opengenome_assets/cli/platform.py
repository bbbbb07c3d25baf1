"""Platform: the settings and the graph of assets, for the commands over all groups.

Belongs here: reading them, with faults as errors of the command. Does not belong here: any command.
"""

from __future__ import annotations

from opengenome_assets import groups
from opengenome_assets.settings import Settings
from opengenome_assets.terminal import setting_errors


def settings_in_use() -> Settings:
    """Read the settings from the environment; a wrong value is an error of the command."""
    with setting_errors():
        return groups.read_settings()


def parents_of_assets(settings: Settings) -> dict[str, set[str]]:
    """Return the assets of these settings, each with the assets that it is made from."""
    from opengenome_assets.definitions import build_defs  # imports Dagster

    graph = build_defs(settings).resolve_asset_graph()
    return {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
