"""The making of one result: its inputs, its provenance, and its metadata for Dagster.

Belongs here: pinning inputs, provenance, and turning commits, files and records into Dagster's metadata. Does not
belong here: metadata of only one asset, which the asset adds itself.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import dagster as dg

from opengenome_assets.framework import environment
from opengenome_assets.framework.assets import column_lineage
from opengenome_assets.framework.private import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.record import Provenance, abbreviated
from opengenome_assets.storage.tables import Commit, Home


class Making:
    """The making of one result, which begins now: its run, its code, and the time it takes.

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
        self.wall, self.cpu = time.monotonic(), time.process_time()  # the clock may be set back meanwhile

    @property
    def seconds(self) -> float:
        """Elapsed seconds."""
        return round(time.monotonic() - self.wall, 2)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time that this process has used."""
        return round(time.process_time() - self.cpu, 2)

    def recorded(self, provenance: Provenance) -> Provenance:
        """Return a record, completed with the circumstances of the making."""
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
        """Return elapsed and processor time as metadata."""
        return {"seconds": self.seconds, "driver_cpu_seconds": self.cpu_seconds}

    def result(
        self, spec: TableSpec, commit: Commit, provenance: Provenance, extra: Mapping[str, Any]
    ) -> dg.MaterializeResult[Any]:
        """Return the result of a table's materialisation. The asset's definition has the columns."""
        return dg.MaterializeResult(
            asset_key=spec.name,
            metadata={
                **extra,
                **version_metadata(spec, commit.uri, commit.version, commit.rows, commit.size, commit.files),
                "parquet_files_added": commit.files_added,
                "parquet_files_removed": commit.files_removed,
                **self.metadata(),
                **lineage(provenance),
            },
            data_version=dg.DataVersion(provenance.data_version),
        )


def table_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """Return rows as a table for the UI, also if there are none."""
    return dg.TableMetadataValue(
        records=[dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows],
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in columns]),
    )


def module_of(function: Callable[..., Any]) -> str:
    """Return the module of a function, also of a `functools.partial`."""
    return (function.func if isinstance(function, partial) else function).__module__


def lineage(provenance: Provenance) -> dict[str, Any]:
    """Return a record as metadata, with abbreviated digests."""
    # The times are metadata of their own, as numbers that can be plotted.
    record = provenance.model_dump(mode="json", exclude={"seconds", "cpu_seconds"})
    return {"provenance": dg.MetadataValue.json(abbreviated(record))}


def version_metadata(
    spec: TableSpec | None, uri: str, version: int, rows: int, size: int, files: int
) -> dict[str, Any]:
    """Return the metadata of a version of a table that do not depend on its making.

    Parameters
    ----------
    spec
        Its declaration; None if no group declares it any more.
    uri, version, rows, size, files
        Its address, version, and numbers of rows, bytes and Parquet files.
    """
    return {
        "dagster/row_count": rows,
        "dagster/uri": uri,
        **({"dagster/column_lineage": column_lineage(spec)} if spec else {}),
        "table_version": version,
        "path": dg.MetadataValue.path(uri),
        "megabytes": round(size / 1e6, 3),
        "parquet_files": files,
    }


def version_tags(provenance: Provenance, inputs: Iterable[str]) -> dict[str, str]:
    """Return the tags from which Dagster sees a materialisation's inputs, and so whether it is stale.

    Dagster adds them to results by itself. A reported event needs them.

    Parameters
    ----------
    provenance
        Its record.
    inputs
        The inputs that Dagster knows as its dependencies.
    """
    given = {name: provenance.inputs[name].data_version for name in inputs if name in provenance.inputs}
    return {
        DATA_VERSION_TAG: provenance.data_version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        CODE_VERSION_TAG: provenance.code_version,
        **{get_input_data_version_tag(dg.AssetKey(name)): version for name, version in given.items()},
        **{get_input_event_pointer_tag(dg.AssetKey(name)): NULL_EVENT_POINTER for name in given},
    }


def emitted(
    context: dg.AssetExecutionContext, home: Home, result: dg.MaterializeResult[Any]
) -> dg.MaterializeResult[Any] | dg.AssetMaterialization:
    """Return the object to yield for one of several tables that are made together.

    Selecting one of them makes all, and the history of each must show that. A table that the run did not select gets an
    event instead of a result.
    """
    key = result.asset_key
    if key is None or key in context.selected_asset_keys:
        return result
    name = key.to_user_string()
    record = home.table(name).provenance()
    tags = version_tags(record, record.inputs)
    return dg.AssetMaterialization(name, metadata=result.metadata or {}, tags=tags)
