"""The group's definitions for Dagster: assets and checks.

Belongs here: assembly; a new asset is one line in ``MODULES``. Does not belong here: any asset.
"""

import dagster as dg

from opengenome_assets.framework.group import Member, definitions
from opengenome_assets.settings import Settings
from opengenome_assets.variants import (
    alignments,
    annotations,
    benchmark,
    calls,
    consequences,
    databases,
    figures,
    gene_models,
    raw_reads,
    read_quality,
    reference,
    report,
    sample_qc,
    truth,
    variant_files,
)
from opengenome_assets.variants.group import GROUP
from opengenome_assets.variants.settings import VariantsSettings

MODULES = (
    reference,
    raw_reads,
    read_quality,
    alignments,
    calls,
    variant_files,
    databases,
    annotations,
    gene_models,
    consequences,
    sample_qc,
    truth,
    benchmark,
    figures,
    report,
)


def build(settings: Settings) -> dg.Definitions:
    """Return the group's definitions."""
    return definitions(GROUP, {GROUP.name: members(settings.section(VariantsSettings))})


def members(section: VariantsSettings) -> list[Member]:
    """Return the group's tables and rules."""
    return [member for module in MODULES for member in module.define(section)]
