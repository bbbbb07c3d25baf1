"""Shards: one pass over one shard, into one part of each table that the pass makes.

Belongs here: the code in workers that all scans share. Does not belong here: the computation of a pass, a function in a
module named after its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from opengenome_assets.kernels.bases import Letters, Offsets, arrow_text
from opengenome_assets.storage.packs import PackWriter
from opengenome_assets.storage.parquet.file import open_row_groups
from opengenome_assets.storage.parts import Part, PartWriter, RowWriter
from opengenome_assets.storage.record import digest

RELEASED_BYTES = 256 << 20
"""Of a row group, from which on the memory that reading took is given back: Arrow keeps it, as much as the rows."""


@dataclass(frozen=True)
class Shard:
    """A Parquet file of sequences, or a range of row groups in a pack of several shards.

    Attributes
    ----------
    name
        Its name in every table. The same file parsed with the same settings always gives the same name.
    uri
        Its address.
    source
        The source of its sequences.
    bases
        Letters in all its sequences.
    row_groups
        First row group and the one after the last, in a shared file; None if it is not shared.
    content
        What identifies the file's bytes; empty if unknown.
    """

    name: str
    uri: str
    source: str
    bases: int
    row_groups: tuple[int, int] | None = None
    content: str = ""


@dataclass(frozen=True)
class Output:
    """A table that a scan adds a part to."""

    uri: str
    schema: pa.Schema


Pass = Callable[..., None]

Writer = RowWriter[Any]
"""What a pass writes its rows with, one for each table."""


def shard_name(key: str, number: int) -> str:
    """Return the name of a shard: the file of this number, from 0, of the part with this key."""
    return f"{key[:32]}/{number:05d}"


def part_key(outputs: Iterable[str], code_version: str, settings: Mapping[str, Any], shard: str) -> str:
    """Return the key of the parts that a pass makes of a shard.

    Parameters
    ----------
    outputs
        Names of the tables that the pass makes.
    code_version, settings
        As the record of these tables has them.
    shard
        Name of the shard.
    """
    return digest([sorted(outputs), code_version, dict(settings), shard])


@dataclass(frozen=True)
class ScanTask:
    """One pass over one shard: ``compute(shard, *writers)`` writes its rows, with one writer per output."""

    compute: Pass
    shard: Shard
    key: str
    outputs: tuple[Output, ...]


def run_scan(task: ScanTask) -> list[Part]:
    """Run one pass over one shard and return its parts, one per output."""
    with ExitStack() as stack:
        writers = [stack.enter_context(PartWriter(output.uri, task.key, output.schema)) for output in task.outputs]
        task.compute(task.shard, *writers)
        return [writer.finish() for writer in writers]


def run_scans(tasks: Sequence[ScanTask]) -> list[list[Part]]:
    """Run one pass over each of some shards and return the parts of each. Those of several share packs."""
    if len(tasks) == 1:
        return [run_scan(tasks[0])]
    packs = [PackWriter(output.uri, output.schema) for output in tasks[0].outputs]
    for task in tasks:
        with ExitStack() as stack:
            writers = [stack.enter_context(pack.part(task.key)) for pack in packs]
            task.compute(task.shard, *writers)
            for writer in writers:
                writer.finish()
    made = [pack.finish() for pack in packs]
    return [[parts[task.key] for parts in made] for task in tasks]


def read_shard(shard: Shard, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a shard's row groups, so that memory holds one at a time."""
    with open_row_groups(shard.uri, shard.row_groups, shard.content) as (file, groups):
        for group in groups:
            rows = file.read_row_group(group, columns=list(columns), use_threads=False)
            if rows.nbytes >= RELEASED_BYTES:
                pa.default_memory_pool().release_unused()
            yield rows


def sequences(shard: Shard) -> Iterator[tuple[Letters, Offsets]]:
    """Yield the letters and offsets of a shard's sequences, page by page.

    Memory holds one page, the pages that the caller keeps, and one compressed row group.
    """
    with open_row_groups(shard.uri, shard.row_groups, shard.content) as (file, groups):
        for group in groups:
            yield from map(arrow_text, file.read_text(group, "sequence", "length"))
