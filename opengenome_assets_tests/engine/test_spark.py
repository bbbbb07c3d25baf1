"""Spark: the session that was asked for, and a map that keeps order, reports progress and lets go when interrupted."""

import errno
import logging
import os
import re
import signal
import threading
import time

import dagster as dg
import pytest
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from opengenome_assets.engine.spark import Spark, SparkStartError, deal, is_passing, progress

LOG = logging.getLogger("test")


def square(number: int) -> int:
    return number * number


def fail_on_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is not a number")
    return number


def process(_: int) -> int:
    return os.getpid()


def fill_the_disk(number: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def spark():
    if active := SparkSession.getActiveSession():
        active.stop()
    resource = Spark(master="local[2]")
    yield resource
    resource.stop()


def test_results_come_in_the_order_of_the_work_and_the_log_says_what_was_done(spark, caplog):
    with caplog.at_level(logging.INFO):
        results = spark.map(square, range(5), weights=[1, 5, 3, 2, 4], label="squaring", unit="bases", log=LOG)
    assert results == [0, 1, 4, 9, 16]
    assert "UI: http://" in caplog.text
    assert "squaring: 5 of 5 files, 15 of 15 bases" in caplog.text


def test_no_work_starts_no_spark():
    idle = Spark(master="spark://nowhere:7077")
    assert idle.map(square, [], weights=[], label="nothing", unit="bases", log=LOG) == []


def test_a_single_unit_starts_no_embedded_engine(caplog):
    idle = Spark(master="local[7]")
    with caplog.at_level(logging.INFO):
        here = idle.map(process, [0], weights=[3], label="alone", unit="bases", log=LOG)
    assert here == [os.getpid()]
    assert idle._spark_session is None
    assert "alone: 1 of 1 files, 3 of 3 bases" in caplog.text


def test_several_units_are_the_workers_business(spark):
    assert os.getpid() not in spark.map(process, [0, 0], weights=[1, 1], label="pids", unit="bases", log=LOG)


def test_an_error_in_the_work_is_raised(spark):
    with pytest.raises(Exception, match="three is not a number"):
        spark.map(fail_on_three, [1, 2, 3], weights=[1, 1, 1], label="failing", unit="bases", log=LOG)


@pytest.mark.parametrize(("function", "passing"), [(fail_on_three, False), (fill_the_disk, True), (die, True)])
def test_what_may_be_otherwise_next_time_is_told_from_what_the_work_itself_raised(spark, function, passing):
    with pytest.raises((PySparkException, Py4JError)) as raised:
        spark.map(function, [3, 3], weights=[1, 1], label="failing", unit="bases", log=LOG)
    assert is_passing(raised.value) is passing


def test_a_session_that_has_ended_by_itself_is_followed_by_another(spark):
    first = spark.spark_context
    first._jsc.sc().stop()
    assert spark.map(square, [3, 4], weights=[1, 1], label="after", unit="bases", log=LOG) == [9, 16]
    assert spark.spark_context is not first


def test_a_context_that_has_ended_before_it_had_a_session_is_followed_by_another(spark):
    spark.stop()
    SparkContext(master="local[2]", appName="without a session")._jsc.sc().stop()
    assert spark.map(square, [3, 4], weights=[1, 1], label="after", unit="bases", log=LOG) == [9, 16]


def test_long_steps_report_what_is_left(spark, caplog, monkeypatch):
    monkeypatch.setattr("opengenome_assets.engine.spark.PROGRESS_SECONDS", 0.2)
    with caplog.at_level(logging.INFO):
        spark.map(sleep, [1.0, 2.0], weights=[10, 30], label="sleeping", unit="bases", log=LOG)
    # Side by side or, on a busy machine, one after the other: for a second one is done and one is not.
    assert re.search("sleeping: 1 of 2 files, [13]0 of 40 bases", caplog.text)
    assert "s left" in caplog.text


def test_an_interrupted_map_ends_its_tasks_at_once(spark):
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        spark.map(sleep, [60.0, 60.0], weights=[1, 1], label="interrupted", unit="bases", log=LOG)
    assert time.monotonic() - started < 20
    assert spark.map(square, [3], weights=[1], label="after", unit="bases", log=LOG) == [9]


def test_another_master_than_the_one_asked_for_is_an_error_not_a_surprise(spark):
    assert spark.spark_context.master == "local[2]"
    with pytest.raises(SparkStartError, match=r"runs on local\[2\], expected local\[7\]"):
        assert Spark(master="local[7]").spark_session


def test_the_application_is_named_after_the_run_and_ends_with_it():
    seen = {}

    @dg.asset
    def probe(spark: Spark) -> None:
        seen["context"] = spark.spark_context
        seen["name"] = spark.spark_context.appName

    if active := SparkSession.getActiveSession():
        active.stop()
    result = dg.materialize([probe], resources={"spark": Spark(master="local[1]")})
    assert result.success
    assert result.run_id in seen["name"]
    assert seen["context"]._jsc is None  # stopped


def test_deal_spreads_the_heaviest():
    assert deal([9, 8, 7, 3, 2, 1], 3) == [[9, 3], [8, 2], [7, 1]]


@pytest.mark.parametrize(
    ("done", "said"),
    [(0, "0 of 100 bases"), (50, "about 10 s left"), (100, "100 of 100 bases")],
)
def test_progress_in_words(monkeypatch, done, said):
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    assert said in progress("counting", 1, 2, done, 100, "bases", 100.0)
