"""The process that Spark's Python workers are forked from (``spark.python.daemon.module``).

Belongs here: preloading before the first fork, so that workers start warm. Does not belong here: the list of modules,
which the ``Spark`` resource puts into an environment variable.
"""

import os

from pyspark.daemon import manager

from opengenome_assets.engine.preload import VARIABLE, preload

if __name__ == "__main__":
    preload(filter(None, os.environ.get(VARIABLE, "").split(",")))
    manager()
