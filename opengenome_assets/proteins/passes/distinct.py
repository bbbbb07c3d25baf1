"""The pass behind distinct_proteins: a batch of sequences, copied from the proteins in which they are."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.framework.shards import Shard, read_shard
from opengenome_assets.proteins.tables import DISTINCT_PROTEINS
from opengenome_assets.storage.parts import Part, PartWriter


@dataclass(frozen=True)
class BatchTask:
    """A batch: its sequences by SHA-256, ascending, the files that hold them, and the batch that it is a rest of."""

    key: str
    uri: str
    wanted: tuple[str, ...]
    sources: tuple[Shard, ...]
    rest_of: str = ""


def write_batch(task: BatchTask) -> Part:
    """Write the wanted sequences, each once, by SHA-256.

    Raises
    ------
    LookupError
        If the files do not hold all of them.
    """
    wanted, found = pa.array(task.wanted, pa.string()), [DISTINCT_PROTEINS.schema.empty_table()]
    for shard in task.sources:
        for rows in read_shard(shard, DISTINCT_PROTEINS.schema.names):
            rows = rows.filter(pc.is_in(rows["protein_sha256"], wanted))
            found.append(rows.cast(DISTINCT_PROTEINS.schema))
    table = pa.concat_tables(found)
    rows = pc.index_in(wanted, table["protein_sha256"].combine_chunks())
    if rows.null_count:
        raise LookupError(f"{rows.null_count:,} sequences are missing in the table raw_proteins; materialise it again")
    table = table.take(rows)
    letters = pc.sum(table["length"]).as_py() or 0
    with PartWriter(task.uri, task.key, DISTINCT_PROTEINS.schema) as writer:
        writer.write(table)
        return writer.finish(letters=letters, proteins=table.num_rows, rest_of=task.rest_of)
