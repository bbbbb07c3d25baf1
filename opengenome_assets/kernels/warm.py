"""Compiling, or loading from the cache, every kernel before it is needed.

For a process that forks workers: what is loaded before the fork is paid for once. Each kernel module with
compiled functions has an entry here that calls them on a few letters.
"""

from collections.abc import Callable

import numpy as np

from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.composition import composition
from opengenome_assets.kernels.kmers import KmerCounter, valid_windows
from opengenome_assets.kernels.profiles import sequence_kmers

_DATA = np.frombuffer(b"ACGTNACGTACGTACGTACGT", np.uint8)
_OFFSETS = np.array([0, len(_DATA)], np.int64)

# Kernels of other modules register by adding a call here, in the order in which data flows.
KERNELS: tuple[Callable[[], object], ...] = (
    lambda: composition(_DATA, _OFFSETS),
    lambda: valid_windows(_DATA, _OFFSETS),
    lambda: KmerCounter((8,)).add(_DATA, _OFFSETS),
    lambda: KmerCounter((9,)).add(_DATA, _OFFSETS),
    lambda: CodonCounter().add(_DATA, _OFFSETS),
    lambda: sequence_kmers(_DATA, _OFFSETS),
)


def warm() -> None:
    """Call every kernel once."""
    for kernel in KERNELS:
        kernel()
