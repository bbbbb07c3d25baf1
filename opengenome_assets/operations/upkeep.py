"""The job ``upkeep``: vacuum of files that no kept version needs, compaction of small parts, old runs and jobs.

The job makes no asset, so no selection of assets runs it. It waits until no other run uses the home.

Belongs here: its schedule, settings and reports. Does not belong here: how parts are packed (``storage/packs.py``), and
which versions (``storage/vacuum.py``) and runs (``retention.py``) are kept.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.table import Role, Specs
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.lineage.records import beside_tables
from opengenome_assets.operations.pins import pinned
from opengenome_assets.operations.retention import old_runs, remove_runs
from opengenome_assets.settings import local_home
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.tables import Home
from opengenome_assets.storage.vacuum import kept_versions, vacuum

NAME = "upkeep"
OP = "keep_up"
DESCRIPTION = (
    "Remove the files that no kept version of a table needs (vacuum), and pack its small parts together (compaction). "
    "The result for a table stands on its asset's page."
)
MEGABYTE = 2**20


class UpkeepConfig(dg.Config):
    """Run config of upkeep."""

    retention_days: float = Field(
        default=30,
        ge=0,
        description="Days for which a version is kept after it was the newest. The inputs of a kept version are kept "
        "too, and so are younger files.",
    )
    keep_versions: int = Field(
        default=1, ge=1, description="Number of newest versions kept per table, whatever their age."
    )
    raw_files: bool = Field(
        default=False,
        description="Also remove files fetched from the Hub that no kept version of a catalogue names. To make a "
        "removed version again, they must then be fetched again.",
    )
    dry_run: bool = Field(default=False, description="Report the changes without making them.")
    small_megabytes: float = Field(
        default=4, ge=0, description="Parts below this size, in MiB, are packed together; 0 packs none."
    )
    pack_megabytes: float = Field(
        default=16,
        gt=0,
        description="Maximum size of a pack, in MiB; a pack is written again if one of its parts changes.",
    )
    pack_parts: int = Field(default=64, ge=2, description="Maximum number of parts in a pack.")
    runs_days: float = Field(
        default=90,
        ge=0,
        description="Days for which the records and step logs of a run are kept after its end; 0 keeps all. The last "
        "run of each job and of each asset, and pinned runs, stay.",
    )
    jobs_days: float = Field(
        default=30,
        ge=0,
        description="Days for which files and results of a job that was sent are kept after its end; 0 keeps all.",
    )


RemoveJobs = Callable[[datetime, bool], tuple[int, int]]
"""Function that removes jobs which ended before a moment, or counts them only. It returns their number and bytes."""


def upkeep_job(specs: Specs, remove_jobs: RemoveJobs) -> dg.JobDefinition:
    """Return the job; the declarations say which tables are catalogues."""

    @dg.op(pool=HOME_POOL, name=OP, description=DESCRIPTION)
    def keep_up(context: dg.OpExecutionContext, config: UpkeepConfig, home: dg.ResourceParam[Home]) -> None:
        """Vacuum and compact each table."""
        sizes = PackSizes(
            small=int(config.small_megabytes * MEGABYTE),
            size=int(config.pack_megabytes * MEGABYTE),
            parts=config.pack_parts,
        )
        since = datetime.now(UTC) - timedelta(days=config.retention_days)
        beside = (record.provenance for record in beside_tables(home.uri))
        kept = kept_versions(home, since, [*beside, *pinned(home, context.instance)], config.keep_versions)
        catalogues = {name: kept[name] for name in specs.named(Role.CATALOGUE) if name in kept}
        freed = 0
        for name, versions in kept.items():
            # The files packed now were the newest version until now: a later vacuum removes them.
            removal = vacuum(home.table(name), versions, since, dry_run=config.dry_run)
            compaction = home.table(name).compact(sizes, dry_run=config.dry_run)
            freed += removal.size
            metadata: dict[str, Any] = {
                "dry_run": config.dry_run,
                "parquet_files_before": compaction.files_before,
                "parquet_files_after": compaction.files_after,
                "parts_packed": compaction.parts_packed,
                "files_removed": len(removal.files),
                "bytes_freed": removal.size,
                "versions_readable": list(removal.readable),
                "versions_removed": list(removal.lost),
                "retention_days": config.retention_days,
            }
            if name == next(iter(catalogues), None) and config.raw_files:
                files, size = unneeded_raw_files(home, catalogues, since, dry_run=config.dry_run)
                metadata |= {"raw_files_removed": files, "raw_bytes_freed": size}
                freed += size
            context.log_event(dg.AssetObservation(name, metadata=metadata))
        word = "would be freed" if config.dry_run else "freed"
        context.log.info(f"{len(kept):,} tables; {freed:,} bytes {word}")
        word = "would be removed" if config.dry_run else "removed"
        removed: dict[str, int] = {}
        if config.runs_days:
            runs = old_runs(context.instance, datetime.now(UTC) - timedelta(days=config.runs_days))
            if not config.dry_run:
                remove_runs(context.instance, runs)
            context.log.info(f"records and step logs of {len(runs):,} old runs {word}")
            removed["runs_removed"] = len(runs)
        if config.jobs_days:
            jobs, size = remove_jobs(datetime.now(UTC) - timedelta(days=config.jobs_days), config.dry_run)
            context.log.info(f"{jobs:,} jobs that ended long ago {word}; {size:,} bytes")
            removed |= {"jobs_removed": jobs, "job_bytes_freed": size}
        context.add_output_metadata(removed)

    @dg.job(name=NAME, description=DESCRIPTION)
    def upkeep() -> None:
        keep_up()

    return upkeep


def weekly(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule of the job."""
    return dg.ScheduleDefinition(
        name=f"weekly_{NAME}",
        job=job,
        cron_schedule="0 3 * * 0",
        description="Sundays at three o'clock. Off until it is switched on.",
    )


def unneeded_raw_files(
    home: Home, catalogues: Mapping[str, Iterable[int]], since: datetime, *, dry_run: bool
) -> tuple[int, int]:
    """Remove fetched files that none of these catalogue versions names; return their number and bytes."""
    needed = {
        sha256
        for name, versions in catalogues.items()
        for version in versions
        for sha256 in home.table(name).at(version).read(["sha256"])["sha256"].to_pylist()
    }
    return Store(local_home(home.uri) / "raw").remove_all_but(needed, since, dry_run=dry_run)
