"""The process that Spark's Python workers are forked from (``spark.python.daemon.module``).

Belongs here: preloading before the first fork, so that workers start warm, and their end when Spark has left. Does not
belong here: the list of modules, which the ``Spark`` resource puts into an environment variable.
"""

import os
import socket

from pyspark import daemon

from opengenome_assets.engine.preload import VARIABLE, preload

_work = daemon.worker


def _work_until_spark_leaves(sock: socket.socket, authenticated: bool) -> int:
    """Do the work of a connection; its end by Spark, as when a session ends, is no error of the worker.

    PySpark prints a stack trace for it. What it means for a task is said by Spark, which has ended it.
    """
    try:
        return _work(sock, authenticated)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)  # at once, since Python 3.13 says of the connection's buffers that they cannot be written either


if __name__ == "__main__":
    preload(filter(None, os.environ.get(VARIABLE, "").split(",")))
    daemon.worker = _work_until_spark_leaves
    daemon.manager()
