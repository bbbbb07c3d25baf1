"""The process that Spark's Python workers are forked from (``spark.python.daemon.module``).

It loads once what every worker needs, so that a worker starts warm. Which modules those are is not known here: the
``Spark`` resource names them in an environment variable.
"""

import os

from pyspark.daemon import manager

from opengenome_assets.engine.preload import VARIABLE, preload

if __name__ == "__main__":
    preload(filter(None, os.environ.get(VARIABLE, "").split(",")))
    manager()
