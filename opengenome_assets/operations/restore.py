"""The job ``restore``: tables made to hold again what an earlier version of theirs holds.

Belongs here: doing it in a run of its own, which waits until no other run uses the home, and telling Dagster what the
tables hold now. Does not belong here: the commit (``storage/tables.py``) and which versions a run left behind
(``operations/checkout.py``). Versions are never taken away: a restored one is a new version with the old rows and the
record of what made them.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.framework.making import lineage, version_metadata, version_tags
from opengenome_assets.framework.table import Specs
from opengenome_assets.storage.parquet.file import DamagedFileError, refuse_damaged_pages
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home

NAME = "restore"
OP = "restore_versions"
DESCRIPTION = (
    "Make tables hold again what an earlier version of theirs holds, each by a new version. What was done to a table "
    "stands on its asset's page."
)


class RestoreConfig(dg.Config):
    """Run config of restore."""

    versions: dict[str, int] = Field(description="The version of each table whose rows it shall have again.")
    dry_run: bool = Field(default=False, description="Only tell what would be done.")


def restore_job(specs: Specs) -> dg.JobDefinition:
    """Return the job, which tells Dagster of tables by their declarations."""

    @dg.op(name=OP, description=DESCRIPTION)
    def restore_versions(context: dg.OpExecutionContext, config: RestoreConfig, home: dg.ResourceParam[Home]) -> None:
        """Restore the versions, all of which have to be whole before the first is."""
        try:
            planned = {name: describe(home, name, version) for name, version in config.versions.items()}
            for name, version in config.versions.items():
                refuse_damage(home, name, version)
        except (MissingTableError, MissingVersionError, DamagedFileError) as error:
            raise dg.Failure(f"{error}. Nothing was restored", allow_retries=False) from error
        for name, metadata in planned.items():
            if config.dry_run or metadata["restored_version"] == metadata["version_before"]:
                context.log_event(dg.AssetObservation(name, metadata=metadata))
                continue
            done = home.table(name).restore(config.versions[name], context.run_id)
            provenance = home.table(name).provenance()
            context.log_event(
                dg.AssetMaterialization(
                    name,
                    metadata={
                        **metadata,
                        **version_metadata(specs.get(name), done.uri, done.version, done.rows, done.size, done.files),
                        **lineage(provenance),
                    },
                    tags=version_tags(provenance, provenance.inputs),
                )
            )

    @dg.job(name=NAME, description=DESCRIPTION)
    def restore() -> None:
        restore_versions()

    return restore


def describe(home: Home, name: str, version: int) -> dict[str, Any]:
    """Return what restoring a version means for a table; equal versions before and after mean that nothing has to be.

    Raises
    ------
    MissingTableError, MissingVersionError
        If there is no such table or version, or it cannot be read any more.
    """
    now, then = home.table(name).at(), home.table(name).at(version)
    current, wanted = now.history.current, now.history.origin(version)
    record = then.provenance
    is_there = now.files == then.files and now.provenance.data_version == record.data_version
    return {
        "restored_version": current.number if is_there else wanted.number,
        "version_before": current.number,
        "rows_before": now.rows,
        "rows": then.rows,
        "made": wanted.made.isoformat(timespec="seconds"),
        "made_by": record.run_id,
    }


def refuse_damage(home: Home, name: str, version: int) -> None:
    """Read what a version has and the newest has not, page by page: what is damaged must not become the newest.

    Raises
    ------
    DamagedFileError
        If a file of it is not as it was written.
    """
    now, then = home.table(name).at(), home.table(name).at(version)
    present = {file.path for file in now.files}
    for file in then.files:
        if file.path not in present:
            refuse_damaged_pages(
                f"{home.table(name).uri}/{file.path}",
                f"Put it back from a copy of the home, or restore another version of {name} than {version}",
            )
    _ = then.pieces  # packs also need their manifests
