"""Groups: the declaration of a group of assets, and its definitions for Dagster.

Belongs here: putting the assets, rules and figures of a group together. Does not belong here: the list of groups
(``groups.py``), and the content of any group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.framework.table import Specs, TableFamily, TableSpec
from opengenome_assets.settings import Section, Settings
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    import click
    import dagster as dg

    from opengenome_assets.framework.checks import Rule
    from opengenome_assets.framework.figures import FigureSpec
    from opengenome_assets.storage.tables import Home

    Member = dg.AssetsDefinition | Rule | FigureSpec
else:
    Member = Any

GROUP_TAG = "group"


@dataclass(frozen=True)
class Finding:
    """One line of what a group's tables hold.

    Attributes
    ----------
    subject, text
        What it is about, in a word or two, and what was found.
    warns
        Whether a reader has to look at it before they conclude anything.
    """

    subject: str
    text: str
    warns: bool = False


@dataclass(frozen=True)
class Group:
    """A group of assets.

    Attributes
    ----------
    name
        Its name: the tag and the owner of its assets in Dagster, and the box of its graph unless it has several.
    tables
        Its tables, upstream first.
    settings
        Its section of the settings.
    build
        Function from the settings to its definitions, by :func:`definitions`. Only a call imports Dagster.
    passes
        Modules that workers preload before the first task.
    commands
        Commands that it adds to ``opengenome``.
    chains
        Function from the home, a row's key and a sample or None to the chains from that row to the bytes and tools that
        it was made from: titles, each with named links. It raises a ``LookupError`` if there is no such row. None if
        the group has no chains.
    refuse
        Function from the settings that raises a ``ValueError`` if they name input that is not there. It takes no
        second, and is called before Dagster starts.
    reads
        Function from the settings to what its assets read outside the home: local files and folders, and places on the
        Hub at their present commit. It raises an ``OSError``, ``ValueError`` or ``RemoteError`` if that cannot be told.
    jobs
        Kinds of jobs that it takes.
    explain
        Functions by table, from a home and two versions to rows that say why the versions differ, for
        ``opengenome diff``.
    findings
        Function from a home to the lines that a run ends with: what its tables hold, for a scientist.
    """

    name: str
    tables: tuple[TableSpec | TableFamily, ...]
    settings: type[Section]
    build: Callable[[Settings], dg.Definitions]
    passes: tuple[str, ...] = ()
    commands: Callable[[], Sequence[click.Command]] = tuple
    chains: Callable[[Home, str, str | None], Sequence[tuple[str, Sequence[tuple[str, str]]]]] | None = None
    refuse: Callable[[Settings], None] = lambda _: None
    reads: Callable[[Settings], Iterable[str]] = lambda _: ()
    jobs: tuple[JobKind, ...] = ()
    explain: Mapping[str, Callable[[Home, int, int], list[dict[str, Any]]]] = field(default_factory=dict)
    findings: Callable[[Home], Sequence[Finding]] = lambda _: ()


def definitions(
    group: Group,
    members: Mapping[str, Sequence[Member]],
    **more: Any,
) -> dg.Definitions:
    """Return a group's definitions: its assets, checks and figures.

    Each asset has the tag ``group`` with the group's name, so that ``tag:group=corpus`` selects all of them, and the
    group's team as its owner.

    Parameters
    ----------
    group
        The group.
    members
        Its assets, rules and figures, by the box of Dagster's graph that they stand in: one with the group's name, or
        several where one would hold too much to be read. Each table also gets the rule that it has its declared
        columns.
    more
        Jobs, schedules and sensors, as ``dagster.Definitions`` takes them.
    """
    import dagster as dg

    from opengenome_assets.framework.checks import as_check

    def placed(box: str, asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
        return asset.map_asset_specs(
            lambda spec: spec.replace_attributes(
                group_name=box, tags={**spec.tags, GROUP_TAG: group.name}, owners=[f"team:{group.name}"]
            )
        )

    listed = [member for each in members.values() for member in each]
    return dg.Definitions(
        assets=[placed(box, asset) for box, each in members.items() for asset in assets_of(each)],
        asset_checks=[as_check(rule) for rule in rules_of(group, listed)],
        **more,
    )


def assets_of(members: Iterable[Member]) -> list[dg.AssetsDefinition]:
    """Return the assets among members, and those of the figures."""
    import dagster as dg

    from opengenome_assets.framework.figures import FigureSpec

    assets = []
    for member in members:
        if isinstance(member, dg.AssetsDefinition):
            assets.append(member)
        elif isinstance(member, FigureSpec):
            assets.append(member.asset())
    return assets


def tables_of(group: Group, members: Iterable[Member]) -> list[TableSpec]:
    """Return the declarations of the tables that members make, in the order of the members."""
    import dagster as dg

    specs = Specs(group.tables)
    assets = [member for member in members if isinstance(member, dg.AssetsDefinition)]
    names = [spec.key.to_user_string() for asset in assets for spec in asset.specs]
    return [specs.find(name) for name in names if specs.knows(name)]


def rules_of(group: Group, members: Sequence[Member]) -> list[Rule]:
    """Return the rules among members, those of figures, and a schema rule for each table."""
    from opengenome_assets.framework.checks import Rule, schema_rule
    from opengenome_assets.framework.figures import FigureSpec

    rules = [schema_rule(spec) for spec in tables_of(group, members)]
    for member in members:
        if isinstance(member, Rule):
            rules.append(member)
        elif isinstance(member, FigureSpec):
            rules.append(member.rule())
    return rules
