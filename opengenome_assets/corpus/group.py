"""The asset group ``corpus``, as the platform knows it.

Belongs here: its declaration, without Dagster. Does not belong here: its definitions, which are imported when Dagster
asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from opengenome_assets.corpus.settings import SAMPLE_FOLDER, CorpusSettings
from opengenome_assets.corpus.tables import TABLES
from opengenome_assets.framework.group import Finding, Group
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    import click
    import dagster as dg


PASSES = ("codons", "genes", "kmers", "parse", "pieces", "profiles", "stats")


def _build(settings: Settings) -> dg.Definitions:
    from opengenome_assets.corpus.definitions import build

    return build(settings)


def _commands() -> Sequence[click.Command]:
    from opengenome_assets.corpus.commands import source

    return [source]


def _refuse(settings: Settings) -> None:
    from opengenome_assets.corpus.sources import source_of
    from opengenome_assets.intake.sources import refuse_missing

    refuse_missing(source_of(Home(settings.home), settings.section(CorpusSettings).source), sample=SAMPLE_FOLDER)


def _reads(settings: Settings) -> Iterable[str]:
    from opengenome_assets.corpus.sources import source_of
    from opengenome_assets.intake.sources import places

    return places(source_of(Home(settings.home), settings.section(CorpusSettings).source), sample=SAMPLE_FOLDER)


def _findings(home: Home) -> Sequence[Finding]:
    from opengenome_assets.corpus.findings import findings

    return findings(home)


GROUP = Group(
    name="corpus",
    tables=TABLES,
    settings=CorpusSettings,
    build=_build,
    passes=tuple(f"opengenome_assets.corpus.passes.{name}" for name in PASSES),
    commands=_commands,
    refuse=_refuse,
    reads=_reads,
    findings=_findings,
)
