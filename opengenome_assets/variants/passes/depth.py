"""The pass of read_depth: one region of one sample, in windows.

Belongs here: the depth of each letter, by samtools, and its summary in windows. Does not belong here: which regions
there are (``regions.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv

from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes.call import refuse_changed_reads
from opengenome_assets.variants.regions import Region
from opengenome_assets.variants.tables import READ_DEPTH, WINDOW


@dataclass(frozen=True)
class Covering:
    """A region of a sample, its reads, and the reference."""

    sample: str
    region: Region
    cram: str
    fasta: str


def measure(work: Covering, writer: PartWriter) -> None:
    """Write the windows of a region."""
    refuse_changed_reads(work.cram, work.fasta)
    region = work.region
    letters = region.letters
    # Names and positions are known. Threads would cost more than they save.
    options = pa.csv.ReadOptions(column_names=["contig", "pos", "depth"], use_threads=False)
    parse = pa.csv.ParseOptions(delimiter="\t", quote_char=False)
    wanted = pa.csv.ConvertOptions(include_columns=["depth"], column_types={"depth": pa.int64()})
    with tools.reading(
        ("samtools", "depth", "-aa", "-s", "--reference", work.fasta, "-r", region.braced, work.cram)
    ) as stream:
        table = pa.csv.read_csv(stream, options, parse, wanted)
    depth = table["depth"].to_numpy()
    if len(depth) != letters:
        raise tools.ToolError(f"samtools depth {region.name}: expected {letters:,} letters, found {len(depth):,}")
    starts = np.arange(0, letters, WINDOW)
    sizes = np.diff(starts, append=letters)
    shares = {bound: np.add.reduceat(depth >= bound, starts, dtype=np.int64) / sizes for bound in (10, 20, 30)}
    columns = {
        "sample": [work.sample] * len(starts),
        "contig": [region.contig] * len(starts),
        "start": region.start + starts,
        "end": region.start + starts + sizes - 1,
        "mean": np.add.reduceat(depth, starts) / sizes,
        "minimum": np.minimum.reduceat(depth, starts).astype(np.int32),
        **{f"share_{bound}": share for bound, share in shares.items()},
    }
    writer.write(pa.table(columns, schema=READ_DEPTH.schema))
