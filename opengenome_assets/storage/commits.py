"""Commits: atomic transactions that change which Parquet files a Delta table consists of.

Belongs here: adding and removing files with delta-rs, and retries after a concurrent commit. Does not belong here:
which files those are (``tables.py``, ``packs.py``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parts import DataFile

LOG_FOLDER = "_delta_log"
ATTEMPTS = 10
# Lineage is in the commits, so the log is kept.
CONFIGURATION: dict[str, str | None] = {"delta.logRetentionDuration": "interval 36500 days"}

Done = TypeVar("Done")


class TableExistsError(RuntimeError):
    """Another writer created the table in the meantime."""


def until_committed(attempt: Callable[[], Done]) -> Done:
    """Retry a commit, from its beginning, until no other writer commits to the same table in between.

    Raises
    ------
    CommitFailedError, TableExistsError
        If another writer did, ten times. A later retry helps.
    """
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except (CommitFailedError, TableExistsError):
            time.sleep(0.025 * 2**number)
    return attempt()


def stored(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a Delta table stores for this one. Some Arrow types have no equal there."""
    return pa.schema(Schema.from_arrow(schema))


def create(uri: str, schema: pa.Schema, files: Sequence[DataFile], metadata: dict[str, str]) -> None:
    """Create a table, named after its folder. An existing one gets this schema and exactly these files.

    Raises
    ------
    TableExistsError
        If another writer has just created it.
    """
    exists = DeltaTable.is_deltatable(uri)
    fs, root = filesystem(uri)
    fs.create_dir(root, recursive=True)
    try:
        create_table_with_add_actions(
            uri,
            Schema.from_arrow(schema),
            [_add(file) for file in files],
            mode="overwrite" if exists else "error",
            name=uri.rpartition("/")[2],
            configuration=CONFIGURATION,
            commit_properties=_properties(metadata),
        )
    except DeltaError as error:
        if not exists and DeltaTable.is_deltatable(uri):
            raise TableExistsError(uri) from error
        raise


def replace(
    table: DeltaTable,
    removed: Sequence[DataFile],
    added: Sequence[DataFile],
    metadata: dict[str, str],
    *,
    rearranged: bool = False,
) -> None:
    """Replace files of a table by others; ``rearranged`` if they hold the same rows.

    Raises
    ------
    CommitFailedError
        If another writer has committed since the table was opened.
    """
    moment = _now()
    gone = [RemoveAction(file.path, not rearranged, moment, size=file.size, partition_values={}) for file in removed]
    table.create_write_transaction(
        [_add(file, rearranged=rearranged) for file in added] + gone,
        mode="append",
        schema=table.schema(),
        commit_properties=_properties(metadata),
    )


def _properties(metadata: dict[str, str]) -> CommitProperties:
    # A blind retry could add a part twice, so `until_committed` takes the difference again.
    return CommitProperties(custom_metadata=metadata, max_commit_retries=0)


def _add(file: DataFile, *, rearranged: bool = False) -> AddAction:
    return AddAction(file.path, file.size, {}, _now(), not rearranged, json.dumps({"numRecords": file.rows}))


def _now() -> int:
    return int(time.time() * 1000)
