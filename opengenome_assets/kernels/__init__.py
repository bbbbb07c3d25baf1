"""The science: counting and weighing over plain buffers of sequence text.

What belongs here: functions over NumPy arrays and Arrow buffers, compiled with Numba where the data are
long. What does not: Spark, Dagster, tables, file names, settings; nothing here imports the rest of the
package. Every fast kernel has a slow, obvious twin in the tests.

A k-mer or codon code is its letters read as a number in base 4 (A 0, C 1, G 2, T 3, the first letter most
significant), so ascending codes are lexicographic order. Lower case counts as upper case, and any other
letter breaks the window. Text is a pair: ``data``, uint8, the letters of all sequences, and ``offsets``,
int32 or int64 of shape (sequences + 1,), sequence i being ``data[offsets[i]:offsets[i + 1]]``.

Importing this package imports Numba (about 0.7 s) but compiles nothing; a kernel is compiled, or loaded from
the cache on disk, at its first call. `opengenome_assets.kernels.warm` does that for all of them at once.
"""

import numba

from opengenome_assets.kernels.cache import cache_folder

# Must precede the import of any module with compiled functions: Numba reads it when a function is decorated.
numba.config.CACHE_DIR = str(cache_folder())
