"""The group's definitions for Dagster: assets and checks.

Belongs here: assembly; a new asset is one line in ``MODULES``. Does not belong here: any asset.
"""

import dagster as dg

from opengenome_assets.framework.group import Member, definitions
from opengenome_assets.proteins import (
    accessions,
    alignments,
    distinct_proteins,
    figures,
    manifest,
    mutation_calls,
    nucleotide_alignments,
    protein_files,
    raw_proteins,
    report,
    wild_types,
)
from opengenome_assets.proteins.group import GROUP
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.settings import Settings

MODULES = (
    protein_files,
    accessions,
    raw_proteins,
    distinct_proteins,
    wild_types,
    alignments,
    nucleotide_alignments,
    mutation_calls,
    manifest,
    figures,
    report,
)


def build(settings: Settings) -> dg.Definitions:
    """Return the group's definitions."""
    return definitions(GROUP, {GROUP.name: members(settings.section(ProteinsSettings))})


def members(section: ProteinsSettings) -> list[Member]:
    """Return the group's tables, rules, figures and report."""
    return [member for module in MODULES for member in module.define(section)]
