"""What every asset says of itself when it is materialised, in one form.

Belongs here: turning commits, files and provenance into Dagster's metadata. Does not belong here: figures that only one
asset has; it adds them itself.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from opengenome_assets import environment
from opengenome_assets.provenance import Provenance
from opengenome_assets.resources.tables import Commit

DIGEST = re.compile("[0-9a-f]{64}")


class Making:
    """The making of one result, from now on: its run, its code, and the time it takes.

    Parameters
    ----------
    context
        The step that makes it.
    module
        The module that computes it.
    """

    def __init__(self, context: dg.AssetExecutionContext, module: str) -> None:
        self.run_id, self.module = context.run_id, module
        self.started = datetime.now(UTC)
        self.wall, self.cpu = time.monotonic(), time.process_time()  # a clock may be set back meanwhile

    @property
    def seconds(self) -> float:
        """Seconds until now."""
        return round(time.monotonic() - self.wall, 2)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time of this process until now."""
        return round(time.process_time() - self.cpu, 2)

    def recorded(self, provenance: Provenance) -> Provenance:
        """Return the record of what determines the result with how it came to be until now."""
        return provenance.model_copy(
            update={
                "run_id": self.run_id,
                "commit": environment.commit(),
                "modules": environment.modules(self.module),
                "libraries": environment.libraries(),
                "started": self.started,
                "seconds": self.seconds,
                "cpu_seconds": self.cpu_seconds,
            }
        )

    def metadata(self) -> dict[str, Any]:
        """Return what it took, as metadata."""
        return {"seconds": self.seconds, "driver_cpu_seconds": self.cpu_seconds}


def lineage(provenance: Provenance) -> dict[str, Any]:
    """Return the record of what made something, as metadata; digests are cut to what a person compares."""
    # The times stand beside it, as numbers that can be plotted.
    record = provenance.model_dump(mode="json", exclude={"seconds", "cpu_seconds"})
    return {"provenance": dg.MetadataValue.json(_cut(record))}


def _cut(value: Any, digits: int = 16) -> Any:
    if isinstance(value, dict):
        return {name: _cut(inner) for name, inner in value.items()}
    return value[:digits] if isinstance(value, str) and DIGEST.fullmatch(value) else value


def table_metadata(commit: Commit, provenance: Provenance, making: Making, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the UI shows of a table's materialisation; columns stand in the asset's definition."""
    return {
        **extra,
        "dagster/row_count": commit.rows,
        "dagster/uri": commit.uri,
        "table_version": commit.version,
        "path": dg.MetadataValue.path(commit.uri),
        "megabytes": round(commit.size / 1e6, 3),
        "parquet_files": commit.files,
        "parquet_files_added": commit.files_added,
        "parquet_files_removed": commit.files_removed,
        **making.metadata(),
        **lineage(provenance),
    }


def emitted(
    context: dg.AssetExecutionContext, name: str, result: dg.MaterializeResult[Any]
) -> dg.MaterializeResult[Any] | dg.AssetMaterialization:
    """Return what to yield for one of several tables that are made together.

    Selecting one of them makes all, and the history of each has to say so: a table that the run did not select gets an
    event instead of a result.
    """
    if dg.AssetKey(name) in context.selected_asset_keys:
        return result
    version = result.data_version.value if result.data_version else ""
    return dg.AssetMaterialization(name, metadata=result.metadata or {}, tags={DATA_VERSION_TAG: version})


def table_result(
    commit: Commit, provenance: Provenance, making: Making, *, asset_key: str | None = None, **extra: Any
) -> dg.MaterializeResult[Any]:
    """Return the result of a table's materialisation; an asset that makes several says which by ``asset_key``."""
    return dg.MaterializeResult(
        asset_key=asset_key,
        metadata=table_metadata(commit, provenance, making, extra),
        data_version=dg.DataVersion(provenance.data_version),
    )
