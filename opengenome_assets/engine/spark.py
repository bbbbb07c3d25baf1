"""Spark: one session per run, embedded or on a cluster, and a way to map a function over units of work.

Belongs here: starting the session that the settings name (and no other), the retry policy, and ending the session with
the run. Does not belong here: what is computed. Spark ships work, not sequences: a task gets paths, reads and writes
files by itself, and returns a small result.
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
from opengenome_assets.engine.processes import Processes
from opengenome_assets.engine.progress import PROGRESS_SECONDS, Progress

MAX_TASKS = 2000
# How often a step is tried again when the cluster failed it, and how long after: time to bring back what was lost.
RETRIES = 2
RETRY_SECONDS = 60
# Of the errors that a task itself meets, those of places that others fill, restart or mend.
PASSING = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT})


class SparkStartError(RuntimeError):
    """Spark did not start as the settings ask for."""


class Spark(LazyPySparkResource):
    """The Spark session of a run.

    Parameters
    ----------
    master
        ``local[*]`` for the embedded engine, or ``spark://host:port``.
    preload
        Modules that the process which Python workers are forked from imports before the first of them.
    spark_config
        Further Spark properties, over those set here.
    """

    master: str = "local[*]"
    preload: list[str] = Field(default_factory=list)
    spark_config: dict[str, Any] = Field(default_factory=dict)
    _app_name: str = PrivateAttr(default="opengenome")

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Name the application after the run."""
        if context.run is not None:
            self._app_name = f"{context.run.job_name} {context.run.run_id}"

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Stop the session when the run ends, however it ends."""
        self.stop()

    def stop(self) -> None:
        """Stop the session if one was started."""
        session, self._spark_session = self._spark_session, None
        if session is not None:
            # A signal to the process group ends the JVM first: then there is nothing left to stop.
            with contextlib.suppress(Py4JError, ConnectionError):
                session.stop()

    def _init_session(self) -> None:
        if self._spark_session is not None:
            java_context = self._spark_session.sparkContext._jsc
            if java_context is not None and not java_context.sc().isStopped():
                return
            self.stop()  # it lost the cluster, and stopped by itself
        # So may a context without a session, while it waits for a master: Spark would return it to every retry.
        context = SparkContext._active_spark_context
        if context is not None and context._jsc.sc().isStopped():
            context.stop()
        java = find_java()
        os.environ["JAVA_HOME"] = str(java.home)
        # Driver and workers must run the same interpreter, or Arrow data and pickles need not agree. Where it lies on a
        # cluster's workers, the user may know better.
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
    def _embedded(self) -> bool:
        return self.master.startswith("local")

    def _defaults(self) -> dict[str, Any]:
        # The passes run in Python: Spark's own code is not worth an optimising compiler or a parallel collector, which
        # take half of the CPU time of starting.
        java_options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
        # An embedded engine talks to nobody else, and its page is for this machine only.
        loopback = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        logging_config = Path(__file__).with_name("log4j2.properties")
        return {
            **(loopback if self._embedded else {}),
            "spark.python.daemon.module": "opengenome_assets.engine.daemon",
            **({f"spark.executorEnv.{VARIABLE}": ",".join(self.preload)} if self.preload else {}),
            # TCP's delayed acknowledgements cost 40 ms a task.
            "spark.python.unix.domain.socket.enabled": "true",
            "spark.python.authenticate.socketTimeout": "60s",
            "spark.ui.showConsoleProgress": "false",
            # As a URI: Spark splits these options at blanks, and a folder may have one in its name.
            "spark.driver.extraJavaOptions": f"{java_options} -Dlog4j2.configurationFile={logging_config.as_uri()}",
            "spark.executor.extraJavaOptions": java_options,
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

        Where Spark is embedded, a single unit runs in the caller's process: a session costs more than most units.

        Parameters
        ----------
        function
            Importable by the workers; called once per unit, and again if a task is repeated.
        work
            The units.
        weights
            Size of each unit, for balance and progress; the largest start first, so that none is left for the end.
        label
            What is done, for Spark's UI and the log.
        unit
            What the weights count, for the log.
        log
            Gets the UI's address, and progress every ten seconds: units done of total, speed and time left.

        Raises
        ------
        RetryRequested
            If a cluster failed, and not the work: Dagster tries the step again after a minute, at most twice. An
            embedded engine has nobody to bring it back, so there the error itself is raised at once.
        Exception
            Whatever the function raised, eight times, for one unit.
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
            # Spark is asked from a thread, so that this one can report, and be interrupted when the run is cancelled.
            with ThreadPoolExecutor(1) as thread:
                future: Future[list[list[tuple[int, Result]]]] = thread.submit(collect)
                try:
                    while True:
                        try:
                            collected = future.result(timeout=PROGRESS_SECONDS)
                            break
                        except NotYet:
                            log.info(progress.words(units.value, done.value))
                except BaseException:
                    context.cancelJobGroup(label)
                    raise
            log.info(progress.words(len(work), sum(weights)))
            results = dict(pair for hand in collected for pair in hand)
            return [results[place] for place in range(len(work))]

    @contextlib.contextmanager
    def _retry_policy(self) -> Iterator[None]:
        """Ask Dagster for a retry if a cluster fails, and not the work."""
        try:
            yield
        except Exception as error:
            if self._embedded or not is_passing(error):
                raise
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS) from error


def is_passing(error: BaseException) -> bool:
    """Tell whether an error of Spark's is about the cluster, or a place that may be mended, and not about the work.

    Lost masters, lost executors and killed workers are the cluster's. What a task's own code raised is a
    ``PythonException`` with its traceback; of that, only what the system says of disks can be otherwise next time.
    """
    if isinstance(error, PythonException):
        return any(int(number) in PASSING for number in re.findall(r"\[Errno (\d+)\]", str(error)))
    return isinstance(error, Py4JError | PySparkException)
