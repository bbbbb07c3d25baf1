"""The process that Spark's Python workers are forked from (``spark.python.daemon.module``).

It imports and compiles once what every worker needs, so that a worker starts warm instead of paying for it again.
"""

import gc
from importlib import import_module

from pyspark.daemon import manager

from opengenome_assets.corpus.passes import codons, kmers, profiles, stats
from opengenome_assets.corpus.passes import parse as ingest
from opengenome_assets.kernels.warm import warm
from opengenome_assets.search import passes as queries

PASSES = (codons, ingest, kmers, profiles, queries, stats)

if __name__ == "__main__":
    import_module("pandas")  # by pyarrow, at the first array that a worker makes of NumPy's
    warm()
    gc.freeze()  # a worker collects garbage after each task: not what came with it, a tenth of a second's search
    manager()
