"""Spark: the session that was asked for, and a map that keeps order, reports progress and lets go when interrupted."""

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

from opengenome_assets.engine.spark import Spark, SparkStartError, is_transient
from opengenome_assets_tests.engine import units

pytestmark = pytest.mark.slow

LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def spark():
    if active := SparkSession.getActiveSession():
        active.stop()
    resource = Spark(master="local[2]", preload=["opengenome_assets.search.passes", units.__name__])
    yield resource
    resource.stop()


def test_results_come_in_the_order_of_the_work_and_the_log_says_what_was_done(spark, caplog):
    with caplog.at_level(logging.INFO):
        results = spark.map(units.square, range(5), weights=[1, 5, 3, 2, 4], label="squaring", unit="bases", log=LOG)
    assert results == [0, 1, 4, 9, 16]
    assert "UI: http://" in caplog.text
    assert "squaring: 5 of 5 units, 15 of 15 bases" in caplog.text


def test_no_work_starts_no_spark():
    idle = Spark(master="spark://nowhere:7077")
    assert idle.map(units.square, [], weights=[], label="nothing", unit="bases", log=LOG) == []


def test_a_single_unit_starts_no_embedded_engine(caplog):
    idle = Spark(master="local[7]")
    with caplog.at_level(logging.INFO):
        here = idle.map(units.process, [0], weights=[3], label="alone", unit="bases", log=LOG)
    assert here == [os.getpid()]
    assert idle._spark_session is None
    assert "alone: 1 of 1 units, 3 of 3 bases" in caplog.text


def test_several_units_are_the_workers_business(spark):
    assert os.getpid() not in spark.map(units.process, [0, 0], weights=[1, 1], label="pids", unit="bases", log=LOG)


def test_an_error_in_the_work_is_raised(spark):
    with pytest.raises(Exception, match="three is not a number"):
        spark.map(units.fail_on_three, [1, 2, 3], weights=[1, 1, 1], label="failing", unit="bases", log=LOG)


@pytest.mark.parametrize(
    ("function", "passing"), [(units.fail_on_three, False), (units.fail_with_no_space, True), (units.die, True)]
)
def test_what_may_be_otherwise_next_time_is_told_from_what_the_work_itself_raised(spark, function, passing):
    with pytest.raises((PySparkException, Py4JError)) as raised:
        spark.map(function, [3, 3], weights=[1, 1], label="failing", unit="bases", log=LOG)
    assert is_transient(raised.value) is passing


def test_a_session_that_has_ended_by_itself_is_followed_by_another(spark):
    first = spark.spark_context
    first._jsc.sc().stop()
    assert spark.map(units.square, [3, 4], weights=[1, 1], label="after", unit="bases", log=LOG) == [9, 16]
    assert spark.spark_context is not first


def test_a_context_that_has_ended_before_it_had_a_session_is_followed_by_another(spark):
    spark.stop()
    SparkContext(master="local[2]", appName="without a session")._jsc.sc().stop()
    assert spark.map(units.square, [3, 4], weights=[1, 1], label="after", unit="bases", log=LOG) == [9, 16]


def test_long_steps_report_what_is_left(spark, caplog, monkeypatch):
    monkeypatch.setattr("opengenome_assets.engine.progress.PROGRESS_SECONDS", 0.2)
    with caplog.at_level(logging.INFO):
        spark.map(units.sleep, [1.0, 2.0], weights=[10, 30], label="sleeping", unit="bases", log=LOG)
    # Side by side or, on a busy machine, one after the other: for a second one is done and one is not.
    assert re.search("sleeping: 1 of 2 units, [13]0 of 40 bases", caplog.text)
    assert "s left" in caplog.text


def test_an_interrupted_map_ends_its_tasks_at_once(spark):
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    started = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        spark.map(units.sleep, [60.0, 60.0], weights=[1, 1], label="interrupted", unit="bases", log=LOG)
    assert time.monotonic() - started < 20
    assert spark.map(units.square, [3], weights=[1], label="after", unit="bases", log=LOG) == [9]


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


def test_workers_are_forked_from_a_process_that_has_loaded_what_they_need(spark):
    places = spark.map(units.processes, [0] * 4, weights=[1] * 4, label="pids", unit="bases", log=LOG)
    assert len({loaded for loaded, _, _ in places}) == 1
    assert {loaded for loaded, _, _ in places} & {worker for _, worker, _ in places} == set()
