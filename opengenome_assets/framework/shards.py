"""Scanning: one pass over one shard, into one part of each table that the pass makes.

Belongs here: what all scans share. What a pass computes is a function of its own, in a module named after its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from opengenome_assets.kernels.bases import Letters, Offsets, arrow_text
from opengenome_assets.storage.parquet.file import open_row_groups
from opengenome_assets.storage.parts import Part, PartWriter


@dataclass(frozen=True)
class Shard:
    """A Parquet file of sequence_shards, or a part of one that holds several shards.

    Attributes
    ----------
    name
        Its name in every table: the same wherever and whenever the same file was parsed with the same settings.
    uri
        Where it lies.
    source
        The source its sequences belong to.
    bases
        Letters in all its sequences.
    row_groups
        First row group and the one after the last, if it shares its file with others; else None.
    """

    name: str
    uri: str
    source: str
    bases: int
    row_groups: tuple[int, int] | None = None


@dataclass(frozen=True)
class Output:
    """A table that a scan adds a part to."""

    uri: str
    schema: pa.Schema


Pass = Callable[..., None]


@dataclass(frozen=True)
class ScanTask:
    """One pass over one shard: ``compute(shard, *writers)`` writes its rows to one writer an output."""

    compute: Pass
    shard: Shard
    key: str
    outputs: tuple[Output, ...]


def run_scan(task: ScanTask) -> list[Part]:
    """Run one pass over one shard and return the parts it made, one an output."""
    with ExitStack() as stack:
        writers = [stack.enter_context(PartWriter(output.uri, task.key, output.schema)) for output in task.outputs]
        task.compute(task.shard, *writers)
        return [writer.finish() for writer in writers]


def read_shard(shard: Shard, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a shard's row groups, one at a time, so that memory holds one of them."""
    with open_row_groups(shard.uri, shard.row_groups) as (file, groups):
        for group in groups:
            yield file.read_row_group(group, columns=list(columns), use_threads=False)


def sequences(shard: Shard) -> Iterator[tuple[Letters, Offsets]]:
    """Yield the letters and offsets of a shard's sequences, page by page.

    Memory holds a page, that which the caller still has, and a row group as it is stored.
    """
    with open_row_groups(shard.uri, shard.row_groups) as (file, groups):
        for group in groups:
            yield from map(arrow_text, file.read_text(group, "sequence", "length"))
