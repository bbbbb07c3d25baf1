"""Windows: counts of k-mers or codons must add up to the windows of valid letters.

Belongs here: the comparison that the rules of both tables of counts share. Does not belong here: counting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from opengenome_assets.storage.snapshot import Snapshot


def windows_match(
    counted: Snapshot, lengths: Callable[[pa.Table], Sequence[int]], columns: Sequence[str] = ()
) -> Iterator[str]:
    """Yield each shard and window length whose counts do not add up to its windows.

    Parameters
    ----------
    counted
        A table with the columns shard, windows and counts.
    lengths
        Function from some of its rows to the length of each row's windows.
    columns
        Further columns that ``lengths`` reads.
    """
    expected: dict[tuple[str, int], int] = {}
    found: Counter[tuple[str, int]] = Counter()
    for rows in counted.row_groups(["shard", *columns, "windows", "counts"]):
        for shard, k, windows, counts in zip(
            rows["shard"], lengths(rows), rows["windows"], rows["counts"], strict=True
        ):
            expected[shard.as_py(), k] = windows.as_py()
            found[shard.as_py(), k] += int(counts.values.to_numpy().sum())
    for (name, k), windows in expected.items():
        if found[name, k] != windows:
            yield f"{name}, windows of {k}: counts add up to {found[name, k]:,}, expected {windows:,}"
