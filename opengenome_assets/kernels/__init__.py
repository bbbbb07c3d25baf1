"""The science: counting and weighing over plain buffers of sequence text.

Belongs here: functions over NumPy arrays and Arrow buffers, compiled with Numba where the data are long. Does not
belong here: Spark, Dagster, tables, file names, settings. Nothing here imports the rest of the package. Every fast
kernel has a slow, obvious twin in the tests.

A k-mer or codon code is its letters read as a number in base 4: A 0, C 1, G 2, T 3, first letter most significant. So
ascending codes are in lexicographic order. Lower case counts as upper case, and any other letter breaks the window.

Text is a pair. ``data``, uint8, has the letters of all sequences. ``offsets``, int32 or int64 of shape
(sequences + 1,), has their ends: sequence i is ``data[offsets[i]:offsets[i + 1]]``.

Importing this package imports Numba (about 0.7 s) but compiles nothing. A kernel is compiled by the just-in-time (JIT)
compiler, or loaded from the cache on disk, at its first call; `opengenome_assets.kernels.warm` calls all of them.
"""

import numba

from opengenome_assets.kernels.cache import cache_folder

# Must precede the import of any module with compiled functions: Numba reads it when a function is decorated.
numba.config.CACHE_DIR = str(cache_folder())
