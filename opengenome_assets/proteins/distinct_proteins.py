"""distinct_proteins: each sequence once, in batches that stay as they are when others come.

Belongs here: which sequences are new, and batches of them. Does not belong here: copying them
(``passes/distinct.py``).

A batch is determined by its sequences. Sequences that are new make new batches, and one that has lost some leaves a
batch of its rest. So the alignments of a batch are found again, and the table holds the distinct sequences of the
proteins and no others.
"""

from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from typing import Any

import dagster as dg
import pyarrow.compute as pc

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making
from opengenome_assets.framework.shards import Shard
from opengenome_assets.proteins.passes.distinct import BatchTask, write_batch
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import DISTINCT_PROTEINS, PROTEINS
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

BATCH_LETTERS = 2_000_000


def define(_: ProteinsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [distinct_proteins, each_protein_once]


def shards_of(snapshot: Snapshot, key: str) -> tuple[Shard, ...]:
    """Return the files of a part of a table, as workers read them."""
    return tuple(
        Shard(f"{key}/{number}", f"{snapshot.uri}/{file.path}", "", 0, file.row_groups, file.content)
        for number, file in enumerate(snapshot.parts.get(key, ()))
    )


def members(snapshot: Snapshot, key: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """Return some columns of a part's rows."""
    groups = snapshot.row_groups(columns, parts={key})
    return [row for rows in groups for row in zip(*(rows[name].to_pylist() for name in columns), strict=True)]


@dg.multi_asset(pool=HOME_POOL, name=DISTINCT_PROTEINS.name, specs=[asset_spec(DISTINCT_PROTEINS, [PROTEINS])])
def distinct_proteins(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
) -> dg.MaterializeResult[Any]:
    """Write the sequences that no batch has."""
    making = Making(context, write_batch.__module__)
    upstream, table = home.table(PROTEINS).at(), home.table(DISTINCT_PROTEINS)
    needed: dict[str, tuple[str, int]] = {}  # the part that has it, and its letters
    for key in upstream.parts:
        for checksum, length in members(upstream, key, ["protein_sha256", "length"]):
            needed.setdefault(checksum, (key, length))
    index = table.parts()
    parts: list[Part] = []
    tasks: list[BatchTask] = []
    reused = 0
    if table.exists():
        before = table.at()
        for key in before.parts:
            own = [checksum for (checksum,) in members(before, key, ["protein_sha256"])]
            kept = tuple(checksum for checksum in own if checksum in needed)
            reused += len(kept)
            if kept and len(kept) == len(own) and (part := index.find(key)):
                parts.append(part)
            elif kept:
                tasks.append(BatchTask(batch_key(kept), table.uri, kept, shards_of(before, key), key))
            for checksum in kept:
                del needed[checksum]
    for new in batches(needed):
        keys = dict.fromkeys(needed[checksum][0] for checksum in new)
        sources = tuple(shard for key in keys for shard in shards_of(upstream, key))
        wanted = tuple(sorted(new))
        tasks.append(BatchTask(batch_key(wanted), table.uri, wanted, sources))
    present = [index.find(task.key) for task in tasks]
    missing = [task for task, part in zip(tasks, present, strict=True) if part is None]
    parts += [part for part in present if part]
    parts += engine.map(
        write_batch,
        missing,
        weights=[len(task.wanted) for task in missing],
        label="distinct proteins",
        unit="proteins",
        log=context.log,
    )
    record = upstream.provenance
    provenance = making.recorded(
        Provenance(
            name=DISTINCT_PROTEINS.name,
            code_version=DISTINCT_PROTEINS.code_version,
            inputs={PROTEINS.name: upstream.input},
            corpus=record.corpus,
        )
    )
    commit = table.commit(DISTINCT_PROTEINS.schema, parts, provenance)
    counts = {"proteins": upstream.rows, "distinct": commit.rows, "new": len(needed), "reused": reused}
    return making.result(DISTINCT_PROTEINS, commit, provenance, counts)


def batches(needed: dict[str, tuple[str, int]]) -> Iterator[list[str]]:
    """Yield sequences in batches of some two million letters, in the order of the proteins' parts."""
    ends, letters = [], 0
    for _, length in needed.values():
        ends.append(letters // BATCH_LETTERS)
        letters += length
    numbered = zip(ends, needed, strict=True)
    yield from ([checksum for _, checksum in run] for _, run in groupby(numbered, key=lambda pair: pair[0]))


def batch_key(wanted: tuple[str, ...]) -> str:
    """Return the key of a batch, which its sequences determine."""
    return digest([DISTINCT_PROTEINS.code_version, list(wanted)])


@rule(DISTINCT_PROTEINS, "Each sequence of the proteins is there once, and has its SHA-256")
def each_protein_once(home: Home) -> Iterator[str]:
    """Compare the sets of checksums, and hash every sequence again."""
    wanted: set[str] = set()
    for rows in home.table(PROTEINS).row_groups(["protein_sha256"]):
        wanted.update(pc.unique(rows["protein_sha256"]).to_pylist())
    for rows in home.table(DISTINCT_PROTEINS).row_groups(DISTINCT_PROTEINS.schema.names):
        for checksum, length, sequence in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            if sha256(sequence.encode()).hexdigest() != checksum or len(sequence) != length:
                yield f"{checksum}: the sequence is another"
            if checksum not in wanted:
                yield f"{checksum} is there a second time, or is no protein of any accession"
            wanted.discard(checksum)
    for checksum in sorted(wanted)[:20]:
        yield f"{checksum} is missing"
