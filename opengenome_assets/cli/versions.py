"""Commands that act on versions of tables: ``restore``, ``checkout``, ``reproduce``, ``push`` and ``pull``.

Belongs here: their arguments and output. Does not belong here: their work (``operations``, ``storage/carry.py``).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import parents_of_assets, settings_in_use
from opengenome_assets.settings import Settings, absolute, local_home
from opengenome_assets.terminal import (
    aligned,
    clock,
    format_option,
    in_bytes,
    ranges,
    refusals,
    section,
    setting_errors,
)
from opengenome_assets.words import materialize

if TYPE_CHECKING:
    from dagster import Definitions

    from opengenome_assets.operations.reproduce import Reproduction
    from opengenome_assets.storage.record import Provenance

STDERR = 2  # the descriptor

dry_run_option = click.option("--dry-run", is_flag=True, help="Show the changes without making them.")


@click.command()
@click.argument("table")
@click.option("--version", type=click.IntRange(min=0), required=True, help="The version to restore.")
@dry_run_option
@format_option
def restore(table: str, version: int, dry_run: bool, output: str) -> None:
    """Restore an earlier version of TABLE, as a new version with the old rows and provenance.

    No version is lost. Runs the job `restore`, which waits until no other run uses the tables. Names the tables,
    figures and reports that are stale then.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage.records import find  # imports Dagster
    from opengenome_assets.storage.tables import Home

    tables = Home(settings.home)
    with refusals():  # before a run begins
        find(tables, table, version)
        tables.table(table).at(version)
    _restore(settings, {table: version}, {}, dry_run, output)


@click.command()
@click.option("--run", "run", required=True, metavar="ID", help="The run's id, or its beginning.")
@dry_run_option
@format_option
def checkout(run: str, dry_run: bool, output: str) -> None:
    """Restore all tables to their versions at the end of a run.

    Tables that did not exist then stay, and are named. Figures and the report have no versions, so they are made again
    from the tables.
    """
    settings = settings_in_use()
    from opengenome_assets.lineage.failures import open_instance  # imports Dagster
    from opengenome_assets.operations.checkout import state_after
    from opengenome_assets.storage.tables import Home

    with setting_errors(), refusals(), open_instance() as instance:
        state = state_after(Home(settings.home), instance, run)
    about = {
        "run": state.run_id,
        "ended": state.ended.isoformat(timespec="seconds"),
        "tables_made_later": state.later,
    }
    _restore(settings, state.versions, about, dry_run, output)


@click.command()
@click.argument("tables", nargs=-1)
@click.option("--version", type=click.IntRange(min=0), help="A version of one table; default: the newest.")
@format_option
def reproduce(tables: tuple[str, ...], version: int | None, output: str) -> None:
    """Make TABLES, or all, again from their provenance records, and compare.

    The installed code makes each in a scratch folder, from the recorded inputs and settings; the home is only read.
    OPENGENOME_ENGINE and SPARK_MASTER choose the engine. TMPDIR chooses the place of the scratch folder, which the
    workers of a cluster must reach. Exits with status 0 if all are identical, 1 if any differs, and 2 if one cannot be
    made again.
    """
    settings = settings_in_use()
    if version is not None and len(tables) != 1:
        raise click.UsageError(f"--version needs one table, found {len(tables)}: name one")
    import dagster as dg

    from opengenome_assets.definitions import build_defs  # imports Dagster and Spark
    from opengenome_assets.framework.resources import engine_resource
    from opengenome_assets.operations import reproduce as reproducing
    from opengenome_assets.storage.tables import Home

    home, specs = Home(settings.home), groups.specs()

    def remade(record: Provenance, scratch: str) -> Definitions:
        return build_defs(groups.settings_of(record, scratch))

    results: list[Reproduction] = []
    failed: dict[str, str] = {}
    # One engine for all tables: starting Spark takes longer than making most of them.
    engine = {"engine": engine_resource(settings, groups.passes())}
    with engine_unheard() as hear, dg.build_resources(engine) as resources:
        for name in tables or home.names():
            try:
                with TemporaryDirectory(prefix="opengenome-reproduce-") as scratch:
                    result = reproducing.reproduce(home, specs, remade, name, version, scratch, resources.engine)
            except (LookupError, OSError, RuntimeError) as error:
                hear()
                failed[name] = str(error)
                if output == "text":
                    click.echo(f"{name}: cannot be made again: {error}\n")
            else:
                results.append(result)
                if output == "text":
                    _tell(result)
    if output == "json":
        found = [{**asdict(each), "identical": each.comparison.identical} for each in results]
        click.echo(json.dumps({"tables": found, "failed": failed}, indent=2))
    if failed:
        raise SystemExit(2)
    if not all(each.comparison.identical for each in results):
        raise SystemExit(1)


@contextmanager
def engine_unheard() -> Iterator[Callable[[], None]]:
    """Hide the output of Spark's processes on standard error, unless an error follows.

    They inherit the descriptor, so their later output is hidden too.

    Yields
    ------
    Callable
        Shows what has been hidden so far.
    """
    with TemporaryFile() as printed:
        sys.stderr.flush()
        shown = os.dup(STDERR)
        os.dup2(printed.fileno(), STDERR)
        heard = 0

        def hear() -> None:
            nonlocal heard
            heard += os.write(shown, os.pread(printed.fileno(), os.fstat(printed.fileno()).st_size - heard, heard))

        try:
            yield hear
        except BaseException:
            hear()
            raise
        finally:
            os.dup2(shown, STDERR)
            os.close(shown)


FILES = {
    "identical": "in files of the same bytes",
    "different": "in files of other bytes",
    "packed": "in packs, whose bytes are not compared",
}


def _tell(result: Reproduction) -> None:
    comparison, changes = result.comparison, result.changes
    verdict = f"the same {comparison.rows:,} rows, {FILES[comparison.files]}" if comparison.identical else "DIFFERS"
    click.echo(f"{result.name} version {result.version}: {verdict} ({result.seconds:.1f} s)")
    for difference in comparison.differences:
        click.echo(f"  {difference}")
    if not comparison.identical:
        click.echo("  Likely causes:" if changes else "  No cause is recorded: the same code, inputs and settings")
        for change in changes:
            click.echo(f"    {change.what}: {change.before} -> {change.after}")
    elif changes:
        click.echo(f"  Though made otherwise: {', '.join(change.what for change in changes)}")


raw_option = click.option(
    "--with-raw", is_flag=True, help="Also the source files of catalogues, by their digests, for `reproduce`."
)


@click.command()
@click.argument("uri")
@click.argument("tables", nargs=-1)
@raw_option
@dry_run_option
@format_option
def push(uri: str, tables: tuple[str, ...], with_raw: bool, dry_run: bool, output: str) -> None:
    """Carry TABLES, or all, with their history to URI: a folder, or an object store as s3://BUCKET/PATH.

    Only missing files travel, and each is verified on arrival. The target is laid out like a home. Refuses if the
    target has a version that the home lacks.
    """
    settings = settings_in_use()
    here, there = (settings.home, f"{local_home(settings.home)}/raw"), (absolute(uri), f"{absolute(uri)}/raw")
    _carry(here, there, tables, with_raw, dry_run, output)


@click.command()
@click.argument("uri")
@click.argument("tables", nargs=-1)
@raw_option
@dry_run_option
@format_option
def pull(uri: str, tables: tuple[str, ...], with_raw: bool, dry_run: bool, output: str) -> None:
    """Carry TABLES, or all, with their history from URI into the home.

    The reverse of `push`. Waits until no run uses the home.
    """
    settings = settings_in_use()
    here, there = (settings.home, f"{local_home(settings.home)}/raw"), (absolute(uri), f"{absolute(uri)}/raw")
    _carry(there, here, tables, with_raw, dry_run, output)


def _carry(
    origin: tuple[str, str],
    goal: tuple[str, str],
    names: Sequence[str],
    with_raw: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Carry tables, and raw files, from one home and its store to another."""
    from opengenome_assets.framework.table import Role
    from opengenome_assets.storage.carry import carry, carry_raw, missing, refuse_same
    from opengenome_assets.storage.lock import only_writer
    from opengenome_assets.storage.tables import Home

    source, target = (Home(home) for home, _ in (origin, goal))
    raw = (0, 0)
    with refusals(), ExitStack() as stack:
        refuse_same(source, target)
        present = source.names()
        if not present:
            raise LookupError(f"there are no tables at {source.uri}/tables")
        if unknown := ", ".join(name for name in names if name not in present):
            raise LookupError(f"there is no table {unknown} at {source.uri}. There are: {', '.join(present)}")
        chosen = names or present
        if not dry_run:
            lease = stack.enter_context(only_writer(target.uri, f"a transport from {source.uri}", click.echo))
            target = Home(target.uri, lease)
        freights = [missing(source, target, name) for name in chosen]
        if not dry_run:
            for freight in freights:
                carry(source, target, freight)
            for catalogue in groups.specs().named(Role.CATALOGUE) if with_raw else ():
                if catalogue in present:
                    files, size = carry_raw(source, catalogue, origin[1], goal[1])
                    raw = raw[0] + files, raw[1] + size
    if output == "json":
        answer = {"dry_run": dry_run, "tables": [asdict(each) for each in freights]}
        click.echo(json.dumps({**answer, "raw_files": raw[0], "raw_bytes": raw[1]}, indent=2))
        return
    rows = [
        (
            each.name,
            ranges(each.versions) or ("none" if not each.ahead else f"none, {each.ahead} more at {target.uri}"),
            ranges(each.readable),
            f"{len(each.files):,}",
            in_bytes(each.size),
        )
        for each in freights
    ]
    title = f"{'Would be carried' if dry_run else 'Carried'} from {source.uri} to {target.uri}"
    heading = ("table", "versions", "versions readable", "files", "size")
    section(title, aligned([heading, *rows], right=(3, 4)))
    if not raw[0] and not any(each.versions or each.files or each.ahead for each in freights):
        section("Everything was there already", [])
    if lost := [f"{each.name}: versions {ranges(each.unreadable)}" for each in freights if each.unreadable]:
        section("Only in the log, since their files were removed or are gone", lost)
    if with_raw and not dry_run:
        section("FASTA files", [f"{raw[0]:,}, {in_bytes(raw[1])}"])


def _restore(
    settings: Settings, versions: Mapping[str, int], about: Mapping[str, Any], dry_run: bool, output: str
) -> None:
    from opengenome_assets.cli.jobs import run_job  # imports Dagster
    from opengenome_assets.operations.refresh import outdated, refreshing
    from opengenome_assets.operations.restore import NAME, OP
    from opengenome_assets.storage.tables import Home

    tags = {"opengenome/checkout": about["run"]} if about else None
    done = run_job(settings, NAME, OP, {"versions": dict(versions), "dry_run": dry_run}, tags).tables
    home = Home(settings.home)
    then = {name: home.table(name).provenance(version).data_version for name, version in versions.items()}
    stale = outdated(home, then)
    outside = partial(groups.outside, settings)
    remedy = refreshing(home, groups.specs(), parents_of_assets(settings), stale, versions, outside)
    if output == "json":
        answer = {**about, "dry_run": dry_run, "tables": done, "outdated": stale}
        click.echo(json.dumps({**answer, "to_make": remedy.selection, "undefined": remedy.undefined}, indent=2))
        return
    title = "Would be restored" if dry_run else "Restored"
    if about:
        title += f" to the state after run {about['run'][:8]}, {clock(about['ended'])}"
    rows = [
        (
            name,
            str(each["version_before"]),
            str(each["restored_version"]) if each["restored_version"] != each["version_before"] else "as it is",
            f"{each['rows_before']:,} -> {each['rows']:,}",
            clock(each["made"]),
            each["made_by"][:8],
        )
        for name, each in done.items()
    ]
    heading = ("table", "version", "rows of", "rows", "first made (UTC)", "by run")
    section(title, aligned([heading, *rows], right=(1, 2)))
    if later := about.get("tables_made_later"):
        section("Did not exist then, and stay as they are", later)
    if stale:
        section(f"{'Would be out' if dry_run else 'Out'} of date: made from other rows of these tables", stale)
    if remedy.selection:
        section("To make them again", [f"-> {materialize(','.join(remedy.selection))}"])
    if remedy.undefined:
        section(
            "Not made again: no assets with the present settings", [f"{n}: {w}" for n, w in remedy.undefined.items()]
        )
