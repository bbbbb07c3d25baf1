"""Counting the k-mers of a FASTA file with the kernels alone, without the platform.

A module of its own, so that its process loads nothing else.
"""

import io

import numpy as np

from opengenome_assets.kernels.fasta import read_records
from opengenome_assets.kernels.kmers import KmerCounter

KS = (6, 7, 8)


def count(fasta: str, tables: str) -> None:
    """Count the k-mers of a FASTA file in this process, and save the three tables, one after another."""
    counter = KmerCounter(KS)
    with io.FileIO(fasta) as file:
        for batch in read_records(file.readinto, name=fasta):
            counter.add(batch.data, batch.offsets)
    with open(tables, "wb") as target:
        for counts in counter.counts().values():
            np.save(target, counts)
