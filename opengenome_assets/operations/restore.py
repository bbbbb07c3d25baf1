"""The job ``restore``: a new version of a table with the rows and the provenance of an earlier one.

The job waits until no other run uses the home, and reports the restored state to Dagster. No version is lost.

Belongs here: the job and its events. Does not belong here: the commit (``storage/tables.py``), and the versions that a
run left (``operations/checkout.py``).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.making import lineage, version_metadata, version_tags
from opengenome_assets.framework.table import Specs
from opengenome_assets.storage.parquet.file import DamagedFileError, refuse_damaged_pages
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home

NAME = "restore"
OP = "restore_versions"
DESCRIPTION = (
    "Restore earlier versions of tables, each as a new version. The result for a table stands on its asset's page."
)


class RestoreConfig(dg.Config):
    """Run config of restore."""

    versions: dict[str, int] = Field(description="The version to restore, per table.")
    dry_run: bool = Field(default=False, description="Report the changes without making them.")


def restore_job(specs: Specs) -> dg.JobDefinition:
    """Return the job; the declarations give the metadata of its events."""

    @dg.op(pool=HOME_POOL, name=OP, description=DESCRIPTION)
    def restore_versions(context: dg.OpExecutionContext, config: RestoreConfig, home: dg.ResourceParam[Home]) -> None:
        """Restore all versions, after checking that each can be read."""
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
    """Return the changes by restoring a version; nothing changes if the versions before and after are equal.

    Raises
    ------
    MissingTableError, MissingVersionError
        If the table or version does not exist, or cannot be read any more.
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
    """Refuse a version with a damaged page, by reading the files that the newest version does not have.

    Raises
    ------
    DamagedFileError
        If one of its files is not as it was written.
    """
    now, then = home.table(name).at(), home.table(name).at(version)
    present = {file.path for file in now.files}
    for file in then.files:
        if file.path not in present:
            refuse_damaged_pages(
                f"{home.table(name).uri}/{file.path}",
                f"Put it back from a copy of the home, or restore another version of {name} than {version}",
                file.content,
            )
    _ = then.pieces  # packs also need their manifests
