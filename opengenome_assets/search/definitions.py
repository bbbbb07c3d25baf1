"""The search's definitions for Dagster: its asset, checks and job.

Belongs here: assembly. Does not belong here: the asset.
"""

import dagster as dg

from opengenome_assets.framework.group import definitions
from opengenome_assets.search.group import GROUP
from opengenome_assets.search.query_hits import define, search_queries
from opengenome_assets.search.settings import SearchSettings
from opengenome_assets.settings import Settings


def build(settings: Settings) -> dg.Definitions:
    """Return the group's definitions."""
    return definitions(GROUP, {GROUP.name: define(settings.section(SearchSettings))}, jobs=[search_queries])
