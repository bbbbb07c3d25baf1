"""The job ``restore``: tables made to hold again what an earlier version of theirs holds.

Belongs here: doing it in a run of its own, which waits until no other run uses the home, and telling Dagster what the
tables hold now. Does not belong here: the commit (``storage/tables.py``) and which versions a run left behind
(``operations/checkout.py``). Versions are never taken away: a restored one is a new version with the old rows and the
record of what made them.
"""

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.framework.making import lineage, version_metadata, version_tags
from opengenome_assets.operations.upkeep import recorded
from opengenome_assets.storage.parquet.file import DamagedFileError, refuse_damaged_pages
from opengenome_assets.storage.tables import MissingTableError, MissingVersionError, Tables

NAME = "restore"
COUNTS = "kmer_"
FREQUENCIES = "kmer_freq_k"


class RestoreConfig(dg.Config):
    """Run config of restore."""

    versions: dict[str, int] = Field(description="The version of each table whose rows it shall have again.")
    dry_run: bool = Field(default=False, description="Only tell what would be done.")


@dg.op(
    description="Make tables hold again what an earlier version of theirs holds, each by a new version. What was done "
    "to a table stands on its asset's page.",
)
def restore_versions(context: dg.OpExecutionContext, config: RestoreConfig, tables: Tables) -> None:
    """Restore the versions, all of which have to be whole before the first is."""
    try:
        planned = {name: describe(tables, name, version) for name, version in config.versions.items()}
        for name, version in config.versions.items():
            refuse_damage(tables, name, version)
    except (MissingTableError, MissingVersionError, DamagedFileError) as error:
        raise dg.Failure(f"{error}. Nothing was restored", allow_retries=False) from error
    for name, metadata in planned.items():
        if config.dry_run or metadata["restored_version"] == metadata["version_before"]:
            context.log_event(dg.AssetObservation(name, metadata=metadata))
            continue
        commit = tables.restore(name, config.versions[name], context.run_id)
        provenance = tables.provenance(name)
        context.log_event(
            dg.AssetMaterialization(
                name,
                metadata={
                    **metadata,
                    **version_metadata(name, commit.uri, commit.version, commit.rows, commit.size, commit.files),
                    **lineage(provenance),
                },
                tags=version_tags(provenance, provenance.inputs),
            )
        )


@dg.job(name=NAME, description=restore_versions.description)
def restore() -> None:
    """Run :func:`restore_versions`."""
    restore_versions()


def describe(tables: Tables, name: str, version: int) -> dict[str, Any]:
    """Return what restoring a version means for a table; equal versions before and after mean that nothing has to be.

    Raises
    ------
    MissingTableError, MissingVersionError
        If there is no such table or version, or it cannot be read any more.
    """
    now = tables.files(tables.open(name))
    then = tables.files(tables.open(name, version))
    history = tables.history(name)
    current, wanted = history.current, history.origin(version)
    is_there = now == then and tables.provenance(name).data_version == tables.provenance(name, version).data_version
    return {
        "restored_version": current.number if is_there else wanted.number,
        "version_before": current.number,
        "rows_before": sum(file.rows for file in now),
        "rows": sum(file.rows for file in then),
        "made": wanted.made.isoformat(timespec="seconds"),
        "made_by": tables.provenance(name, version).run_id,
    }


def refuse_damage(tables: Tables, name: str, version: int) -> None:
    """Read what a version has and the newest has not, page by page: what is damaged shall not become the newest.

    Raises
    ------
    DamagedFileError
        If a file of it is not as it was written.
    """
    now, then = tables.open(name), tables.open(name, version)
    present = {file.path for file in tables.files(now)}
    for file in tables.files(then):
        if file.path not in present:
            refuse_damaged_pages(
                f"{tables.uri(name)}/{file.path}",
                f"Put it back from a copy of the home, or restore another version of {name} than {version}",
            )
    tables.pieces(name, then)  # packs also need their manifests


def outdated(tables: Tables, changed: Mapping[str, str] | None = None) -> list[str]:
    """Return the tables, figures and the report that were made from other rows than their inputs have now, sorted.

    Parameters
    ----------
    tables
        The tables.
    changed
        Data versions that tables shall be taken to have.
    """
    records = {name: tables.provenance(name) for name in tables.names()}
    records.update((record.name, record) for record in recorded(tables.home))
    present = {name: record.data_version for name, record in records.items()} | dict(changed or {})
    found: set[str] = set()
    before = -1
    while len(found) > before:
        before = len(found)
        found |= {
            name
            for name, record in records.items()
            if name not in (changed or {})
            and any(given in found or present.get(given) != was.data_version for given, was in record.inputs.items())
        }
    return sorted(found)


@dataclass(frozen=True)
class Remedy:
    """How to make again what is outdated.

    Attributes
    ----------
    selection
        The assets to materialise, sorted.
    undefined
        What cannot be made again as the settings are, by name, with what it needs.
    """

    selection: list[str]
    undefined: dict[str, str]


def refreshing(
    tables: Tables, parents: Mapping[str, Set[str]], stale: Collection[str], versions: Mapping[str, int]
) -> Remedy:
    """Return what to materialise so that what is outdated is made again.

    With other k-mer lengths than before, some of it is no asset any more, and what is drawn from k-mers needs
    frequencies, and these counts, that nobody has made yet.

    Parameters
    ----------
    tables
        The tables.
    parents
        The assets that there are with the present settings, each with those that it is made from.
    stale
        What is outdated.
    versions
        Versions that tables shall be taken to have; the others have their newest.
    """
    undefined = {}
    for name in sorted(set(stale) - parents.keys()):
        k = re.search(r"_k(\d+)$", name)
        undefined[name] = f"needs OPENGENOME_KS with {k[1]}" if k else "this version of the package does not make it"
    there, selected = set(tables.names()), set(stale) & parents.keys()
    selected |= {parent for name in selected for parent in parents[name] - there if parent.startswith(FREQUENCIES)}
    wanted = {int(name.removeprefix(FREQUENCIES)) for name in selected if name.startswith(FREQUENCIES)}
    if wanted and not wanted <= _counted(tables, versions.get(COUNTS)):
        selected.add(COUNTS)
        while follows := {name for name, given in parents.items() if given & selected} - selected:
            selected |= follows
    return Remedy(sorted(selected), undefined)


def _counted(tables: Tables, version: int | None) -> set[int]:
    """Return the k for which there are counts."""
    return set(tables.provenance(COUNTS, version).settings["ks"]) if tables.exists(COUNTS) else set()
