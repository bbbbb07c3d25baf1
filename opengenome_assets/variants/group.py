"""The asset group ``variants``, as the platform knows it.

Belongs here: its declaration, without Dagster. Does not belong here: its definitions, which are imported when Dagster
asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opengenome_assets.framework.group import Finding, Group
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.jobs import KIND
from opengenome_assets.variants.settings import NONE, SAMPLE, VariantsSettings
from opengenome_assets.variants.tables import TABLES

if TYPE_CHECKING:
    import click
    import dagster as dg

    from opengenome_assets.storage.tables import Home

PASSES = ("align", "call", "depth", "quality", "vcf")


def _build(settings: Settings) -> dg.Definitions:
    from opengenome_assets.variants.definitions import build

    return build(settings)


def _commands() -> Sequence[click.Command]:
    from opengenome_assets.variants.commands import variants

    return [variants]


def _chains(home: Home, key: str, sample: str | None) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    from opengenome_assets.variants.chain import chains

    return [(f"{key} in {each.sample}", [("call", each.call), *each.links]) for each in chains(home, key, sample)]


def _refuse(settings: Settings) -> None:
    from opengenome_assets.intake.sources import existing

    section = settings.section(VariantsSettings)
    databases = section.clinvar, section.gnomad, section.genes, section.truth, section.truth_regions
    for name in (section.samples, section.reference, *databases):
        if name not in (SAMPLE, NONE) and not name.startswith("corpus:"):
            existing(name)


def _findings(home: Home) -> Sequence[Finding]:
    from opengenome_assets.variants.findings import findings

    return findings(home)


GROUP = Group(
    name="variants",
    tables=TABLES,
    settings=VariantsSettings,
    build=_build,
    passes=tuple(f"opengenome_assets.variants.passes.{name}" for name in PASSES),
    commands=_commands,
    chains=_chains,
    refuse=_refuse,
    findings=_findings,
    jobs=(KIND,),
)
