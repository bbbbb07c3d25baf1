"""The commands ``lineage``, ``diff`` and ``reindex``: provenance, and changes between versions.

Belongs here: their arguments and output. Does not belong here: finding records (``lineage``) and missing events
(``operations/reindex.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import parents_of_assets, settings_in_use
from opengenome_assets.terminal import (
    aligned,
    clock,
    format_option,
    known,
    ranges,
    refusals,
    section,
    setting_errors,
    written,
)

if TYPE_CHECKING:
    from opengenome_assets.lineage.changes import Change, FileChanges
    from opengenome_assets.lineage.diff import Content

FREQUENCY = ("before", "after", "change")


@click.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(min=0), help="A version of the table; default: the newest.")
@click.option("--column", help="Show the column lineage of this column instead.")
@click.option(
    "--files", default=20, show_default=True, type=click.IntRange(min=0), help="Maximum number of files named."
)
@format_option
def lineage(name: str, version: int | None, column: str | None, files: int, output: str) -> None:
    """Show the provenance of NAME, a table, figure or report, as a tree down to files.

    Each node has its version, code, settings, run, time and cost. JSON names all files. Needs no Dagster instance.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage import tree
    from opengenome_assets.storage.tables import Home

    with refusals():
        if column:
            origins = groups.specs().trace_column(name, column)
            text = (f"{of} <- {', '.join(given) or 'the files, a setting or a list'}" for of, given in origins.items())
            click.echo(json.dumps(origins) if output == "json" else "\n".join(text))
            return
        found = tree.lineage(Home(settings.home), groups.specs(), name, version)
    if output == "json":
        click.echo(json.dumps({"root": found.root, "nodes": {label: _plain(n) for label, n in found.nodes.items()}}))
    else:
        click.echo("\n".join(tree.draw(found, files=files)))


def _plain(node: Any) -> dict[str, Any]:
    record = node.record and node.record.model_dump(mode="json")
    return {**{key: value for key, value in asdict(node).items() if key != "record"}, "record": record}


@click.command()
@click.argument("table")
@click.argument("before", type=click.IntRange(min=0))
@click.argument("after", type=click.IntRange(min=0))
@click.option(
    "--most",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="Maximum number of files and rows named per kind: added, removed, changed, moved.",
)
@format_option
def diff(table: str, before: int, after: int, most: int, output: str) -> None:
    """Show how two versions of TABLE differ: source files, code, settings and rows."""
    settings = settings_in_use()
    from opengenome_assets.lineage import diff as comparing
    from opengenome_assets.storage.tables import Home

    with refusals():
        found = comparing.diff(Home(settings.home), groups.specs(), table, before, after, most)
        why = groups.explain(Home(settings.home), table, before, after)
    changes = found.made
    if output == "json":
        files = {kind: len(names) for kind, names in asdict(changes.files).items()}
        files |= {f"first_{kind}": names[:most] for kind, names in asdict(changes.files).items()}
        reasons = {} if why is None else {"why": why}
        click.echo(json.dumps({**asdict(found), "made": {**asdict(changes), "files": files}, **reasons}, indent=2))
        return
    sides = [
        (f"version {side.version}", f"made {clock(side.made)}", f"{side.rows:,} rows", side.data_version[:16])
        for side in (found.before, found.after)
    ]
    section(table, aligned(sides))
    section("Source files", list(file_lines(changes.files, most)) or ["the same"])
    section("Code and settings", _changes(changes.determining) or ["the same"])
    section("Circumstances", _changes(changes.circumstances) or ["the same"])
    if changes.notes:
        section("Not compared", changes.notes)
    section("Content", list(_content(found.content)))
    if why:
        more = [f"and {len(why) - most:,} more"] if len(why) > most else []
        section("Why", [*aligned([tuple(why[0]), *(tuple(map(str, row.values())) for row in why[:most])]), *more])


def file_lines(files: FileChanges, most: int) -> Iterator[str]:
    """Yield the number of source files that differ, and the names of up to ``most`` per kind."""
    kinds = asdict(files)
    if any(kinds.values()):
        yield ", ".join(f"{len(names):,} {kind}" for kind, names in kinds.items())
    for kind, names in kinds.items():
        yield from _named(kind, names[:most], len(names))


def _named(kind: str, names: Sequence[str], count: int) -> Iterator[str]:
    """Yield some names and the number of the others; nothing if no names are given."""
    yield from (f"  {kind}  {name}" for name in names)
    if 0 < len(names) < count:
        yield f"  and {count - len(names):,} more {kind}"


def _changes(changes: Sequence[Change]) -> list[str]:
    """Return lines of differences; equal differences of several tables share a line."""
    where: dict[tuple[str, str], list[str]] = {}
    for each in changes:
        values = f"{_cut(known(written, each.before))} -> {_cut(known(written, each.after))}"
        where.setdefault((each.what, values), []).append(each.where)
    return aligned([(", ".join(names), what, values) for (what, values), names in where.items()])


def _cut(value: str) -> str:
    """Return a git commit cut to 12 digits; any other value as it is."""
    commit, plus, changes = value.partition("+")
    return f"{commit[:12]}{plus}{changes}" if len(commit) == 40 else value


def _content(content: Content) -> Iterator[str]:
    if content.identical:
        read = f"row by row, in {content.parts_read:,} parts" if content.parts_read else "both have the same parts"
        yield f"identical: {read}"
        return
    yield f"{content.added:,} rows added, {content.removed:,} removed, {content.changed:,} changed"
    for word, names in (("new", content.columns_added), ("lost", content.columns_removed)):
        if names:
            yield f"{word} columns: {', '.join(names)}"
    if content.columns:
        yield "changed in " + ", ".join(f"{name} {count:,}" for name, count in content.columns.items())
    if content.largest:
        yield f"largest changes in frequency, {len(content.largest):,} shown:"
        heading = (*(name for name in content.largest[0] if name not in FREQUENCY), *FREQUENCY)
        rows = [[_number(row[name]) for name in heading] for row in content.largest]
        yield from (f"  {line}" for line in aligned([heading, *rows]))
        return
    for kind, first, count in (
        ("added", content.first_added, content.added),
        ("removed", content.first_removed, content.removed),
        ("changed", content.first_changed, content.changed),
    ):
        yield from _named(kind, [", ".join(map(str, row.values())) for row in first], count)


def _number(value: object) -> str:
    return f"{value:.3e}" if isinstance(value, float) else str(value)


@click.command()
@format_option
def reindex(output: str) -> None:
    """Report to Dagster the versions that only the tables, figures and report record.

    For a Dagster database that was lost, moved or pruned. Events have no run and today's time; their metadata has the
    time of the commit and the run. The command is idempotent.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage.failures import open_instance
    from opengenome_assets.operations import reindex as index  # imports Dagster
    from opengenome_assets.storage.tables import Home

    dependencies = parents_of_assets(settings)
    with setting_errors(), refusals(), open_instance() as instance:
        reindexed = list(index.reindex(instance, Home(settings.home), groups.specs(), dependencies))
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in reindexed], indent=2))
        return
    for each in reindexed:
        versions = sorted({version for version in each.versions if version is not None})
        click.echo(f"{each.asset}: {f'versions {ranges(versions)}' if versions else 'its last state'}")
    click.echo(
        f"{len(reindexed):,} assets told to Dagster" if reindexed else "Dagster knows all that the tables remember"
    )
