"""Spark: one session per run, embedded or on a cluster, as an engine.

Belongs here: starting the session that the settings name (and no other), the retry policy, and ending the session with
the run. Does not belong here: the computation itself. Spark ships work, not sequences: a task gets paths, reads and
writes files by itself, and returns a small result.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_pyspark import LazyPySparkResource
from py4j.protocol import Py4JError
from pydantic import Field, PrivateAttr
from pyspark import SparkContext
from pyspark.errors import PySparkException, PythonException
from pyspark.sql import SparkSession

from opengenome_assets.engine import Result, Work
from opengenome_assets.engine.java import find_java
from opengenome_assets.engine.order import deal, heaviest_first
from opengenome_assets.engine.preload import VARIABLE
from opengenome_assets.engine.processes import Processes, usable_cores
from opengenome_assets.engine.progress import Progress
from opengenome_assets.logs import LogSettings

MAX_TASKS = 2000
# The retry policy of a step after a failure of the cluster: the wait gives lost machines time to return.
RETRIES = 2
RETRY_SECONDS = 60
# Transient errors within a task: of disks and file systems that others fill, restart or repair.
TRANSIENT_ERRNOS = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT})


class SparkStartError(RuntimeError):
    """Spark did not start with the given settings."""


class Spark(LazyPySparkResource):
    """The Spark session of a run.

    Parameters
    ----------
    master
        ``local[*]`` for the embedded engine, or ``spark://host:port``.
    preload
        Modules to import once, in the process that Python workers are forked from.
    spark_config
        Further Spark properties, which override those set here.
    """

    master: str = "local[*]"
    preload: list[str] = Field(default_factory=list)
    spark_config: dict[str, Any] = Field(default_factory=dict)
    _app_name: str = PrivateAttr(default="opengenome")
    _run_id: str = PrivateAttr(default="")

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Name the application after the run, whose id is in its log lines too."""
        if context.run is not None:
            self._run_id = context.run.run_id
            self._app_name = f"{context.run.job_name} {self._run_id}"

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Stop the session at the end of the run, also after an error."""
        self.stop()

    def stop(self) -> None:
        """Stop the session if one was started."""
        session, self._spark_session = self._spark_session, None
        if session is not None:
            # After a signal to the process group the JVM has ended already.
            with contextlib.suppress(Py4JError, ConnectionError):
                session.stop()

    def _init_session(self) -> None:
        if self._spark_session is not None:
            java_context = self._spark_session.sparkContext._jsc
            if java_context is not None and not java_context.sc().isStopped():
                return
            self.stop()  # the session lost its cluster and stopped by itself
        # A context without a session can stop too, while it waits for a master. Spark would return it to every retry.
        context = SparkContext._active_spark_context
        if context is not None and context._jsc.sc().isStopped():
            context.stop()
        java = find_java()
        os.environ["JAVA_HOME"] = str(java.home)
        # Driver and workers must run the same Python, so that pickles and Arrow data agree. On a cluster's workers its
        # path may be another, which the user can set.
        if self._embedded:
            os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        builder = SparkSession.builder.master(self.master).appName(self._app_name)
        for key, value in {**self._defaults(), **self.spark_config}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        if session.sparkContext.master != self.master:
            raise SparkStartError(
                f"Spark runs on {session.sparkContext.master}, expected {self.master}: another session was active "
                "in this process, or a Spark configuration file overrides it. Set SPARK_MASTER to the one you want"
            )
        self._spark_session = session

    @property
    def width(self) -> int | None:
        """Number of cores of an embedded Spark; None for a cluster."""
        if not self._embedded:
            return None
        cores = self.master.removeprefix("local").strip("[]").split(",")[0] or "1"
        return int(cores) if cores.isdigit() else usable_cores()

    @property
    def _embedded(self) -> bool:
        return self.master.startswith("local")

    def _defaults(self) -> dict[str, Any]:
        # The passes run in Python. An optimising compiler and a parallel collector for Spark's own code would take half
        # of the CPU time of its start.
        java_options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
        lines = f"-Dopengenome.log={LogSettings.from_environment().log_format}"
        run = f"-Dopengenome.run={self._run_id}"  # for log lines, of executors too
        # An embedded engine and its page are for this machine only.
        loopback = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        logging_config = Path(__file__).with_name("log4j2.properties")
        return {
            **(loopback if self._embedded else {}),
            "spark.python.daemon.module": "opengenome_assets.engine.daemon",
            **({f"spark.executorEnv.{VARIABLE}": ",".join(self.preload)} if self.preload else {}),
            # TCP's delayed acknowledgements cost 40 ms per task.
            "spark.python.unix.domain.socket.enabled": "true",
            "spark.python.authenticate.socketTimeout": "60s",
            "spark.ui.showConsoleProgress": "false",
            # As a URI, since Spark splits these options at blanks.
            "spark.driver.extraJavaOptions": f"{java_options} {run} {lines} "
            f"-Dlog4j2.configurationFile={logging_config.as_uri()}",
            "spark.executor.extraJavaOptions": f"{java_options} {run}",
            "spark.task.maxFailures": "8",
            "spark.sql.shuffle.partitions": "8",
            "spark.port.maxRetries": "64",
        }

    def map(
        self,
        function: Callable[[Work], Result],
        work: Sequence[Work],
        *,
        weights: Sequence[int],
        label: str,
        unit: str,
        log: logging.Logger,
    ) -> list[Result]:
        """Apply a function to every unit of work, in Spark tasks, and return the results in order.

        With an embedded Spark, a single unit runs in the caller's process, since a session costs more than most units.

        Parameters
        ----------
        function
            Importable by the workers. It is called once per unit, and again if a task is retried.
        work
            The units.
        weights
            Size of each unit, for load balancing and progress. The largest start first, so that none is left for the
            end.
        label
            Name of the pass, for Spark's UI and the log.
        unit
            Unit of the weights, for the log.
        log
            Gets the UI's address, and the progress, every ten seconds in a long pass: units done of total, speed and
            time left.

        Raises
        ------
        RetryRequested
            If a cluster failed, and not the work. Dagster retries the step after a minute, at most twice. With an
            embedded engine, which nothing restarts, the error itself is raised at once.
        Exception
            The function's own error; on a cluster, after eight attempts for one unit.
        """
        if not work:
            return []
        if len(work) == 1 and self._embedded:
            return Processes(1).map(function, work, weights=weights, label=label, unit=unit, log=log)
        with self._retry_policy():
            context = self.spark_context
            log.info("Spark %s on %s, UI: %s", context.version, context.master, context.uiWebUrl or "off")
            units, done = context.accumulator(0), context.accumulator(0)
            deck = heaviest_first(work, weights)
            slices = deal(deck, min(len(deck), MAX_TASKS))

            def run(hand: list[tuple[int, int, Work]]) -> list[tuple[int, Result]]:
                results = []
                for place, weight, item in hand:
                    results.append((place, function(item)))
                    units.add(1)
                    done.add(weight)
                return results

            def collect() -> list[list[tuple[int, Result]]]:
                context.setJobGroup(label, label, interruptOnCancel=True)
                collected: list[list[tuple[int, Result]]] = context.parallelize(slices, len(slices)).map(run).collect()
                return collected

            progress = Progress(label, weights, unit)
            # The job runs in a thread of its own, so that this one can report progress and be interrupted.
            with ThreadPoolExecutor(1) as thread:
                future: Future[list[list[tuple[int, Result]]]] = thread.submit(collect)
                try:
                    while True:
                        try:
                            collected = future.result(timeout=progress.interval)
                            break
                        except NotYet:
                            progress.report(log, units.value, done.value)
                except BaseException:
                    context.cancelJobGroup(label)
                    raise
            progress.report(log, len(work), sum(weights))
            results = dict(pair for hand in collected for pair in hand)
            return [results[place] for place in range(len(work))]

    @contextlib.contextmanager
    def _retry_policy(self) -> Iterator[None]:
        """Request a retry from Dagster if a cluster fails, and not the work."""
        try:
            yield
        except Exception as error:
            if self._embedded or not is_transient(error):
                raise
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error


def is_transient(error: BaseException) -> bool:
    """Return whether an error of Spark's is transient: about the cluster or a disk, and not about the work.

    Lost masters, lost executors and killed workers are the cluster's. An error of a task's own code is a
    ``PythonException`` with its traceback; of these, only some errors of the operating system are transient.
    """
    if isinstance(error, PythonException):
        return any(int(number) in TRANSIENT_ERRNOS for number in re.findall(r"\[Errno (\d+)\]", str(error)))
    return isinstance(error, Py4JError | PySparkException)
