"""The asset group ``search``, as the platform knows it.

Belongs here: its declaration, without Dagster. Does not belong here: its definitions, which are imported when Dagster
asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from opengenome_assets.framework.group import Group
from opengenome_assets.search.jobs import KIND
from opengenome_assets.search.settings import SearchSettings
from opengenome_assets.search.tables import TABLES
from opengenome_assets.settings import Settings

if TYPE_CHECKING:
    import click
    import dagster as dg


def _build(settings: Settings) -> dg.Definitions:
    from opengenome_assets.search.definitions import build

    return build(settings)


def _commands() -> Sequence[click.Command]:
    from opengenome_assets.search.commands import search

    return [search]


def _refuse(settings: Settings) -> None:
    from opengenome_assets.intake.sources import refuse_missing

    refuse_missing(settings.section(SearchSettings).queries)


def _reads(settings: Settings) -> Iterable[str]:
    from opengenome_assets.intake.sources import places

    return places(settings.section(SearchSettings).queries)


GROUP = Group(
    name="search",
    tables=TABLES,
    settings=SearchSettings,
    build=_build,
    passes=("opengenome_assets.search.passes",),
    commands=_commands,
    refuse=_refuse,
    reads=_reads,
    jobs=(KIND,),
)
