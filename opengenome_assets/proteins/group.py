"""The asset group ``proteins``, as the platform knows it.

Belongs here: its declaration, without Dagster. Does not belong here: its definitions, which are imported when Dagster
asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from opengenome_assets.framework.group import Finding, Group
from opengenome_assets.proteins.jobs import KIND
from opengenome_assets.proteins.settings import SAMPLE_FOLDER, SHIPPED, ProteinsSettings
from opengenome_assets.proteins.tables import MUTATION_CALLS, TABLES
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    import click
    import dagster as dg

PASSES = ("align", "contigs", "distinct", "parse")


def _build(settings: Settings) -> dg.Definitions:
    from opengenome_assets.proteins.definitions import build

    return build(settings)


def _commands() -> Sequence[click.Command]:
    from opengenome_assets.proteins.commands import proteins

    return [proteins]


def _refuse(settings: Settings) -> None:
    from opengenome_assets.intake.sources import refuse_missing

    section = settings.section(ProteinsSettings)
    refuse_missing(section.source, sample=SAMPLE_FOLDER)
    refuse_missing(section.sheet)
    if section.catalogue != SHIPPED:
        refuse_missing(section.catalogue)


def _reads(settings: Settings) -> Iterable[str]:
    from opengenome_assets.intake.sources import places

    section = settings.section(ProteinsSettings)
    yield from places(section.source, sample=SAMPLE_FOLDER)
    yield from places(section.sheet)
    if section.catalogue != SHIPPED:  # which comes with the program
        yield from places(section.catalogue)


def _explain(home: Home, before: int, after: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from opengenome_assets.proteins.differences import call_changes

    return [asdict(each) for each in call_changes(home, before, after)]


def _findings(home: Home) -> Sequence[Finding]:
    from opengenome_assets.proteins.findings import findings

    return findings(home)


GROUP = Group(
    name="proteins",
    tables=TABLES,
    settings=ProteinsSettings,
    build=_build,
    passes=tuple(f"opengenome_assets.proteins.passes.{name}" for name in PASSES),
    commands=_commands,
    refuse=_refuse,
    reads=_reads,
    jobs=(KIND,),
    explain={MUTATION_CALLS.name: _explain},
    findings=_findings,
)
