"""The asset group ``variants``, as the platform knows it.

Belongs here: its declaration, without Dagster. Does not belong here: its definitions, which are imported when Dagster
asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
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


def _named(settings: Settings) -> list[Path]:
    """Return the files that settings name; those of the sample come with the program."""
    from opengenome_assets.intake.sources import existing

    section = settings.section(VariantsSettings)
    databases = section.clinvar, section.gnomad, section.genes, section.truth, section.truth_regions
    names = section.samples, section.reference, *databases
    return [existing(name) for name in names if name not in (SAMPLE, NONE) and not name.startswith("corpus:")]


def _refuse(settings: Settings) -> None:
    _named(settings)


def _reads(settings: Settings) -> Iterable[str]:
    from opengenome_assets.intake.sources import places
    from opengenome_assets.variants.sheet import read_sheet

    yield from map(str, _named(settings))
    samples = settings.section(VariantsSettings).samples
    for lane in read_sheet(Path(samples).expanduser().absolute()) if samples != SAMPLE else ():
        for file in lane.files:
            yield from places(file.replace(",", r"\,"))


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
    reads=_reads,
    findings=_findings,
    jobs=(KIND,),
)
