"""The group's pass."""

import numpy as np
import pyarrow as pa

from opengenome_assets.framework.shards import Shard, Writer, sequences
from opengenome_assets_tests.skew.tables import GC_SKEW


def measure(shard: Shard, writer: Writer) -> None:
    """Write the shard's row."""
    counts = np.zeros(256, np.int64)
    for letters, _ in sequences(shard):
        counts += np.bincount(letters, minlength=256)
    g, c = (int(counts[ord(letter)]) for letter in "GC")
    row = {"shard": shard.name, "source": shard.source, "g": g, "c": c, "skew": (g - c) / max(g + c, 1)}
    writer.write(pa.Table.from_pylist([row], schema=GC_SKEW.schema))
